// Neuron view, one link: columns, heights, and which keys have a row.

import { EQUATION_LINE } from "../../marks/text/equation.js";
import type { Rect } from "../../surface/surface.js";

/** A stretch of the width. */
export interface ColumnSpan {
  readonly x: number;
  readonly width: number;
}

export interface Columns {
  /** Names of strips, and keys. */
  readonly label: ColumnSpan;
  /** Vectors, and the bars of their products. */
  readonly strip: ColumnSpan;
  /** Where the scale of a strip stands. */
  readonly scale: ColumnSpan;
  /** Numbers end at its right; null for a layer without scores. */
  readonly score: ColumnSpan | null;
  readonly bar: ColumnSpan;
  readonly weight: ColumnSpan;
}

export const PAD = 10;
/** Two lines: the question, and which head and query it is about. */
export const HEADER = 42;
const STRIP_LINE = 18;
/** How much of a line a strip and a bar take. */
export const CELL = 13;
export const ROW = 18;
const BARS = 40;
const HEADING = 20;
export const REASON_LINE = 16;
const CAPTION = 18;
const GAP = 8;
/** Room for a line below everything: what is asked next stands there. */
const NEXT = 24;
const NUMBER = 42;
/** Rows that there are at least, however low the view. */
const LEAST_ROWS = 4;

/** A bar keeps so much of the width where labels are long; with what stands beside it there. */
const LEAST_BAR = 90;
const SCORES = 56 + 14;
const LONGEST_LABELS = 0.4;

/** `labels` is what the longest label takes. */
export function columnsOf(width: number, hasScores: boolean, labels = 0): Columns {
  const right = Math.max(160, width) - PAD;
  const inner = right - PAD;
  const usual = Math.max(56, Math.min(150, 0.22 * inner));
  const others = 8 + (hasScores ? SCORES : 0) + LEAST_BAR + 52;
  const longest = Math.min(LONGEST_LABELS * inner, inner - others);
  const label = { x: PAD, width: Math.round(Math.max(usual, Math.min(labels, longest))) };
  const start = label.x + label.width + 8;
  const scale = { x: right - NUMBER, width: NUMBER };
  const strip = { x: start, width: Math.max(24, scale.x - 6 - start) };
  const score = hasScores ? { x: start, width: SCORES - 14 } : null;
  const weight = { x: right - 46, width: 46 };
  const bars = score ? score.x + score.width + 14 : start;
  return {
    label,
    strip,
    scale,
    score,
    bar: { x: bars, width: Math.max(10, weight.x - 6 - bars) },
    weight,
  };
}

export interface Sizes {
  readonly width: number;
  /** Null for a layer without vectors, which has `reasonLines` lines to say why. */
  readonly hasVectors: boolean;
  readonly hasValues: boolean;
  /** What the longest label of a key takes. */
  readonly labels: number;
  /** How many directions have a row. */
  readonly directions: number;
  readonly reasonLines: number;
  readonly equationLines: number;
  /** How high the view may be. */
  readonly height: number;
  readonly rows: RowCounts;
  /** A row for every key, whether they fit or not. */
  readonly allKeys: boolean;
}

/** How many lines of each kind the table would like. */
export interface RowCounts {
  readonly keys: number;
  readonly sink: number;
  readonly masked: number;
}

/** Tops and heights, in pixels of the content; null for what is not there. */
export interface LinkLayout {
  readonly columns: Columns;
  readonly reason: Rect | null;
  readonly query: Rect | null;
  readonly key: Rect | null;
  readonly product: Rect | null;
  readonly bars: Rect | null;
  /** What the rows of directions are, and those; none without directions. */
  readonly directionsTitle: Rect | null;
  readonly directions: readonly Rect[];
  readonly equation: Rect | null;
  /** The table's heading. */
  readonly heading: Rect;
  readonly tableTop: number;
  /** Lines that the table has. */
  readonly lines: number;
  /** Whether all keys have a line only because the reader asked for it. */
  readonly expanded: boolean;
  readonly caption: Rect | null;
  readonly value: Rect | null;
  readonly output: Rect | null;
  readonly height: number;
}

/** Of the lines that say why a layer has no vectors, and the room below them. */
export const reasonHeight = (lines: number) => lines * REASON_LINE + 10;

