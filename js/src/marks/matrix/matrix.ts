// A heat map with its pins, its crosshair and numbers in large cells.

import type { Span } from "../../data/tiles.js";
import { parseHex } from "../../styles/colours.js";
import type { Theme } from "../../styles/theme.js";
import type { Pixels, Rect, Surface } from "../../surface/surface.js";
import {
  blockRect,
  cellHeight,
  cellRect,
  cellWidth,
  indicesIn,
  type MatrixCells,
  sideOf,
} from "./cells.js";
import type { Colouring } from "./shading.js";

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
  cells: MatrixCells,
  marks: CellMarks,
  stroke: string,
  opacity: number,
) {
  const { row, column } = marks;
  if (row !== null && row < cells.rows && sideOf(cells.down, row) === 0) {
    drawBand(surface, blockRect(cells, [row, row + 1], cells.across), true, stroke, opacity);
  }
  if (column !== null && column < cells.columns && sideOf(cells.across, column) === 0) {
    drawBand(surface, blockRect(cells, cells.down, [column, column + 1]), false, stroke, opacity);
  }
}

/** Each run of neighbours, as far as it is in sight. */
function runs(indices: readonly number[], [start, stop]: Span): readonly Span[] {
  const found: [number, number][] = [];
  for (const index of [...indices].sort((a, b) => a - b)) {
    const run = found.at(-1);
    if (run && index <= run[1]) run[1] = index + 1;
    else found.push([index, index + 1]);
  }
  // Their edges may lie out of sight, and are cut off there.
  return found.filter(([from, to]) => to > start && from < stop);
}

/** Two lines along each run of pinned rows or columns. */
function drawPins(surface: Surface, cells: MatrixCells, pinned: PinnedCells, stroke: string): void {
  const { down, across } = cells;
  for (const run of runs(
    pinned.rows.filter((row) => row < cells.rows),
    down,
  )) {
    drawBand(surface, blockRect(cells, run, across), true, stroke, 0.9);
  }
  for (const run of runs(
    pinned.columns.filter((column) => column < cells.columns),
    across,
  )) {
    drawBand(surface, blockRect(cells, down, run), false, stroke, 0.9);
  }
}

/** Part of a picture, and where it goes. */
export interface MapImage {
  readonly rect: Rect;
  readonly pixels: Pixels;
}

/** What single cells say, once they are large enough. */
export interface CellNumbers extends Colouring {
  /** Null while it is not here. */
  value(row: number, column: number): number | null;
  say(value: number): string;
}

/** In pixels: what a number with three decimals takes. */
const NUMBER_CELL = { width: 36, height: 18 } as const;
const NUMBER_SIZE = 10;

function luminance(red: number, green: number, blue: number): number {
  const linear = (byte: number) => {
    const part = byte / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

/** Which of two colours stands out more on a third. */
export function readable(
  under: ArrayLike<number>,
  { text, background }: Pick<Theme, "text" | "background">,
): string {
  const contrast = (colour: string) => {
    const [a, b] = [parseHex(colour), under].map((rgb) =>
      luminance(rgb[0] as number, rgb[1] as number, rgb[2] as number),
    ) as [number, number];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  return contrast(text) >= contrast(background) ? text : background;
}

export function hasNumbers(cells: MatrixCells): boolean {
  return cellWidth(cells) >= NUMBER_CELL.width && cellHeight(cells) >= NUMBER_CELL.height;
}

function drawNumbers(
  surface: Surface,
  cells: MatrixCells,
  numbers: CellNumbers,
  theme: Theme,
): void {
  const [top, bottom] = indicesIn(cells.down);
  const [left, right] = indicesIn(cells.across);
  const { table, shade, value, say } = numbers;
  for (let row = top; row < bottom; row++) {
    if (sideOf(cells.down, row) !== 0) continue;
    for (let column = left; column < right; column++) {
      if (sideOf(cells.across, column) !== 0) continue;
      const number = value(row, column);
      if (number === null) continue;
      const { x, y, width, height } = cellRect(cells, row, column);
      const at = 3 * (Math.round(shade(number)) || 0);
      surface.text(x + width / 2, y + height / 2, say(number), {
        fill: readable(table.subarray(at, at + 3), theme),
        size: NUMBER_SIZE,
        anchor: "middle",
        ...(number === 0 ? { opacity: 0.5 } : {}),
      });
    }
  }
}

function drawCellMark(
  surface: Surface,
  cells: MatrixCells,
  row: number,
  column: number,
  theme: Theme,
) {
  const cell = cellRect(cells, row, column);
  const grow = Math.max(0, (6 - Math.min(cell.width, cell.height)) / 2);
  const { x, y, width, height } = cell;
  const rect = { x: x - grow, y: y - grow, width: width + 2 * grow, height: height + 2 * grow };
  surface.rect(rect, { stroke: theme.text, strokeWidth: 1.5 });
}

export interface MatrixMarks {
  readonly pinned: PinnedCells;
  readonly hovered: CellMarks;
}

const within = (inner: Rect, outer: Rect) =>
  inner.x >= outer.x - 0.01 &&
  inner.y >= outer.y - 0.01 &&
  inner.x + inner.width <= outer.x + outer.width + 0.01 &&
  inner.y + inner.height <= outer.y + outer.height + 0.01;

/** Heat map, its hairline frame, the pinned row and column, and the crosshair of the hovered cell. */
export function drawMatrix(
  surface: Surface,
  cells: MatrixCells,
  images: readonly MapImage[],
  { pinned, hovered }: MatrixMarks,
  theme: Theme,
  numbers: CellNumbers | null = null,
): void {
  const { rect } = cells;
  const picture = () => {
    for (const image of images) surface.image(image.rect, image.pixels);
    if (numbers && hasNumbers(cells)) drawNumbers(surface, cells, numbers, theme);
  };
  const marks = () => {
    drawPins(surface, cells, pinned, theme.accent);
    drawMarks(surface, cells, hovered, theme.text, 0.55);
    const { row, column } = hovered;
    const there = row !== null && column !== null && row < cells.rows && column < cells.columns;
    if (there) drawCellMark(surface, cells, row, column, theme);
  };
  const [all, sights] = [cells.rows * cells.columns, [cells.down, cells.across]];
  const whole = sights.reduce((area, [start, stop]) => area * (stop - start), 1) >= all;
  // What is whole needs no clip, unless the last cells reach over the edge.
  if (whole && images.every((image) => within(image.rect, rect))) picture();
  else surface.group("map", picture, { clip: rect });
  surface.rect(rect, { stroke: theme.rule });
  if (whole) marks();
  else
    surface.group("marks", marks, {
      clip: { ...rect, width: rect.width + 1, height: rect.height + 1 },
    });
}
