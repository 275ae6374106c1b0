// Labels and indices of a matrix's rows and columns.

import type { Aside } from "../../data/aside.js";
import type { Span } from "../../data/tiles.js";
import type { Position } from "../../protocol/generated.js";
import type { Theme } from "../../styles/theme.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { drawFoundFrame, drawFoundTicks, type MarkOf } from "../text/found-frame.js";
import { drawStrike } from "../text/strike.js";
import { labelStep } from "../text/token-axis.js";
import { ABSENT, indexOf, labelFill, labelOf, PALE } from "../text/tokens.js";
import { blockRect, cellHeight, cellWidth, indicesIn, type MatrixCells, sideOf } from "./cells.js";

export interface AxisLabels {
  readonly positions: readonly Position[];
  readonly hovered: number | null;
  readonly pinned: readonly number[];
  readonly size: number;
  /** Room for a label, in pixels. */
  readonly room: number;
  /** Every position by its label; otherwise every so many by index, and the marked ones by label. */
  readonly byLabel: boolean;
  /** Of a generation: how many positions are there already, and how many were given. */
  readonly there?: number | null;
  readonly prompt?: number | null;
  readonly aside?: Aside;
  /** What was found by a search. */
  readonly found?: MarkOf | undefined;
  /** What an edit of the model takes away is struck through. */
  readonly struck?: ((index: number) => boolean) | undefined;
}

/** Under this cell size in pixels labels give way to indices. */
export const LABEL_PITCH = 10;

function marksOf({ positions, hovered, pinned }: AxisLabels, sight: Span): readonly number[] {
  const all = hovered === null || pinned.includes(hovered) ? pinned : [...pinned, hovered];
  return all.filter((index) => index < positions.length && sideOf(sight, index) === 0);
}

/** Every so many of the positions whose middle is in sight. */
function every(step: number, sight: Span): readonly number[] {
  const [first, last] = indicesIn(sight);
  const start = Math.ceil(first / step) * step;
  const count = Math.max(0, Math.ceil((last - start) / step));
  return Array.from({ length: count }, (_, n) => start + n * step).filter(
    (index) => sideOf(sight, index) === 0,
  );
}

function axisFill(axis: AxisLabels, index: number, byLabel: boolean, theme: Theme): string {
  if (axis.pinned.includes(index)) return theme.accent;
  return byLabel ? labelFill(axis.positions[index], theme) : theme.muted;
}

/** Labels of what is not there yet are faint, of what is set aside pale. */
function presence({ there, aside }: AxisLabels, index: number): { readonly opacity?: number } {
  if (index >= (there ?? index + 1)) return { opacity: ABSENT };
  return aside?.has(index) ? { opacity: PALE } : {};
}

/** Where what was generated begins; null where that is out of sight. */
function promptEnd({ prompt, positions }: AxisLabels, [start, stop]: Span): number | null {
  if (!prompt || prompt >= positions.length) return null;
  return prompt > start && prompt < stop ? prompt : null;
}

/** Where a label stands that has one: along a row, or upwards above a column. */
function labelBox(
  cells: MatrixCells,
  { positions, size, room }: AxisLabels,
  side: "left" | "above",
  index: number,
): Rect {
  const { rect } = cells;
  const left = side === "left";
  const block = left
    ? blockRect(cells, [index, index + 1], cells.across)
    : blockRect(cells, cells.down, [index, index + 1]);
  const [from, length] = left ? [block.y, block.height] : [block.x, block.width];
  const long = Math.min(Math.max(4, textWidth(labelOf(positions, index), size)), room - 5);
  const thick = Math.min(length - 1, size + 5);
  const across = from + (length - thick) / 2;
  return left
    ? { x: rect.x - 5 - long, y: across, width: long, height: thick }
    : { x: across, y: rect.y - 5 - long, width: thick, height: long };
}

/** Lines through the labels of what is taken away; without labels, the frames in the matrix say it. */
function drawStruck(
  surface: Surface,
  cells: MatrixCells,
  axis: AxisLabels,
  side: "left" | "above",
  theme: Theme,
): void {
  const { struck, byLabel } = axis;
  if (!struck || !byLabel) return;
  const left = side === "left";
  for (const index of every(1, left ? cells.down : cells.across)) {
    if (!struck(index)) continue;
    drawStrike(surface, labelBox(cells, axis, side, index), theme, { upright: !left });
  }
}

/** Where something was found: frames around labels, or where there are none, ticks at the matrix's edge. */
function drawFound(
  surface: Surface,
  cells: MatrixCells,
  axis: AxisLabels,
  side: "left" | "above",
  theme: Theme,
): void {
  const { found } = axis;
  const { rect } = cells;
  if (!found) return;
  const left = side === "left";
  const at = (index: number) => {
    const block = left
      ? blockRect(cells, [index, index + 1], cells.across)
      : blockRect(cells, cells.down, [index, index + 1]);
    return left ? { from: block.y, length: block.height } : { from: block.x, length: block.width };
  };
  const indices = every(1, left ? cells.down : cells.across);
  if (!axis.byLabel) {
    drawFoundTicks(surface, indices, found, at, { side, at: left ? rect.x : rect.y }, theme);
    return;
  }
  for (const index of indices) {
    const mark = found(index);
    if (!mark) continue;
    const { x, y, width, height } = labelBox(cells, axis, side, index);
    // Turned labels run upwards: the frame's air is along them.
    const box = left
      ? { x, y, width, height }
      : { x: x + 2, y: y - 2, width: width - 4, height: height + 4 };
    drawFoundFrame(surface, box, mark, theme);
  }
}

