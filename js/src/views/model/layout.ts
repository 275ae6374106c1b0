// Geometry of the grid: rows of layers, cells of heads, labels that fit.

import type { Rect } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import {
  BREAK,
  breakOf,
  CAPTION,
  COMFORTABLE,
  gapOf,
  HAIRLINE,
  type LayerCells,
  LEGIBLE,
  WORDED,
  whole,
} from "./cells.js";
import type { Board } from "./head-scores.js";
import { NOTE } from "./legend.js";
import { openCells, openHeight, smallCells } from "./open-layer.js";
import type { ShownRow } from "./rows.js";

/** The grid, and what stands in it. */
export interface Grid extends GridLayout {
  readonly board: Board | null;
  readonly notes: readonly string[];
  /** Whether the columns are the heads' numbers. */
  readonly numbered: boolean;
  /** Whether the columns are ranks. */
  readonly ranked: boolean;
  /** Room below the grid for the list of what heads do, 0 for none. */
  readonly listHeight: number;
  /** All that the layout depends on. */
  readonly id: string;
}

/** A layer in its place. */
export interface LayerRow extends ShownRow {
  readonly x: number;
  readonly y: number;
  readonly height: number;
  readonly cells: LayerCells;
}

/**
 * Where the model view's cells are. Rows are the stream's layers in its order, counted from the top
 * left of the grid, which scrolls under a fixed header.
 */
