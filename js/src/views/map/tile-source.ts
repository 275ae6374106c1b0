// Where a map's tiles are from: rows that came whole, the kernel, a difference of two heads.

import { type Aside, asideRow, NOTHING_ASIDE, restOf, shareOf } from "../../data/aside.js";
import { type Blocks, Matrix, type Rows, type When } from "../../data/blocks.js";
import { columnSum } from "../../data/columns.js";
import { poolTile, type Source, type Span, tileSpan, topLevel } from "../../data/tiles.js";
import { memo, memoReady } from "../../marks/memo.js";
import { LARGEST_WHOLE_HEAD, TILE_SIZE } from "../../protocol/constants.js";
import type { Scene } from "../../scene/scene.js";
import { type Common, differenceRows, minusTile } from "../shared/difference.js";
import { isRollout } from "../shared/measure.js";
import type { Series } from "../shared/series.js";

/** Several heads come as rows, whole, where together they have no more weights than this. */
const WHOLE_TOGETHER = 1 << 23;

/**
 * Whether the rows of heads come whole, and tiles are made of them here; otherwise tiles are asked
 * for. It depends on sizes alone, so that a figure of the same state is made of the same numbers.
 */
export function comeWhole({ queries, keys, together }: Scene, count: number): boolean {
  const size = queries.length * keys.length;
  const rows = size * count * (together?.heads.length ?? 1);
  return size <= LARGEST_WHOLE_HEAD && rows <= WHOLE_TOGETHER;
}

/** With more positions than this along an axis, most weights are small and a cell stands for several. */
const LONG = 256;

export function hasLongAxis({ queries, keys }: Pick<Scene, "queries" | "keys">): boolean {
  return Math.max(queries.length, keys.length) > LONG;
}

/** Where a map's tiles are from; see `TILE_SIZE` for what a tile is. */
export interface TileSource {
  /** Stands for all that its values depend on. */
  readonly name: string;
  readonly top: number;
  /** What is shaded: without what is set aside. Null while it is not here. */
  drawn(level: number, place: Span, when: When): Matrix | null;
  /** The numbers themselves. */
  values(level: number, place: Span, when: When): Matrix | null;
}

function nameOf({ generationStep, aside }: Scene, { layer, head, name, colour }: Series): string {
  // Of two records the same head of both stands side by side, told apart by name and colour.
  return JSON.stringify([layer, head, name, colour, generationStep?.numQueries, aside.id]);
}

const sourceOf = ({ numQueries, numKeys }: Rows, row: Source["row"]): Source => ({
  rows: numQueries,
  columns: numKeys,
  row,
});

/** Tiles made of rows that come whole. */
function localSource(
  scene: Scene,
  name: string,
  shaded: Source,
  plain: Source,
  differs: boolean,
): TileSource {
  const top = topLevel(shaded.rows, shaded.columns);
  const made = (of: Source, kind: string) => (level: number, place: Span, when: When) =>
    when === "now"
      ? memoReady(scene.stream, `tile ${kind} ${name} ${level} ${place}`, () =>
          poolTile(of, level, place),
        )
      : null;
  const drawn = made(shaded, "drawn");
  return { name, top, drawn, values: differs ? made(plain, "plain") : drawn };
}

/** Of each row of cells what is left without what is set aside: where it varies, the most. */
function mostLeft(held: Float32Array, level: number, place: number, length: number): Float32Array {
  const cell = 2 ** level;
  const [start, stop] = tileSpan(place, level, length);
  const left = new Float32Array(Math.ceil((stop - start) / cell));
  for (let query = start; query < stop; query++) {
    const row = Math.floor((query - start) / cell);
    const rest = restOf(held[query] as number);
    // Also passes over NaN: a query without numbers counts as nothing in a tile.
    if (rest > (left[row] as number)) left[row] = rest;
  }
  return left;
}

