import type { Position } from "../protocol/generated.js";
import type { Theme } from "../styles/theme.js";
import type { Pixels, Rect, Surface } from "../surface/surface.js";
import { textWidth } from "../surface/text.js";
import { labelStep } from "./axis.js";
import { ABSENT, indexOf, labelFill, labelOf } from "./tokens.js";

/** A cell grid as it is coloured: `row` gives values, or null while they are not here. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
  row(index: number): Float32Array | null;
  /** Whether a row is here, for rows that have to be made first. */
  has?(index: number): boolean;
}

/** Value to 0..255 of a 256-entry colour table. */
export type Shader = (value: number, row: Float32Array, column: number) => number;

/** 0..1 by its square root, so that small weights are told apart. */
export const sequentialShade: Shader = (value) => 255 * Math.sqrt(Math.min(1, Math.max(0, value)));

/** The same without the first column: what it took is dealt out among the others. */
export const sinkAsideShade: Shader = (value, row, column) => {
  const left = 1 - (row[0] as number);
  return column === 0 || left <= 0 ? 0 : 255 * Math.sqrt(Math.min(1, Math.max(0, value / left)));
};

/** 0..end by its square root, the first column left out where it is set aside. */
export function scaledShade(end: number, sinkAside: boolean): Shader {
  return (value, _row, column) =>
    sinkAside && column === 0 ? 0 : 255 * Math.sqrt(Math.min(1, Math.max(0, value / end)));
}

/** −max..max, by the square root of the size: 128 is nothing. */
export function divergingShade(max: number): Shader {
  return (value) => {
    const size = max > 0 ? Math.sqrt(Math.min(1, Math.abs(value) / max)) : 0;
    return value < 0 ? 128 - 128 * size : 128 + 127 * size;
  };
}

/**
 * The grid as pixels, one per cell, but never more than `maxWidth` × `maxHeight`: then each pixel
 * shows the cell that is shaded furthest from nothing, so that a single strong link is never lost.
 */
export function matrixPixels(
  grid: Grid,
  shade: Shader,
  table: Uint8Array,
  limit: { maxWidth: number; maxHeight: number; zero: number },
): Pixels {
  const width = Math.max(1, Math.min(grid.columns, Math.floor(limit.maxWidth)));
  const height = Math.max(1, Math.min(grid.rows, Math.floor(limit.maxHeight)));
  const shades = new Uint8Array(width * height).fill(limit.zero);
  const known = new Uint8Array(height);
  const across = Int32Array.from({ length: grid.columns }, (_, c) => (c * width) / grid.columns);
  for (let r = 0; r < grid.rows; r++) {
    const row = grid.row(r);
    if (!row) continue;
    const y = Math.floor((r * height) / grid.rows);
    known[y] = 1;
    for (let c = 0; c < grid.columns; c++) {
      const to = y * width + (across[c] as number);
      const value = Math.round(shade(row[c] as number, row, c));
      if (Math.abs(value - limit.zero) > Math.abs((shades[to] as number) - limit.zero)) {
        shades[to] = value;
      }
    }
  }
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < shades.length; i++) {
    // Rows that have not come stay transparent: nothing is not the same as zero.
    if (known[Math.floor(i / width)] === 0) continue;
    const from = 3 * (shades[i] as number);
    data[4 * i] = table[from] as number;
    data[4 * i + 1] = table[from + 1] as number;
    data[4 * i + 2] = table[from + 2] as number;
    data[4 * i + 3] = 255;
  }
  return { width, height, data };
}

/** Where a matrix's cells are. */
export interface Cells {
  readonly rect: Rect;
  readonly rows: number;
  readonly columns: number;
}

export function cellAt({ rect, rows, columns }: Cells, x: number, y: number) {
  const column = Math.floor(((x - rect.x) * columns) / rect.width);
  const row = Math.floor(((y - rect.y) * rows) / rect.height);
  const inside = column >= 0 && column < columns && row >= 0 && row < rows;
  return inside ? { row, column } : null;
}

export function cellRect({ rect, rows, columns }: Cells, row: number, column: number): Rect {
  const width = rect.width / columns;
  const height = rect.height / rows;
  return { x: rect.x + column * width, y: rect.y + row * height, width, height };
}

export interface CellMarks {
  readonly row: number | null;
  readonly column: number | null;
}

