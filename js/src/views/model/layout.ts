// Geometry of the grid: rows of layers, cells of heads, labels that fit.

import type { Rect } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { bentCells } from "./bend.js";
import {
  BREAK,
  breakOf,
  COMFORTABLE,
  gapOf,
  HAIRLINE,
  type LayerCells,
  LEGIBLE,
  whole,
} from "./cells.js";
import type { Board } from "./head-scores.js";
import { NOTE } from "./legend.js";
import type { ShownRow } from "./rows.js";

/** The grid, and what stands in it. */
export interface Grid extends GridLayout {
  readonly board: Board | null;
  readonly notes: readonly string[];
  /** Whether the columns are the heads' numbers. */
  readonly numbered: boolean;
  /** Whether the columns are ranks. */
  readonly ranked: boolean;
  /** All that the layout depends on. */
  readonly id: string;
}

/** A layer in its place. */
export interface LayerRow extends ShownRow {
  readonly y: number;
  readonly height: number;
  readonly cells: LayerCells;
  /** Of a grid too large to be read at once: one of the layers that are. */
  readonly opened: boolean;
}

/**
 * Where the model view's cells are. Rows are the stream's layers in its order, counted from the top
 * left of the grid, which scrolls under a fixed header.
 */
export interface GridLayout {
  readonly rows: readonly LayerRow[];
  readonly left: number;
  /** Height of the header, which does not scroll: the grid starts here. */
  readonly top: number;
  /** Of the rows that are not opened: what the numbers above the grid are of. */
  readonly cells: LayerCells;
  readonly bent: boolean;
  readonly width: number;
  readonly height: number;
}

/** Room for the outline of the last row and column. */
export const MARGIN = 6;
export const TITLE = 18;
export const LABELS = 16;
export const LABEL_SIZE = 11;

const MIN_PITCH = 5;
const MAX_PITCH = 96;
const AXIS = 16;
/** Cells of one size, as square as they are large. */
function evenCells(columns: number, lines: number, pitch: number): LayerCells {
  return { columns, lines, across: pitch, down: pitch, gap: gapOf(pitch), caption: 0 };
}

/** Rows one under the other; those that are opened stand apart. */
function stacked(
  rows: readonly ShownRow[],
  cellsOf: (place: number) => [LayerCells, boolean],
): LayerRow[] {
  let y = 0;
  return rows.map((row, place) => {
    const [cells, opened] = cellsOf(place);
    const apart = opened ? BREAK : breakOf(cells);
    const height = cells.lines * cells.down;
    const placed = { ...row, y: y + (opened ? apart / 2 : 0), height, cells, opened };
    y += height + apart;
    return placed;
  });
}

export interface GridOptions {
  /** Lines of words above the grid. */
  readonly notes: number;
  /**
   * Place among the rows of the layer that matters most: where not all cells can be legible, those
   * near it are. Undefined where the grid is drawn whole, as high as it gets.
   */
  readonly at?: number | undefined;
  /** Whether the columns say which head is which; they do unless something else is said. */
  readonly numbered?: boolean;
}

export function gridLayout(
  rows: readonly ShownRow[],
  frame: { width: number; height: number },
  { notes, at, numbered = true }: GridOptions,
): GridLayout {
  const most = Math.max(1, ...rows.map(({ heads }) => heads.length));
  const number = Math.max(0, ...rows.map(({ layer }) => layer.layer));
  const label = (text: string) => Math.ceil(textWidth(text, LABEL_SIZE, "sans", "bold"));
  let left = AXIS + label(String(number)) + 6;
  const wide = (from: number) => frame.width - from - MARGIN - HAIRLINE;
  const fits = (from: number) => Math.max(1, Math.floor(wide(from) / MIN_PITCH));
  const top = TITLE + LABELS + notes * NOTE;
  const room = frame.height - top - MARGIN - HAIRLINE;
  const down = whole(room / rows.length);
  const bent = at !== undefined && rows.length > 1 && Math.min(wide(left) / most, down) < LEGIBLE;
  if (bent) {
    const size = { rows: rows.length, most, width: wide(left), height: room, numbered };
    const { closed, open, first, count } = bentCells(size, at);
    const isOpen = (place: number) => place >= first && place < first + count;
    const placed = stacked(rows, (place) => (isOpen(place) ? [open, true] : [closed, false]));
    return { ...extent(placed), left, top, cells: closed, bent };
  }
  if (most > fits(left)) left = AXIS + Math.max(label(String(number)), label("+888")) + 6;
  const lines = Math.ceil(most / fits(left));
  const columns = Math.ceil(most / lines);
  const across = whole(wide(left) / columns);
  const high = whole((room / rows.length - breakOf({ lines })) / lines);
  const wanted = high >= Math.min(across, LEGIBLE) ? high : COMFORTABLE;
  const cells = evenCells(columns, lines, Math.max(1, Math.min(across, wanted, MAX_PITCH)));
  return { ...extent(stacked(rows, () => [cells, false])), left, top, cells, bent };
}

