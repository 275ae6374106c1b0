// What the kernel would answer about a head, or several as one, read from rows that are in a saved page.

import type { BlockResult } from "../data/blocks.js";
import type { Decoded } from "../protocol/decode.js";
import type { BlockRequest } from "../protocol/generated.js";

/** Rows of a head as they are drawn. */
export interface DrawnRows {
  readonly rows: number;
  readonly columns: number;
  row(query: number): Float32Array | null;
  /** Whether they came in shades. */
  readonly rounded: boolean;
}

const answer = (shape: number[], data: Float32Array, rounded: boolean): Decoded => ({
  shape,
  data,
  ...(rounded ? { rounded: true } : {}),
});

/** Rows, a column or the mean of them, of a head or of several that are one; null where a row is missing. */
export function readRows(
  { rows, columns, row, rounded }: DrawnRows,
  {
    what,
    queries: [start = 0, stop = rows] = [],
    keys: [first = 0, last = columns] = [],
  }: BlockRequest,
): BlockResult | null {
  const numbers = Array.from({ length: stop - start }, (_, n) => start + n);
  const all = numbers.map(row);
  if (all.some((one) => one === null)) return null;
  const found = all as Float32Array[];
  if (what === "mean") {
    const sums = new Float64Array(columns);
    for (const one of found) {
      for (let key = 0; key < columns; key++)
        sums[key] = (sums[key] as number) + (one[key] as number);
    }
    const mean = Float32Array.from(sums, (sum) => sum / found.length);
    return answer([1, columns], mean, rounded);
  }
  const wide = last - first;
  const data = new Float32Array(found.length * wide);
  found.forEach((one, n) => {
    data.set(one.subarray(first, last), n * wide);
  });
  const shape = what === "column" ? [found.length, wide] : [1, found.length, wide];
  return answer(shape, data, rounded);
}

/** What part of heads that are one is each one's, as `HeadParts` in Python has it. */
export function togetherParts(
  heads: readonly DrawnRows[],
  { together, between = {} }: BlockRequest,
): BlockResult | null {
  const [first] = heads;
  if (!first) return null;
  const { queries = [[0, first.rows]], keys = [[0, first.columns]] } = between;
  const totals = new Float64Array(heads.length);
  for (const [top, bottom] of queries) {
    for (let query = top; query < bottom; query++) {
      const found = heads.map((head) => head.row(query));
      if (found.some((one) => one === null)) return null;
      for (const [left, right] of keys) {
        for (let key = left; key < right; key++) {
          const values = found.map((one) => one?.[key] ?? 0);
          if (together?.how === "max") addLargest(totals, values);
          else for (const [n, value] of values.entries()) totals[n] = (totals[n] as number) + value;
        }
      }
    }
  }
  const whole = totals.reduce((sum, one) => sum + one, 0) || 1;
  const rounded = heads.some((head) => head.rounded);
  return answer(
    [1, heads.length],
    Float32Array.from(totals, (one) => one / whole),
    rounded,
  );
}

/** Heads that are the largest of a pair share it; where none has any weight, none is. */
function addLargest(totals: Float64Array, values: readonly number[]): void {
  const most = Math.max(...values);
  if (!(most > 0)) return;
  const alike = values.filter((value) => value === most).length;
  values.forEach((value, n) => {
    if (value === most) totals[n] = (totals[n] as number) + 1 / alike;
  });
}
