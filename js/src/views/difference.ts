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

/** A − B row by row, each made once per frame. */
export function differenceRows(a: Rows, b: Rows, sinkAside: boolean, common?: Common): Rows {
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
      leaveOut(row, query, common);
      made.set(query, row);
      return row;
    },
  };
}

/** The same for two pooled pictures. */
export function differenceGrid(
  a: Grid,
  b: Grid,
  how: {
    readonly sinkAside: boolean;
    readonly shares: boolean;
    readonly common?: Common | undefined;
  },
): Grid {
  return {
    rows: Math.min(a.rows, b.rows),
    columns: Math.min(a.columns, b.columns),
    has: (index) => a.row(index) !== null && b.row(index) !== null,
    row(index) {
      const [first, second] = [a.row(index), b.row(index)];
      if (!first || !second) return null;
      const row = subtract(first, second, how.sinkAside, how.shares);
      leaveOut(row, index, how.common);
      return row;
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

/** a − b as two series: what the first has more of, and what the second has. */
export function signedSeries(
  a: Series,
  b: Series,
  sinkAside: boolean,
  colours: { readonly positive: string; readonly negative: string },
  names: readonly [string, string] = ["A > B", "B > A"],
  common?: Common,
): readonly Series[] {
  const difference = differenceRows(a.rows, b.rows, sinkAside, common);
  return [
    { ...a, name: names[0], colour: colours.positive, rows: part(difference, 1) },
    { ...b, name: names[1], colour: colours.negative, rows: part(difference, -1) },
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