export interface GridLayout {
  /** Every layer; small where one of them is open. */
  readonly rows: readonly LayerRow[];
  /** Of a grid too large to be read at once: the selected layer, large, above all layers. */
  readonly open: LayerRow | null;
  /** Layers of one head each stand side by side: their numbers are below the cells. */
  readonly abreast: boolean;
  readonly left: number;
  /** Height of the header, which does not scroll: the grid starts here. */
  readonly top: number;
  /** Of the rows that are not opened. */
  readonly cells: LayerCells;
  /** Middle of the columns' numbers, from the grid's top left; null where there are none. */
  readonly axis: number | null;
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
/** On the screen, where cells grow with the room. */
const LARGEST = 132;
const AXIS = 16;

/** Cells of one size, as square as they are large. */
function evenCells(columns: number, lines: number, pitch: number): LayerCells {
  return { columns, lines, across: pitch, down: pitch, gap: gapOf(pitch), caption: 0 };
}

/** Rows of equal cells one under the other, from `top` on. */
function stacked(
  rows: readonly ShownRow[],
  cells: LayerCells,
  top = 0,
  apart = breakOf(cells),
): LayerRow[] {
  const height = cells.lines * cells.down;
  return rows.map((row, place) => ({
    ...row,
    x: 0,
    y: top + place * (height + apart),
    height,
    cells,
  }));
}

export interface GridOptions {
  /** Lines of words above the grid. */
  readonly notes: number;
  /**
   * Place among the rows of the layer that matters most: where not all cells can be legible, those
   * near it are. Undefined where the grid is drawn whole, as high as it gets.
   */
  readonly at?: number | undefined;
}

interface Sizes {
  readonly rows: readonly ShownRow[];
  readonly most: number;
  readonly left: number;
  readonly width: number;
  readonly height: number;
  readonly top: number;
}

/** Above a grid whose columns are numbered. */
const AXIS_ABOVE = -LABELS / 2;

/** A layer is broken into lines where that makes its cells larger by so much. */
const WORTH_A_LINE = 1.25;

/** Between layers of several lines each. */
const APART = 12;

/** So few layers are all large, be their cells no wider than this. */
const FEW = 3;
const LEAST_FEW = 20;

/** Cells with words below them, where all heads have room for that; else null. */
function wordedGrid({ rows, most, width, height, top, left }: Sizes): GridLayout | null {
  const pitchOf = (lines: number) => {
    const apart = lines > 1 ? APART : 0;
    const down = Math.floor(((height - LABELS) / rows.length - apart) / lines) - CAPTION;
    return Math.min(Math.floor(width / Math.ceil(most / lines)), down, LARGEST);
  };
  let lines = 1;
  for (let next = 2; next <= most; next++) {
    if (pitchOf(next) >= WORTH_A_LINE * pitchOf(lines)) lines = next;
  }
  const pitch = pitchOf(lines);
  // Of a few layers none needs to be small for the others to be read.
  if (pitch < (rows.length <= FEW ? LEAST_FEW : WORDED)) return null;
  const cells = {
    ...evenCells(Math.ceil(most / lines), lines, pitch),
    down: pitch + CAPTION,
    caption: CAPTION,
  };
  const shared = { open: null, abreast: false };
  // Over several lines, each cell says itself which head it is.
  const axis = lines === 1 ? AXIS_ABOVE : null;
  const header = axis === null ? 0 : LABELS;
  const placed = stacked(rows, cells, 0, lines > 1 ? APART : 0);
  return { ...extent(placed), ...shared, axis, left, top: top + header, cells };
}

/** Layers of one head each, as those of a rollout, side by side. */
function abreastGrid({ rows, width, height, top }: Sizes): GridLayout {
  const cells = openCells({ most: rows.length, width }, height, LARGEST);
  const placed = rows.map((row, n): LayerRow => {
    const x = (n % cells.columns) * cells.across;
    const y = Math.floor(n / cells.columns) * cells.down;
    return { ...row, x, y, height: cells.down, cells: { ...cells, columns: 1, lines: 1 } };
  });
  const own = { ...cells, columns: 1, lines: 1 };
  const shared = { open: null, abreast: true, axis: null };
  return { ...extent(placed), ...shared, left: MARGIN, top, cells: own };
}

/** The selected layer in large cells, and all layers below it. */
function openGrid({ rows, most, width, height, top, left }: Sizes, at: number): GridLayout {
  const free = height - LABELS - BREAK;
  const room = { rows: rows.length, most, width, height: free };
  const chosen = rows[Math.min(at, rows.length - 1)] as ShownRow;
  const many = rows.length > 1;
  const large = openCells(
    { most: Math.max(1, chosen.heads.length), width },
    many ? openHeight(room) : height,
  );
  const [open] = stacked([chosen], large) as [LayerRow];
  const below = open.height + BREAK + LABELS;
  const cells = smallCells(room, height - below);
  const placed = many ? stacked(rows, cells, below) : [];
  return {
    ...extent([open, ...placed]),
    rows: placed,
    open,
    abreast: false,
    axis: many ? below - LABELS / 2 : null,
    left,
    top,
    cells,
  };
}

export function gridLayout(
  rows: readonly ShownRow[],
  frame: { width: number; height: number },
  { notes, at }: GridOptions,
): GridLayout {
  const most = Math.max(1, ...rows.map(({ heads }) => heads.length));
  const number = Math.max(0, ...rows.map(({ layer }) => layer.layer));
  const label = (text: string) => Math.ceil(textWidth(text, LABEL_SIZE, "sans", "bold"));
  let left = AXIS + label(String(number)) + 6;
  const wide = (from: number) => frame.width - from - MARGIN - HAIRLINE;
  const fits = (from: number) => Math.max(1, Math.floor(wide(from) / MIN_PITCH));
  const header = TITLE + notes * NOTE;
  const below = frame.height - header - MARGIN - HAIRLINE;
  if (at !== undefined && rows.length > 0) {
    const sizes = { rows, most, left, width: wide(left), height: below, top: header };
    if (most === 1 && rows.length > 1) return abreastGrid({ ...sizes, width: wide(MARGIN) });
    return wordedGrid(sizes) ?? openGrid(sizes, at);
  }
  const top = header + LABELS;
  const room = below - LABELS;
  if (most > fits(left)) left = AXIS + Math.max(label(String(number)), label("+888")) + 6;
  const lines = Math.ceil(most / fits(left));
  const columns = Math.ceil(most / lines);
  const across = whole(wide(left) / columns);
  const high = whole((room / rows.length - breakOf({ lines })) / lines);
  const wanted = high >= Math.min(across, LEGIBLE) ? high : COMFORTABLE;
  const cells = evenCells(columns, lines, Math.max(1, Math.min(across, wanted, MAX_PITCH)));
  const shared = { open: null, abreast: false, axis: AXIS_ABOVE };
  return { ...extent(stacked(rows, cells)), ...shared, left, top, cells };
}

/** The rows, and how large a grid they are. */
function extent(rows: readonly LayerRow[]): Pick<GridLayout, "rows" | "width" | "height"> {
  const last = rows.at(-1);
  if (!last) return { rows, width: 0, height: 0 };
  const right = ({ x, cells }: LayerRow) => x + cells.columns * cells.across - cells.gap;
  return {
    rows,
    width: Math.max(...rows.map(right)) + 2 * HAIRLINE,
    height: last.y + last.height - last.cells.gap + 2 * HAIRLINE,
  };
}

/** What is drawn: the large row of the open layer, then every layer. */
export function drawnRows({ open, rows }: GridLayout): readonly LayerRow[] {
  return open ? [open, ...rows] : rows;
}

/** The row of a layer, by its place among the stream's: the large one of the open layer; undefined where it is not on show. */
export function rowOf({ rows, open }: GridLayout, row: number): LayerRow | undefined {
  return open?.row === row ? open : rows.find((each) => each.row === row);
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
export function placeRect({ x, y, cells }: LayerRow, place: number): Rect {
  const { columns, across, down, gap, caption } = cells;
  return {
    x: x + (place % columns) * across + HAIRLINE,
    y: y + Math.floor(place / columns) * down + HAIRLINE,
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

/** Where a head is drawn: of the open layer twice, large first. */
export function headRects(layout: GridLayout, row: number, head: number): readonly Rect[] {
  return drawnRows(layout).flatMap((each) => {
    const place = each.row === row ? placeOf(each, head) : undefined;
    return place === undefined ? [] : [placeRect(each, place)];
  });
}

/** The head under a point counted from the grid's top left, or null between and beside cells. */
export function headAt(
  layout: GridLayout,
  x: number,
  y: number,
): { readonly row: number; readonly head: number } | null {
  for (const row of drawnRows(layout)) {
    const { columns, across, down } = row.cells;
    if (y < row.y || y >= row.y + row.height || x < row.x) continue;
    const column = Math.floor((x - row.x) / across);
    if (column >= columns) continue;
    const head = row.heads[Math.floor((y - row.y) / down) * columns + column];
    return head === undefined ? null : { row: row.row, head };
  }
  return null;
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
