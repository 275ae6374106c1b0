// Tiles in sight as images, coarser ones while finer ones are missing.

import { Matrix, type When } from "../../data/blocks.js";
import { levelFor, poolMatrix, type Span, tilesWithin } from "../../data/tiles.js";
import { blockRect, cellHeight, cellWidth, type MatrixCells } from "../../marks/matrix/cells.js";
import type { MapImage } from "../../marks/matrix/matrix.js";
import { type Colouring, PixelsOnDemand, shadedPixels } from "../../marks/matrix/shading.js";
import { memo } from "../../marks/memo.js";
import { TILE_SIZE } from "../../protocol/constants.js";
import type { TileSource } from "./tile-source.js";

/** Which tiles show a window, and how many of their cells a pixel has to hold along either axis. */
export interface Choice {
  readonly level: number;
  readonly fold: { readonly rows: number; readonly columns: number };
}

/** At so many device pixels to a CSS pixel. */
export function choose(cells: MatrixCells, scale: number, top: number): Choice {
  const [across, down] = [cellWidth(cells) * scale, cellHeight(cells) * scale];
  // Where cells are no squares, the side that has more room decides: nothing of it is merged away.
  const level = levelFor(Math.max(across, down), top);
  const fold = (pixels: number) =>
    2 ** Math.max(0, Math.ceil(-Math.log2(pixels * 2 ** level) - 1e-9));
  return { level, fold: { rows: fold(down), columns: fold(across) } };
}

interface TilePlace {
  readonly level: number;
  readonly place: Span;
}

/** The places of a level in sight, and with a ring the ones around them. */
function tilePlaces(cells: MatrixCells, level: number, ring = 0): readonly TilePlace[] {
  const along = (sight: Span, count: number) => {
    const [first, last] = tilesWithin(sight, level, count);
    const end = tilesWithin([0, count], level, count)[1];
    return [Math.max(0, first - ring), Math.min(end, last + ring)] as const;
  };
  const [top, bottom] = along(cells.down, cells.rows);
  const [left, right] = along(cells.across, cells.columns);
  const found: TilePlace[] = [];
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) found.push({ level, place: [row, column] });
  }
  return found;
}

function imageOf(
  cells: MatrixCells,
  tile: Matrix,
  { level, place }: TilePlace,
  { fold }: Pick<Choice, "fold">,
  colouring: Colouring,
): MapImage {
  const { rows, columns } = fold;
  const pixels = memo(tile.data, `pixels ${colouring.name} ${rows} ${columns}`, () => {
    const [wide, high] = [Math.ceil(tile.columns / columns), Math.ceil(tile.rows / rows)];
    const make = () => shadedPixels(poolMatrix(tile, fold), colouring);
    return new PixelsOnDemand(wide, high, make);
  });
  const cell = 2 ** level;
  const [top, left] = [place[0] * TILE_SIZE * cell, place[1] * TILE_SIZE * cell];
  // The last cells may reach over the edge of the matrix, where they are cut off.
  return {
    rect: blockRect(
      cells,
      [top, top + pixels.height * rows * cell],
      [left, left + pixels.width * columns * cell],
    ),
    pixels,
  };
}

/**
 * The tiles in sight. While some are missing, coarser ones that are here lie under them, and finer
 * ones over those; an empty list means that nothing at all is here.
 */
export function screenImages(
  cells: MatrixCells,
  source: TileSource,
  choice: Choice,
  colouring: Colouring,
): { readonly images: readonly MapImage[]; readonly complete: boolean } {
  const { level } = choice;
  const draw = (at: number, when: When) =>
    tilePlaces(cells, at).map(({ place }) => {
      const tile = source.drawn(at, place, when);
      return tile && imageOf(cells, tile, { level: at, place }, choice, colouring);
    });
  const wanted = draw(level, "now");
  const here = wanted.filter((image) => image !== null);
  const complete = here.length === wanted.length;
  if (level < source.top) source.drawn(source.top, [0, 0], "later");
  for (const { place } of tilePlaces(cells, level, 1)) source.drawn(level, place, "later");
  if (complete) return { images: here, complete };
  const under: MapImage[] = [];
  const levels = Array.from({ length: source.top - level }, (_, n) => source.top - n);
  for (const at of level > 0 ? [...levels, level - 1] : levels) {
    under.push(...draw(at, "here").filter((image) => image !== null));
  }
  return { images: [...under, ...here], complete };
}

/**
 * The cells in sight as one image, for figures: where tiles meet between two pixels, a renderer of
 * vectors may leave a seam. Null while a tile is missing.
 */
export function figureImage(
  cells: MatrixCells,
  source: TileSource,
  { level, fold }: Choice,
  colouring: Colouring,
): MapImage | null {
  const cell = 2 ** level;
  const bounds = ([start, stop]: Span, count: number, step: number) => {
    const end = Math.ceil(count / (cell * step)) * step;
    const first = Math.floor(start / (cell * step) + 1e-9) * step;
    return [first, Math.min(end, Math.ceil(stop / (cell * step) - 1e-9) * step)] as const;
  };
  const [top, bottom] = bounds(cells.down, cells.rows, fold.rows);
  const [left, right] = bounds(cells.across, cells.columns, fold.columns);
  const whole = new Matrix(
    bottom - top,
    right - left,
    new Float32Array((bottom - top) * (right - left)),
  );
  let missing = false;
  for (const { place } of tilePlaces(cells, level)) {
    const tile = source.drawn(level, place, "now");
    if (!tile) {
      missing = true;
      continue;
    }
    for (let row = 0; row < tile.rows; row++) {
      const to = place[0] * TILE_SIZE + row - top;
      if (to < 0 || to >= whole.rows) continue;
      const from = Math.max(0, left - place[1] * TILE_SIZE);
      const until = Math.min(tile.columns, right - place[1] * TILE_SIZE);
      if (until <= from) continue;
      whole.row(to).set(tile.row(row).subarray(from, until), place[1] * TILE_SIZE + from - left);
    }
  }
  if (missing) return null;
  const pixels = shadedPixels(poolMatrix(whole, fold), colouring);
  const rect = blockRect(
    cells,
    [top * cell, (top + pixels.height * fold.rows) * cell],
    [left * cell, (left + pixels.width * fold.columns) * cell],
  );
  return { rect, pixels };
}