/** Query labels at the left of the matrix. */
export function drawRowLabels(
  surface: Surface,
  cells: MatrixCells,
  axis: AxisLabels,
  theme: Theme,
): void {
  const { rect, down } = cells;
  const cell = cellHeight(cells);
  const { byLabel } = axis;
  const marked = marksOf(axis, down);
  const yOf = (index: number) => blockRect(cells, [index, index], cells.across).y;
  // Of rows that are lower than a label, the first and last would be cut in half at the edge of the picture.
  const half = byLabel ? 0 : axis.size / 2;
  const [top, bottom] = [rect.y + half, rect.y + rect.height - half];
  const middle = (index: number) => {
    const y = yOf(index + 0.5);
    return byLabel ? y : Math.max(top, Math.min(bottom, y));
  };
  const end = promptEnd(axis, down);
  if (end !== null) {
    const dash = { stroke: theme.accent, dash: [3, 2] };
    surface.line(rect.x - axis.room, yOf(end), rect.x, yOf(end), dash);
  }
  const say = (index: number, text: string, fill: string) => {
    const style = { fill, size: axis.size, anchor: "end", maxWidth: axis.room - 5 } as const;
    surface.text(rect.x - 5, middle(index), text, { ...style, ...presence(axis, index) });
  };
  if (byLabel && axis.hovered !== null && sideOf(down, axis.hovered) === 0) {
    const y = yOf(axis.hovered);
    const wash = { x: rect.x - axis.room, y, width: axis.room - 2, height: cell };
    surface.rect(wash, { fill: theme.wash });
  }
  for (const index of every(byLabel ? 1 : labelStep(cell, 16), down)) {
    if (!byLabel && marked.some((m) => Math.abs(middle(m) - middle(index)) < axis.size)) continue;
    const text = byLabel ? labelOf(axis.positions, index) : indexOf(axis.positions, index);
    say(index, text, axisFill(axis, index, byLabel, theme));
  }
  if (!byLabel) {
    for (const m of marked) say(m, labelOf(axis.positions, m), axisFill(axis, m, true, theme));
  }
  drawStruck(surface, cells, axis, "left", theme);
  drawFound(surface, cells, axis, "left", theme);
}

/** Every key's label, read upwards. */
function drawTurned(surface: Surface, cells: MatrixCells, axis: AxisLabels, theme: Theme): void {
  const { rect, across } = cells;
  const { room, size } = axis;
  if (axis.hovered !== null && sideOf(across, axis.hovered) === 0) {
    const { x, width } = blockRect(cells, cells.down, [axis.hovered, axis.hovered + 1]);
    const wash = { x, y: rect.y - room, width, height: room - 2 };
    surface.rect(wash, { fill: theme.wash });
  }
  for (const index of every(1, across)) {
    const { x } = blockRect(cells, cells.down, [index + 0.5, index + 0.5]);
    const fill = axisFill(axis, index, true, theme);
    const style = { fill, size, rotate: -90, maxWidth: room - 5, ...presence(axis, index) };
    surface.text(x, rect.y - 5, labelOf(axis.positions, index), style);
  }
}

/** Indices and the labels among them, level. */
function drawLevel(surface: Surface, cells: MatrixCells, axis: AxisLabels, theme: Theme): void {
  const { rect, across } = cells;
  const { size } = axis;
  const middle = (index: number) => blockRect(cells, cells.down, [index + 0.5, index + 0.5]).x;
  const level = { size, anchor: "middle" } as const;
  const y = rect.y - 5 - size / 2;
  // Marked labels first: an index that would touch one is left out.
  const taken = marksOf(axis, across).map((index) => {
    const text = labelOf(axis.positions, index);
    const half = Math.min(45, textWidth(text, size) / 2);
    const at = Math.max(rect.x + half, Math.min(rect.x + rect.width - half, middle(index)));
    const fill = axisFill(axis, index, true, theme);
    surface.text(at, y, text, { ...level, fill, maxWidth: 90 });
    return { at, half };
  });
  for (const index of every(labelStep(cellWidth(cells), 34), across)) {
    const text = indexOf(axis.positions, index);
    // The last one would reach over the picture's edge, and there over that of the frame.
    const x = Math.min(middle(index), rect.x + rect.width - textWidth(text, size) / 2);
    if (taken.some(({ at, half }) => Math.abs(at - x) < half + 16)) continue;
    surface.text(x, y, text, { ...level, fill: theme.muted });
  }
}

/** Key labels above the matrix. */
export function drawColumnLabels(
  surface: Surface,
  cells: MatrixCells,
  axis: AxisLabels,
  theme: Theme,
): void {
  const { rect, across } = cells;
  const end = promptEnd(axis, across);
  if (end !== null) {
    const { x } = blockRect(cells, cells.down, [end, end]);
    surface.line(x, rect.y - axis.room, x, rect.y, { stroke: theme.accent, dash: [3, 2] });
  }
  (axis.byLabel ? drawTurned : drawLevel)(surface, cells, axis, theme);
  drawStruck(surface, cells, axis, "above", theme);
  drawFound(surface, cells, axis, "above", theme);
}
