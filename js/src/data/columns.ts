// Columns of a head: the weight that every query gives one key or several.

import type { Blocks, Rows } from "./blocks.js";

/** The columns of whatever rows are made of. */
export function columnOf(weights: Blocks["weights"]): Blocks["column"] {
  return (layer, head, key) => weights(layer, head).column?.(key) ?? null;
}

/** What every query gives some keys together; null until it has come. */
export function columnSum(rows: Rows, keys: readonly number[]): Float32Array | null {
  let sum: Float32Array | null = null;
  for (const key of keys) {
    const column = rows.column?.(key);
    if (!column) return null;
    if (keys.length === 1) return column;
    sum ??= new Float32Array(column.length);
    for (let query = 0; query < column.length; query++) {
      sum[query] = (sum[query] as number) + (column[query] as number);
    }
  }
  return sum;
}
