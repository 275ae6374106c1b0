// Neuron view: columns and heights.

import { EQUATION_LINE } from "../../marks/text/equation.js";
import type { Rect } from "../../surface/surface.js";

/** A stretch of the width. */
export interface ColumnSpan {
  readonly x: number;
  readonly width: number;
}

export interface Columns {
  readonly label: ColumnSpan;
  /** Null where the width is short: the product says more. */
  readonly key: ColumnSpan | null;
  readonly product: ColumnSpan | null;
  readonly score: ColumnSpan | null;
  readonly weight: ColumnSpan;
}

/** The lower part of the view, which is fixed while the rows scroll. Lengths in CSS pixels of the frame. */
export interface Detail {
  readonly top: number;
  readonly height: number;
  /** First line: which key, then its equation. */
  readonly equation: Rect;
  readonly contributions: { readonly head: Rect; readonly bars: Rect } | null;
  readonly result: { readonly head: Rect; readonly value: Rect; readonly output: Rect } | null;
}

export interface NeuronLayout {
  readonly columns: Columns;
  readonly headerHeight: number;
  /** Rows are seen between `headerHeight` and this. */
  readonly rowsBottom: number;
  readonly detail: Detail | null;
}

export const PAD = 10;
export const TITLE = 24;
export const STRIP = 20;
export const HEADING = 18;
export const ROW = 20;
/** How much of a row its strips and bars take. */
export const CELL = 14;
const GAP = 12;
/** Room for a number beside its bar. */
export const NUMBER = 42;
/** Narrower than this, the key vectors make room for the products. */
const NARROW = 520;
/** As wide as this, contributions and result stand side by side. */
const WIDE = 820;
const LABEL_LINE = 18;

/**
 * The strip's width: each dimension a whole number of half pixels, so that the cells of a strip are
 * equally wide, unless that would leave much of the room empty.
 */
function stripWidth(room: number, dims: number): number {
  const each = Math.floor((2 * room) / dims) / 2;
  return each * dims >= 0.85 * room ? each * dims : room;
}

export function columnsOf(width: number, headDim: number | null): Columns {
  const inner = Math.max(120, width - 2 * PAD);
  const share = (part: number, least: number, most: number) =>
    Math.round(Math.max(least, Math.min(most, part * inner)));
  const label = { x: PAD, width: share(0.17, 64, 150) };
  const start = PAD + label.width + GAP;
  if (headDim === null) {
    return {
      label,
      key: null,
      product: null,
      score: null,
      weight: { x: start, width: PAD + inner - start },
    };
  }
  const right = PAD + inner;
  const roomFor = (numbers: number) => right - 2 * (numbers + GAP) - start;
  const comfortable = share(0.16, 66, 130);
  // Bars beside the numbers give way before the strips fall below a pixel per dimension.
  const numbers = roomFor(comfortable) >= headDim ? comfortable : NUMBER;
  const weight = { x: right - numbers, width: numbers };
  const score = { x: weight.x - GAP - numbers, width: numbers };
  const room = roomFor(numbers);
  const half = Math.floor((room - GAP) / 2);
  if (width < NARROW || half < headDim) {
    const product = { x: start, width: stripWidth(room, headDim) };
    return { label, key: null, product, score, weight };
  }
  const key = { x: start, width: stripWidth(half, headDim) };
  return { label, key, product: { ...key, x: key.x + key.width + GAP }, score, weight };
}

const HEAD = 16;
const STRIP_LINE = 15;
const MIN_BARS = 22;
const MAX_BARS = 80;

const RESULT = HEAD + 2 * STRIP_LINE + 2;

/** The lower part: below the last row or, where rows scroll, at the bottom of the frame. Parts that do not fit are left out, the equation last. */
function detailOf(
  { width, height, equationLines: lines, numKeys }: Sizes,
  headerHeight: number,
  label: number,
): Detail {
  const inner = Math.max(120, width - 2 * PAD);
  const beside = width >= WIDE;
  const equation = 6 + LABEL_LINE + lines * EQUATION_LINE;
  const least = HEAD + MIN_BARS + (beside ? 0 : RESULT);
  // Two fifths of the frame; a small frame gives more, so that the chain of steps stays whole.
  // What the rows of all keys do not need is free; masked keys count, or the lower part would move with
  // the query under the pointer.
  const rows = headerHeight + numKeys * ROW;
  const small = Math.min(equation + least + PAD, 0.6 * height);
  const budget = Math.max(0.4 * height, small, height - rows);
  const room = budget - equation - PAD;
  const withBars = room >= HEAD + MIN_BARS;
  const withResult = room >= least;
  const forBars = room - HEAD - (withResult && !beside ? RESULT : 0);
  const bars = withBars ? Math.round(Math.min(MAX_BARS, forBars)) : 0;
  const parts = withBars ? HEAD + bars + (withResult && !beside ? RESULT : 0) : 0;
  const total = equation + Math.max(parts, withResult && beside ? RESULT : 0) + PAD;
  const top = Math.round(Math.min(height - total, rows));
  const y = top + equation;
  const left = beside ? Math.round(0.58 * inner) : inner;
  const x = beside ? PAD + left + 2 * GAP : PAD;
  const at = beside ? y : y + HEAD + bars + 2;
  const indent = Math.min(label + 34, 140, 0.34 * (PAD + inner - x));
  const strip = (line: number) => ({
    x: x + indent,
    y: at + HEAD + line * STRIP_LINE,
    width: PAD + inner - x - indent,
    height: STRIP_LINE - 3,
  });
  return {
    top,
    height: total,
    equation: { x: PAD, y: top + 6, width: inner, height: equation - 6 },
    contributions: withBars
      ? {
          head: { x: PAD, y, width: left, height: HEAD },
          bars: { x: PAD, y: y + HEAD, width: left, height: bars },
        }
      : null,
    result: withResult
      ? {
          head: { x, y: at, width: PAD + inner - x, height: HEAD },
          value: strip(0),
          output: strip(1),
        }
      : null,
  };
}

export interface Sizes {
  readonly width: number;
  readonly height: number;
  /** Null for a layer without vectors, which then has `reasonLines` lines to say why. */
  readonly headDim: number | null;
  readonly reasonLines: number;
  readonly numKeys: number;
  readonly equationLines: number;
}

export function neuronLayout(sizes: Sizes): NeuronLayout {
  const { width, height, headDim, reasonLines } = sizes;
  const columns = columnsOf(width, headDim);
  if (headDim === null) {
    const headerHeight = TITLE + reasonLines * 16 + 16 + HEADING;
    return { columns, headerHeight, rowsBottom: height, detail: null };
  }
  const headerHeight = TITLE + STRIP + HEADING;
  const detail = detailOf(sizes, headerHeight, columns.label.width);
  const rowsBottom = Math.max(headerHeight + ROW, detail.top);
  return { columns, headerHeight, rowsBottom, detail };
}