/** Pinned rows and columns. */
export interface PinnedCells {
  readonly rows: readonly number[];
  readonly columns: readonly number[];
}

/** Two hairlines along a row or a column; thin cells get a single line through them. */
function drawBand(surface: Surface, rect: Rect, across: boolean, stroke: string, opacity: number) {
  const { x, y, width, height } = rect;
  const style = { stroke, opacity };
  if ((across ? height : width) < 4) {
    if (across) surface.line(x, y + height / 2, x + width, y + height / 2, style);
    else surface.line(x + width / 2, y, x + width / 2, y + height, style);
    return;
  }
  if (across) {
    surface.line(x, y, x + width, y, style);
    surface.line(x, y + height, x + width, y + height, style);
  } else {
    surface.line(x, y, x, y + height, style);
    surface.line(x + width, y, x + width, y + height, style);
  }
}

function drawMarks(
  surface: Surface,
  cells: Cells,
  marks: CellMarks,
  stroke: string,
  opacity: number,
) {
  const { rect } = cells;
  const { row, column } = marks;
  if (row !== null && row < cells.rows) {
    const { y, height } = cellRect(cells, row, 0);
    drawBand(surface, { x: rect.x, y, width: rect.width, height }, true, stroke, opacity);
  }
  if (column !== null && column < cells.columns) {
    const { x, width } = cellRect(cells, 0, column);
    drawBand(surface, { x, y: rect.y, width, height: rect.height }, false, stroke, opacity);
  }
}

/** First and last of each run of neighbours. */
function runs(indices: readonly number[]): readonly (readonly [number, number])[] {
  const found: [number, number][] = [];
  for (const index of [...indices].sort((a, b) => a - b)) {
    const run = found.at(-1);
    if (run && index <= run[1] + 1) run[1] = index;
    else found.push([index, index]);
  }
  return found;
}

/** Two lines along each run of pinned rows or columns. */
function drawPins(surface: Surface, cells: Cells, pinned: PinnedCells, stroke: string): void {
  const { x, y, width, height } = cells.rect;
  for (const [first, last] of runs(pinned.rows.filter((row) => row < cells.rows))) {
    const top = cellRect(cells, first, 0).y;
    const deep = cellRect(cells, last + 1, 0).y - top;
    drawBand(surface, { x, y: top, width, height: deep }, true, stroke, 0.9);
  }
  for (const [first, last] of runs(pinned.columns.filter((column) => column < cells.columns))) {
    const left = cellRect(cells, 0, first).x;
    const wide = cellRect(cells, 0, last + 1).x - left;
    drawBand(surface, { x: left, y, width: wide, height }, false, stroke, 0.9);
  }
}

/** Heat map, its hairline frame, the pinned row and column, and the crosshair of the hovered cell. */
export function drawMatrix(
  surface: Surface,
  cells: Cells,
  pixels: Pixels,
  marks: { readonly pinned: PinnedCells; readonly hovered: CellMarks; readonly smooth?: boolean },
  theme: Theme,
): void {
  const { rect } = cells;
  surface.image(rect, pixels, marks.smooth);
  surface.rect(rect, { stroke: theme.rule });
  drawPins(surface, cells, marks.pinned, theme.accent);
  drawMarks(surface, cells, marks.hovered, theme.text, 0.55);
  const { row, column } = marks.hovered;
  if (row !== null && column !== null && row < cells.rows && column < cells.columns) {
    const cell = cellRect(cells, row, column);
    const grow = Math.max(0, (6 - Math.min(cell.width, cell.height)) / 2);
    surface.rect(
      {
        x: cell.x - grow,
        y: cell.y - grow,
        width: cell.width + 2 * grow,
        height: cell.height + 2 * grow,
      },
      { stroke: theme.text, strokeWidth: 1.5 },
    );
  }
}

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
}

/** Under this cell size in pixels labels give way to indices. */
export const LABEL_PITCH = 10;

function marksOf({ positions, hovered, pinned }: AxisLabels): readonly number[] {
  const all = hovered === null || pinned.includes(hovered) ? pinned : [...pinned, hovered];
  return all.filter((index) => index < positions.length);
}