const total = ({ keys, sink, masked }: RowCounts) => keys + sink + masked;

export function linkLayout(sizes: Sizes): LinkLayout {
  const { width, hasVectors, hasValues, reasonLines, equationLines, height, allKeys } = sizes;
  const columns = columnsOf(width, hasVectors, sizes.labels);
  const inner = { x: PAD, width: Math.max(140, width - 2 * PAD) };
  let y = HEADER;
  const take = (lines: number, span: ColumnSpan = inner): Rect => {
    const rect = { x: span.x, y, width: span.width, height: lines };
    y += lines;
    return rect;
  };
  const reason = hasVectors ? null : take(reasonHeight(reasonLines));
  const strip = () => (hasVectors ? take(STRIP_LINE, columns.strip) : null);
  const [query, key, product] = [strip(), strip(), strip()];
  if (hasVectors) y += 2;
  const bars = hasVectors ? take(BARS, columns.strip) : null;
  const shown = hasVectors ? sizes.directions : 0;
  const directionsTitle = shown > 0 ? take(STRIP_LINE) : null;
  const directions = Array.from({ length: shown }, () => take(STRIP_LINE, columns.strip));
  if (hasVectors) y += GAP / 2;
  const equation = hasVectors ? take(equationLines * EQUATION_LINE) : null;
  const heading = take(HEADING);
  const result = hasVectors && hasValues ? GAP / 2 + CAPTION + 2 * STRIP_LINE : 0;
  const wanted = total(sizes.rows);
  const free = height - y - result - NEXT;
  const fit = Math.max(LEAST_ROWS, Math.floor(free / ROW));
  const fits = wanted <= fit;
  const expanded = allKeys && !fits;
  // One line says how to go back to the strongest.
  const lines = fits ? wanted : expanded ? wanted + 1 : fit;
  const tableTop = y;
  y += lines * ROW + (result > 0 ? GAP / 2 : 0);
  const caption = result > 0 ? take(CAPTION) : null;
  const [value, output] = result > 0 ? [strip(), strip()] : [null, null];
  return {
    columns,
    reason,
    query,
    key,
    product,
    bars,
    directionsTitle,
    directions,
    equation,
    heading,
    tableTop,
    lines,
    expanded,
    caption,
    value,
    output,
    height: y + NEXT,
  };
}

/** A line of the table. */
export type TableLine =
  | { readonly kind: "key"; readonly key: number }
  | { readonly kind: "sink" }
  | { readonly kind: "more"; readonly keys: readonly number[] }
  | { readonly kind: "fewer" }
  | { readonly kind: "masked"; readonly group: number };

/**
 * What each line of the table is: the keys in their order as far as they fit, always the one in
 * question, then how many more there are, the sink, and the masked keys.
 */
export function tableLines(
  lines: number,
  expanded: boolean,
  listed: readonly number[],
  strongestFirst: readonly number[],
  focus: number,
  rest: { readonly sink: number; readonly masked: number },
): { readonly count: number; at(line: number): TableLine | null } {
  const before: TableLine[] = expanded ? [{ kind: "fewer" }] : [];
  const after: TableLine[] = [
    ...(rest.sink > 0 ? [{ kind: "sink" } as const] : []),
    ...Array.from({ length: rest.masked }, (_, group) => ({ kind: "masked", group }) as const),
  ];
  const room = lines - before.length - after.length;
  let keys: readonly number[] = listed;
  if (listed.length > room) {
    const shown = new Set(strongestFirst.slice(0, Math.max(1, room - 1)));
    if (focus >= 0 && !shown.has(focus) && listed.includes(focus)) {
      const least = strongestFirst[shown.size - 1];
      if (least !== undefined) shown.delete(least);
      shown.add(focus);
    }
    keys = listed.filter((key) => shown.has(key));
    after.unshift({ kind: "more", keys: listed.filter((key) => !shown.has(key)) });
  }
  const count = before.length + keys.length + after.length;
  return {
    count,
    at: (line) => {
      const place = line - before.length;
      if (place < 0) return before[line] ?? null;
      const key = keys[place];
      return key === undefined ? (after[place - keys.length] ?? null) : { kind: "key", key };
    },
  };
}