/** The rows, and how large a grid they are. */
function extent(rows: readonly LayerRow[]): Pick<GridLayout, "rows" | "width" | "height"> {
  const last = rows.at(-1);
  if (!last) return { rows, width: 0, height: 0 };
  const right = ({ cells }: LayerRow) => cells.columns * cells.across - cells.gap;
  return {
    rows,
    width: Math.max(...rows.map(right)) + 2 * HAIRLINE,
    height: last.y + last.height - last.cells.gap + 2 * HAIRLINE,
  };
}

/** The row of a layer, by its place among the stream's; undefined where it is not on show. */
export function rowOf({ rows }: GridLayout, row: number): LayerRow | undefined {
  return rows.find((each) => each.row === row);
}

const places = new WeakMap<readonly number[], ReadonlyMap<number, number>>();

/** Where a head stands in its layer; undefined where it is not on show. */
export function placeOf({ heads }: ShownRow, head: number): number | undefined {
  // Mostly heads stand as they are counted.
  if (heads[head] === head) return head;
  let known = places.get(heads);
  if (!known) {
    known = new Map(heads.map((each, place) => [each, place]));
    places.set(heads, known);
  }
  return known.get(head);
}

/** A place's cell without its hairlines, from the grid's top left. */
export function placeRect({ y, cells }: LayerRow, place: number): Rect {
  const { columns, across, down, gap, caption } = cells;
  return {
    x: (place % columns) * across + HAIRLINE,
    y: y + Math.floor(place / columns) * down + caption + HAIRLINE,
    width: across - gap,
    height: down - caption - gap,
  };
}

/** A head's cell, or null where it is not on show. `row` counts the stream's layers. */
export function headRect(layout: GridLayout, row: number, head: number): Rect | null {
  const found = rowOf(layout, row);
  const place = found && placeOf(found, head);
  return found && place !== undefined ? placeRect(found, place) : null;
}

/** The head under a point counted from the grid's top left, or null between and beside cells. */
export function headAt(
  { rows }: GridLayout,
  x: number,
  y: number,
): { readonly row: number; readonly head: number } | null {
  const row = rows.findLast((each) => each.y <= y);
  if (!row || y >= row.y + row.height) return null;
  const { columns, across, down } = row.cells;
  const column = Math.floor(x / across);
  if (column < 0 || column >= columns) return null;
  const head = row.heads[Math.floor((y - row.y) / down) * columns + column];
  return head === undefined ? null : { row: row.row, head };
}

/** Every how many cells a label of `room` pixels fits. */
export function headLabelStep(pitch: number, room: number): number {
  for (const step of [1, 2, 4, 5, 8, 10, 16, 20, 32, 40, 50, 64]) {
    if (step * pitch >= room) return step;
  }
  return 100;
}

/**
 * Which of the labels at `at` are written: those in `first`, then every `step`-th, each only where it
 * stands `room` pixels clear of the ones before it.
 */
export function labelled(
  at: readonly number[],
  step: number,
  room: number,
  first: readonly number[],
): readonly number[] {
  const shown: number[] = [];
  const add = (index: number) => {
    const here = at[index];
    if (here === undefined) return;
    const clear = shown.every((other) => Math.abs(here - (at[other] as number)) >= room);
    if (clear) shown.push(index);
  };
  first.forEach(add);
  for (let index = 0; index < at.length; index += step) add(index);
  return shown.sort((a, b) => a - b);
}