function axisFill(axis: AxisLabels, index: number, byLabel: boolean, theme: Theme): string {
  if (axis.pinned.includes(index)) return theme.accent;
  return byLabel ? labelFill(axis.positions[index], theme) : theme.muted;
}

/** Labels of what is not there yet are faint. */
function presence({ there }: AxisLabels, index: number): { readonly opacity?: number } {
  return index < (there ?? index + 1) ? {} : { opacity: ABSENT };
}

/** Query labels at the left of the matrix. */
export function drawRowLabels(
  surface: Surface,
  cells: Cells,
  axis: AxisLabels,
  theme: Theme,
): void {
  const cell = cells.rect.height / cells.rows;
  const { byLabel } = axis;
  const step = byLabel ? 1 : labelStep(cell, 16);
  const marked = marksOf(axis);
  const x = cells.rect.x - 5;
  if (axis.prompt && axis.prompt < cells.rows) {
    const y = cells.rect.y + axis.prompt * cell;
    surface.line(x + 5 - axis.room, y, x + 5, y, { stroke: theme.accent, dash: [3, 2] });
  }
  const say = (index: number, text: string, fill: string) => {
    const y = cells.rect.y + (index + 0.5) * cell;
    const style = { fill, size: axis.size, anchor: "end", maxWidth: axis.room - 5 } as const;
    surface.text(x, y, text, { ...style, ...presence(axis, index) });
  };
  if (byLabel && axis.hovered !== null && axis.hovered < cells.rows) {
    const y = cells.rect.y + axis.hovered * cell;
    const wash = { x: cells.rect.x - axis.room, y, width: axis.room - 2, height: cell };
    surface.rect(wash, { fill: theme.wash });
  }
  for (let index = 0; index < cells.rows; index += step) {
    if (!byLabel && marked.some((m) => Math.abs(m - index) * cell < axis.size)) continue;
    const text = byLabel ? labelOf(axis.positions, index) : indexOf(axis.positions, index);
    say(index, text, axisFill(axis, index, byLabel, theme));
  }
  if (!byLabel) {
    for (const m of marked) say(m, labelOf(axis.positions, m), axisFill(axis, m, true, theme));
  }
}

/** Key labels above the matrix, read upwards; indices and the labels among them stand level. */
export function drawColumnLabels(
  surface: Surface,
  cells: Cells,
  axis: AxisLabels,
  theme: Theme,
): void {
  const cell = cells.rect.width / cells.columns;
  const y = cells.rect.y - 5;
  const { byLabel, size } = axis;
  const middle = (index: number) => cells.rect.x + (index + 0.5) * cell;
  if (axis.prompt && axis.prompt < cells.columns) {
    const x = cells.rect.x + axis.prompt * cell;
    surface.line(x, y + 5 - axis.room, x, y + 5, { stroke: theme.accent, dash: [3, 2] });
  }
  if (byLabel) {
    if (axis.hovered !== null && axis.hovered < cells.columns) {
      const x = cells.rect.x + axis.hovered * cell;
      const wash = { x, y: cells.rect.y - axis.room, width: cell, height: axis.room - 2 };
      surface.rect(wash, { fill: theme.wash });
    }
    for (let index = 0; index < cells.columns; index++) {
      const fill = axisFill(axis, index, true, theme);
      const style = { fill, size, rotate: -90, maxWidth: axis.room - 5, ...presence(axis, index) };
      surface.text(middle(index), y, labelOf(axis.positions, index), style);
    }
    return;
  }
  const level = { size, anchor: "middle" } as const;
  // Marked labels first: an index that would touch one is left out.
  const taken = marksOf(axis).map((index) => {
    const text = labelOf(axis.positions, index);
    const half = Math.min(45, textWidth(text, size) / 2);
    const { x, width } = cells.rect;
    const at = Math.max(x + half, Math.min(x + width - half, middle(index)));
    const fill = axisFill(axis, index, true, theme);
    surface.text(at, y - size / 2, text, { ...level, fill, maxWidth: 90 });
    return { at, half };
  });
  const step = labelStep(cell, 34);
  for (let index = 0; index < cells.columns; index += step) {
    const x = middle(index);
    if (taken.some(({ at, half }) => Math.abs(at - x) < half + 16)) continue;
    surface.text(x, y - size / 2, indexOf(axis.positions, index), { ...level, fill: theme.muted });
  }
}