/** A tile without the cells that hold nothing but what is set aside, the others divided by what that leaves. */
function asideTile(
  tile: Matrix,
  left: Float32Array | null,
  isAside: (column: number) => boolean,
): Matrix {
  const out = new Matrix(tile.rows, tile.columns, tile.data.slice());
  for (let row = 0; row < out.rows; row++) {
    const values = out.row(row);
    for (let column = 0; column < values.length; column++) {
      const value = values[column] as number;
      if (isAside(column)) values[column] = 0;
      else if (left) values[column] = shareOf(value, left[row] as number);
    }
  }
  return out;
}

/** Which columns of a tile have a key in them that is set aside: what they show is its weight as a rule. */
function cellsAside({ keys }: Aside, level: number, place: number): (column: number) => boolean {
  const held = new Set(keys.map((key) => Math.floor(key / 2 ** level) - place * TILE_SIZE));
  return (column) => held.has(column);
}

/** Tiles as the kernel, or a saved copy, has them. */
function remoteSource(scene: Scene, series: Series, blocks: Blocks): TileSource {
  const { layer, head, rows } = series;
  const numQueries = scene.queries.length;
  const { aside } = scene;
  const values: TileSource["values"] = (level, place, when) =>
    blocks.tile(layer, head, level, place, {}, when);
  // What has no shares is not dealt out anew, and of a rollout single columns are not to be had.
  const shares = () => rows.scale === undefined && !isRollout(scene);
  const drawn: TileSource["drawn"] = (level, place, when) => {
    const tile = values(level, place, when);
    if (!tile || aside.keys.length === 0) return tile;
    let held: Float32Array | null = null;
    if (shares() && blocks.error("column", layer, head) === null) {
      held = columnSum({ ...rows, column: (key) => blocks.column(layer, head, key) }, aside.keys);
      if (!held) return null;
    }
    return memo(tile.data, `aside ${aside.id} ${level} ${place}`, () =>
      asideTile(
        tile,
        held && mostLeft(held, level, place[0], numQueries),
        cellsAside(aside, level, place[1]),
      ),
    );
  };
  const top = topLevel(numQueries, scene.keys.length);
  return { name: nameOf(scene, series), top, drawn, values };
}

/** The map of one head, of `count` that are drawn together. */
export function headSource(scene: Scene, series: Series, count: number): TileSource {
  if (!comeWhole(scene, count)) return remoteSource(scene, series, series.blocks);
  const { rows } = series;
  const { aside } = scene;
  const differs = aside.keys.length > 0;
  const plain = sourceOf(rows, (query) => rows.row(query));
  const shaded = sourceOf(rows, (query) => {
    const row = rows.row(query);
    return row && asideRow(row, aside, rows.scale);
  });
  return localSource(scene, nameOf(scene, series), shaded, plain, differs);
}

/** What the first has more than the second; of long heads, of the largest weights of each cell. */
export function differenceSource(
  scene: Scene,
  two: readonly [Series, Series],
  count: number,
  common: Common | undefined,
): TileSource {
  const [a, b] = two;
  const { aside } = scene;
  const name = JSON.stringify(["minus", ...two.map((series) => nameOf(scene, series))]);
  if (comeWhole(scene, count)) {
    const of = (without: Aside) => {
      const rows = differenceRows(a.rows, b.rows, without, common);
      return sourceOf(rows, (query) => rows.row(query));
    };
    return localSource(scene, name, of(aside), of(NOTHING_ASIDE), aside.keys.length > 0);
  }
  const [first, second] = two.map((series) => remoteSource(scene, series, series.blocks)) as [
    TileSource,
    TileSource,
  ];
  const made =
    (of: "drawn" | "values"): TileSource["drawn"] =>
    (level, place, when) => {
      const [one, other] = [first[of](level, place, when), second[of](level, place, when)];
      if (!one || !other) return null;
      return memo(one.data, `${of} ${name} ${level} ${place}`, () =>
        minusTile(one, other, level === 0 ? common : undefined, place),
      );
    };
  return { name, top: first.top, drawn: made("drawn"), values: made("values") };
}

/** The largest value of a source either way: the end of a scale; null while it is not known. */
export function largestIn(source: TileSource): number | null {
  const tile = source.drawn(source.top, [0, 0], "now");
  if (!tile) return null;
  return memo(tile.data, "largest", () =>
    tile.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
  );
}
