// The difference of two heads or records: rows, columns and tiles.

import { type Aside, NOTHING_ASIDE, shadesIn } from "../../data/aside.js";
import { Matrix, type Rows } from "../../data/blocks.js";
import type { Span } from "../../data/tiles.js";
import { TILE_SIZE } from "../../protocol/constants.js";
import { type Series, shadingColumn } from "./series.js";

/** How a difference of two rows is made for drawing; numbers that are read are made elsewhere. */
function subtract(a: Float32Array, b: Float32Array, aside: Aside, shares: boolean): Float32Array {
  const row = new Float32Array(a.length);
  const [first, second] = [a, b].map((one) => shadesIn(one, shares ? aside : NOTHING_ASIDE)) as [
    (key: number) => number,
    (key: number) => number,
  ];
  for (let key = 0; key < row.length; key++) {
    row[key] = aside.has(key) ? 0 : first(key) - second(key);
  }
  return row;
}

/** A column as `subtract` has its rows: lengths as they are, but for what is set aside. */
function shadedColumn(rows: Rows, key: number, aside: Aside, lengths: boolean) {
  if (lengths && !aside.has(key)) return rows.column?.(key) ?? null;
  return shadingColumn(rows, key, aside);
}

/** Which places of two records' common axes both have. */
export interface Common {
  query(index: number): boolean;
  key(index: number): boolean;
}

/** Where only one has anything there is nothing to compare. */
function leaveOut(row: Float32Array, query: number, common: Common | undefined): void {
  if (!common) return;
  if (!common.query(query)) row.fill(0);
  for (let key = 0; key < row.length; key++) if (!common.key(key)) row[key] = 0;
}

/** a − b row by row, each made once per frame. */
export function differenceRows(a: Rows, b: Rows, aside: Aside, common?: Common): Rows {
  const made = new Map<number, Float32Array>();
  return {
    numQueries: a.numQueries,
    numKeys: a.numKeys,
    error: null,
    has: (query) => a.row(query) !== null && b.row(query) !== null,
    column(key) {
      const of = (rows: Rows) => shadedColumn(rows, key, aside, a.scale !== undefined);
      const [first, second] = [of(a), of(b)];
      if (!first || !second) return null;
      const there = common ? (query: number) => common.key(key) && common.query(query) : () => true;
      return first.map((weight, query) => (there(query) ? weight - (second[query] as number) : 0));
    },
    row(query) {
      const known = made.get(query);
      if (known) return known;
      const [first, second] = [a.row(query), b.row(query)];
      if (!first || !second) return null;
      const row = subtract(first, second, aside, a.scale === undefined);
      leaveOut(row, query, common);
      made.set(query, row);
      return row;
    },
  };
}

/** The first minus the second. */
export function minus(a: Matrix, b: Matrix): Matrix {
  const data = a.data.map((value, i) => value - (b.data[i] as number));
  return new Matrix(a.rows, a.columns, data);
}

/** One tile minus another; where common positions are given, without all others. */
export function minusTile(a: Matrix, b: Matrix, common: Common | undefined, place: Span): Matrix {
  const found = minus(a, b);
  if (!common) return found;
  const [top, left] = [TILE_SIZE * place[0], TILE_SIZE * place[1]];
  for (let row = 0; row < a.rows; row++) {
    const values = found.row(row);
    if (!common.query(top + row)) values.fill(0);
    for (let column = 0; column < a.columns; column++) {
      if (!common.key(left + column)) values[column] = 0;
    }
  }
  return found;
}

/** One sign of a difference, so that links can be drawn by size and coloured by sign. */
function part(difference: Rows, sign: 1 | -1): Rows {
  const made = new Map<number, Float32Array>();
  return {
    ...difference,
    column: (key) => difference.column?.(key)?.map((value) => Math.max(0, sign * value)) ?? null,
    row(query) {
      const known = made.get(query);
      if (known) return known;
      const row = difference.row(query)?.map((value) => Math.max(0, sign * value)) ?? null;
      if (row) made.set(query, row);
      return row;
    },
  };
}

/** a − b as two series: what the first has more of, and what the second has. */
export function signedSeries(
  a: Series,
  b: Series,
  aside: Aside,
  colours: { readonly positive: string; readonly negative: string },
  names: readonly [string, string],
  common?: Common,
): readonly Series[] {
  const difference = differenceRows(a.rows, b.rows, aside, common);
  return [
    { ...a, name: names[0], colour: colours.positive, out: false, rows: part(difference, 1) },
    { ...b, name: names[1], colour: colours.negative, out: false, rows: part(difference, -1) },
  ];
}
