// The window onto a map: zoom, move, reveal.

import type { Span } from "../../data/tiles.js";
import { cellHeight, cellWidth, type MatrixCells, placeAt } from "../../marks/matrix/cells.js";
import type { MapWindow } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import type { Gesture, Point } from "../../state/interaction.js";
import type { Rect } from "../../surface/surface.js";
import { showsWords } from "../shared/measure.js";

/** Cells grow up to this many pixels: a number with three decimals has room in one. */
export const LARGEST_CELL = 56;

/** The rows and columns of matrices that are in sight. */
export interface Sight {
  readonly down: Span;
  readonly across: Span;
}

/** A window of so many positions, moved into an axis. */
function clampSpan(start: number, length: number, count: number): Span {
  const size = Math.min(count, length);
  const from = Math.max(0, Math.min(count - size, start));
  return [from, from + size];
}

const all = ({ queries, keys }: Pick<Scene, "queries" | "keys">): Sight => ({
  down: [0, queries.length],
  across: [0, keys.length],
});

/** What is in sight: all, unless the reader has zoomed in on these very positions. */
export function sightOf(scene: Scene): Sight {
  const { map } = scene.options;
  const { stream, queries, keys } = scene;
  if (!map || map.stream !== stream.name || map.words !== showsWords(scene)) return all(scene);
  const span = ([start, stop]: Span, count: number) =>
    stop > start ? clampSpan(start, stop - start, count) : ([0, count] as const);
  return { down: span(map.queries, queries.length), across: span(map.keys, keys.length) };
}

const isWhole = ([start, stop]: Span, count: number) => stop - start >= count - 1e-6;

export function isZoomed(scene: Scene): boolean {
  const { down, across } = sightOf(scene);
  return !isWhole(down, scene.queries.length) || !isWhole(across, scene.keys.length);
}

export function cellsOf(rect: Rect, scene: Scene): MatrixCells {
  return { rect, rows: scene.queries.length, columns: scene.keys.length, ...sightOf(scene) };
}

/** As it is kept; null for all. */
export function windowOf(scene: Scene, { down, across }: Sight): MapWindow | null {
  const { stream, queries, keys } = scene;
  if (isWhole(down, queries.length) && isWhole(across, keys.length)) return null;
  // To a thousandth of a position: what is kept is read, and drawn from, in more than one place.
  const kept = ([start, stop]: Span) =>
    [Math.round(1000 * start) / 1000, Math.round(1000 * stop) / 1000] as const;
  return { stream: stream.name, words: showsWords(scene), queries: kept(down), keys: kept(across) };
}

/**
 * Cells `factor` times as large, what is at a point staying there. Of cells that are no squares the
 * shorter side catches up first. They end at `LARGEST_CELL`, and where all of the matrix is in sight.
 */
export function zoomed(cells: MatrixCells, factor: number, at: Point): Sight {
  const { rect, rows, columns } = cells;
  const place = placeAt(cells, at.x, at.y);
  const [wide, high] = [cellWidth(cells), cellHeight(cells)];
  const most = (now: number, other: number) => {
    if (factor <= 1) return now * factor;
    const end = Math.max(now, LARGEST_CELL);
    // One that is larger waits for the other; both start from what shows everything.
    return Math.min(end, now > 1.01 * other ? Math.max(now, other * factor) : now * factor);
  };
  const span = (size: number, part: number, about: number, pixels: number, count: number) =>
    clampSpan(about - part * (pixels / size), pixels / size, count);
  return {
    down: span(most(high, wide), (at.y - rect.y) / rect.height, place.row, rect.height, rows),
    across: span(most(wide, high), (at.x - rect.x) / rect.width, place.column, rect.width, columns),
  };
}

/** Moved by so many pixels, as far as there is anything. */
export function panned(cells: MatrixCells, dx: number, dy: number): Sight {
  const { down, across, rows, columns } = cells;
  return {
    down: clampSpan(down[0] + dy / cellHeight(cells), down[1] - down[0], rows),
    across: clampSpan(across[0] + dx / cellWidth(cells), across[1] - across[0], columns),
  };
}

/** The same size of window with a position in the middle of either axis, or where it is. */
export function centred(
  cells: MatrixCells,
  at: { query?: number | null; key?: number | null },
): Sight {
  const { down, across, rows, columns } = cells;
  const about = ([start, stop]: Span, index: number | null | undefined, count: number) =>
    typeof index === "number"
      ? clampSpan(index - (stop - start) / 2, stop - start, count)
      : clampSpan(start, stop - start, count);
  return { down: about(down, at.query, rows), across: about(across, at.key, columns) };
}

/** What a gesture at a point leads to; the middle where there is no point. */
export function afterGesture(cells: MatrixCells, gesture: Gesture, at: Point | null): Sight {
  const { rect } = cells;
  if (gesture.kind === "fit") return { down: [0, cells.rows], across: [0, cells.columns] };
  if (gesture.kind === "pan") return panned(cells, gesture.dx, gesture.dy);
  const middle = { x: rect.x + rect.width / 2, y: rect.y + rect.height / 2 };
  return zoomed(cells, gesture.factor, at ?? middle);
}

export function sameSight(a: Sight, b: Sight): boolean {
  const same = (one: Span, other: Span) =>
    Math.abs(one[0] - other[0]) < 1e-6 && Math.abs(one[1] - other[1]) < 1e-6;
  return same(a.down, b.down) && same(a.across, b.across);
}

/** Positions of an axis in words: "120–183 of 4,096". */
export function rangeText([start, stop]: Span, count: number): string {
  const [first, last] = [Math.floor(start + 1e-6), Math.ceil(stop - 1e-6) - 1];
  return `${first}–${last} of ${count}`;
}
