// Tiles of a head's map: their levels and places, and max-pooling into them.

import { TILE_SIZE } from "../protocol/constants.js";
import { Matrix } from "./blocks.js";

/** From `start` up to, not including, `stop`; positions, or places of tiles. */
export type Span = readonly [number, number];

/** The level at which one tile holds the whole head: a cell is 2^level queries by as many keys. */
export function topLevel(numQueries: number, numKeys: number): number {
  return Math.max(0, Math.ceil(Math.log2(Math.max(numQueries, numKeys, 1) / TILE_SIZE)));
}

/** The finest level at which a cell is no less than a device pixel. */
export function levelFor(pixelsPerPosition: number, top: number): number {
  return Math.max(0, Math.min(top, Math.ceil(-Math.log2(pixelsPerPosition) - 1e-9)));
}

/** The places of the tiles of a level that a window onto an axis of `length` positions touches. */
export function tilesWithin([start, stop]: Span, level: number, length: number): Span {
  const side = TILE_SIZE * 2 ** level;
  const first = Math.max(0, Math.floor(start / side + 1e-9));
  const last = Math.min(Math.ceil(length / side), Math.ceil(stop / side - 1e-9));
  return [first, Math.max(first, last)];
}

/** The positions along an axis that a row or column of tiles covers. */
export function tileSpan(place: number, level: number, length: number): Span {
  const side = TILE_SIZE * 2 ** level;
  return [place * side, Math.min(length, (place + 1) * side)];
}

/** What a tile is made of where the rows are here. */
export interface Source {
  readonly rows: number;
  readonly columns: number;
  row(query: number): Float32Array | null;
}

/** How many neighbours each cell of a pooled matrix stands for. */
export interface Cell {
  readonly rows: number;
  readonly columns: number;
}

/** Into each cell the value furthest from nothing; values that are no numbers count as nothing. */
function poolRow(out: Float32Array, row: ArrayLike<number>, from: number, cell: number): void {
  for (let column = 0; column < out.length; column++) {
    let most = out[column] as number;
    let size = Math.abs(most);
    const start = from + column * cell;
    const stop = Math.min(row.length, start + cell);
    for (let at = start; at < stop; at++) {
      const value = row[at] as number;
      if (Math.abs(value) > size) {
        most = value;
        size = Math.abs(value);
      }
    }
    out[column] = most;
  }
}

/** One tile as the kernel would make it; null while a row of it is missing. */
export function poolTile(source: Source, level: number, place: Span): Matrix | null {
  const cell = 2 ** level;
  const [top, bottom] = tileSpan(place[0], level, source.rows);
  const [left, right] = tileSpan(place[1], level, source.columns);
  const columns = Math.ceil((right - left) / cell);
  const tile = new Matrix(
    Math.ceil((bottom - top) / cell),
    columns,
    new Float32Array(Math.ceil((bottom - top) / cell) * columns),
  );
  let whole = true;
  for (let query = top; query < bottom; query++) {
    // Every row is read, whatever is missing: reading is what asks for it.
    const row = source.row(query);
    if (!row) whole = false;
    else if (whole) poolRow(tile.row(Math.floor((query - top) / cell)), row, left, cell);
  }
  return whole ? tile : null;
}

/** A matrix with so many neighbours to a cell. */
export function poolMatrix(matrix: Matrix, { rows, columns }: Cell): Matrix {
  if (rows === 1 && columns === 1) return matrix;
  const wide = Math.ceil(matrix.columns / columns);
  const tall = Math.ceil(matrix.rows / rows);
  const pooled = new Matrix(tall, wide, new Float32Array(tall * wide));
  for (let row = 0; row < matrix.rows; row++) {
    poolRow(pooled.row(Math.floor(row / rows)), matrix.row(row), 0, columns);
  }
  return pooled;
}
