import type { Rows } from "../data/blocks.js";
import type { Grid } from "../marks/matrix.js";
import { type Series, shadingWeight } from "./series.js";

/** How a difference of two rows is made for drawing; numbers that are read are made elsewhere. */
function subtract(
  a: Float32Array,
  b: Float32Array,
  sinkAside: boolean,
  shares: boolean,
): Float32Array {
  const row = new Float32Array(a.length);
  for (let key = 0; key < row.length; key++) {
    row[key] = shares
      ? shadingWeight(a, key, sinkAside) - shadingWeight(b, key, sinkAside)
      : (a[key] as number) - (b[key] as number);
  }
  if (sinkAside) row[0] = 0;
  return row;
}

/** A − B row by row, each made once per frame. */
export function differenceRows(a: Rows, b: Rows, sinkAside: boolean): Rows {
  const made = new Map<number, Float32Array>();
  return {
    numQueries: a.numQueries,
    numKeys: a.numKeys,
    error: null,
    has: (query) => a.row(query) !== null && b.row(query) !== null,
    row(query) {
      const known = made.get(query);
      if (known) return known;
      const [first, second] = [a.row(query), b.row(query)];
      if (!first || !second) return null;
      const row = subtract(first, second, sinkAside, a.scale === undefined);
      made.set(query, row);
      return row;
    },
  };
}

/** The same for two pooled pictures. */
export function differenceGrid(a: Grid, b: Grid, sinkAside: boolean, shares: boolean): Grid {
  return {
    rows: Math.min(a.rows, b.rows),
    columns: Math.min(a.columns, b.columns),
    has: (index) => a.row(index) !== null && b.row(index) !== null,
    row(index) {
      const [first, second] = [a.row(index), b.row(index)];
      return first && second ? subtract(first, second, sinkAside, shares) : null;
    },
  };
}

/** One sign of a difference, so that links can be drawn by size and coloured by sign. */
function part(difference: Rows, sign: 1 | -1): Rows {
  const made = new Map<number, Float32Array>();
  return {
    ...difference,
    row(query) {
      const known = made.get(query);
      if (known) return known;
      const row = difference.row(query)?.map((value) => Math.max(0, sign * value)) ?? null;
      if (row) made.set(query, row);
      return row;
    },
  };
}

/** A − B as two series: what A has more of, and what B has. */
export function signedSeries(
  a: Series,
  b: Series,
  sinkAside: boolean,
  colours: { readonly positive: string; readonly negative: string },
): readonly Series[] {
  const difference = differenceRows(a.rows, b.rows, sinkAside);
  return [
    { ...a, name: "A > B", colour: colours.positive, rows: part(difference, 1) },
    { ...b, name: "B > A", colour: colours.negative, rows: part(difference, -1) },
  ];
}

/** The largest difference either way: the end of the diverging scale. */
export function largestDifference(grid: Grid): number {
  let most = 0;
  for (let index = 0; index < grid.rows; index++) {
    grid.row(index)?.forEach((value) => {
      if (Math.abs(value) > most) most = Math.abs(value);
    });
  }
  return most;
}
