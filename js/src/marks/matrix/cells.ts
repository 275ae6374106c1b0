// Geometry of a matrix: which rows and columns are in its window, and where each cell is.

import type { Span } from "../../data/tiles.js";
import type { Rect } from "../../surface/surface.js";

/** Where a matrix's cells are: a window of its rows and columns, in a rectangle. */
export interface MatrixCells {
  readonly rect: Rect;
  readonly rows: number;
  readonly columns: number;
  /** The rows and columns in sight; parts of one at the edges. */
  readonly down: Span;
  readonly across: Span;
}

/** All cells in sight. */
export function wholeCells(rect: Rect, rows: number, columns: number): MatrixCells {
  return { rect, rows, columns, down: [0, rows], across: [0, columns] };
}

const length = ([start, stop]: Span) => stop - start;

export const cellHeight = ({ rect, down }: MatrixCells) => rect.height / length(down);
export const cellWidth = ({ rect, across }: MatrixCells) => rect.width / length(across);

/** Row and column at a point, with the part of a cell that it is into it. */
export function placeAt(cells: MatrixCells, x: number, y: number): { row: number; column: number } {
  const { rect, down, across } = cells;
  return {
    row: down[0] + (y - rect.y) / cellHeight(cells),
    column: across[0] + (x - rect.x) / cellWidth(cells),
  };
}

export function cellAt(cells: MatrixCells, x: number, y: number) {
  const { rect, rows, columns } = cells;
  if (x < rect.x || x >= rect.x + rect.width || y < rect.y || y >= rect.y + rect.height)
    return null;
  const place = placeAt(cells, x, y);
  return {
    row: Math.min(rows - 1, Math.floor(place.row)),
    column: Math.min(columns - 1, Math.floor(place.column)),
  };
}

/** Where so many rows and columns are, in sight or not. */
export function blockRect(cells: MatrixCells, rows: Span, columns: Span): Rect {
  const { rect, down, across } = cells;
  const [width, height] = [cellWidth(cells), cellHeight(cells)];
  return {
    x: rect.x + (columns[0] - across[0]) * width,
    y: rect.y + (rows[0] - down[0]) * height,
    width: length(columns) * width,
    height: length(rows) * height,
  };
}

export function cellRect(cells: MatrixCells, row: number, column: number): Rect {
  return blockRect(cells, [row, row + 1], [column, column + 1]);
}

/** First and one past the last index of which anything is in a window. */
export function indicesIn([start, stop]: Span): Span {
  return [Math.floor(start + 1e-6), Math.ceil(stop - 1e-6)];
}

/** Negative before a window, positive behind it, 0 when an index's middle is in it. */
export function sideOf([start, stop]: Span, index: number): -1 | 0 | 1 {
  if (index + 0.5 < start) return -1;
  return index + 0.5 > stop ? 1 : 0;
}
