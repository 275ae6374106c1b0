// Rows of weights times gradients, with their sign or the positive part of them; their scale ends at the largest of them.

import { LARGEST_WHOLE_HEAD } from "../protocol/constants.js";
import { type Blocks, type Matrix, type Rows, refusedRows } from "./blocks.js";
import { columnOf } from "./columns.js";

export type GradientMeasure = "gradient" | "relevance";

/** What is made of rows that have come, as long as they are kept. */
const kept = new WeakMap<ArrayBufferLike, Map<string, number | Float32Array>>();

function keptWith(row: Float32Array): Map<string, number | Float32Array> {
  const known = kept.get(row.buffer) ?? new Map<string, number | Float32Array>();
  kept.set(row.buffer, known);
  return known;
}

function largestOf(values: Float32Array, most: number): number {
  let largest = most;
  for (let at = 0; at < values.length; at++) {
    // Also passes over NaN.
    const size = Math.abs(values[at] as number);
    if (size > largest) largest = size;
  }
  return largest;
}

/**
 * The largest size in some rows, where their scale ends: of a head that comes whole that of all of its rows, of a longer
 * one that of its map. Null while it is not known.
 */
export function largestSize(rows: Rows, map: () => Matrix | null): number | null {
  const { numQueries, numKeys } = rows;
  if (numQueries * numKeys > LARGEST_WHOLE_HEAD) {
    const tile = map();
    return tile && largestOf(tile.data, 0);
  }
  const first = rows.row(0);
  if (!first) return null;
  const known = keptWith(first);
  const name = `largest ${first.byteOffset} ${rows.numShown}`;
  const found = known.get(name);
  if (typeof found === "number") return found;
  let most = 0;
  for (let query = 0; query < numQueries; query++) {
    const row = rows.row(query);
    if (!row) return null;
    most = largestOf(row, most);
  }
  known.set(name, most);
  return most;
}

const positive = (values: Float32Array) => values.map((value) => Math.max(0, value));

/** The positive part of a row, the same array as long as the row is kept. */
function positiveRow(row: Float32Array): Float32Array {
  const known = keptWith(row);
  const name = `positive ${row.byteOffset} ${row.length}`;
  const found = known.get(name);
  if (found instanceof Float32Array) return found;
  const made = positive(row);
  known.set(name, made);
  return made;
}

/** Rows of a measure, each made once of those that have come; where their scale ends is read from them. */
function rowsOf(rows: Rows, measure: GradientMeasure): Rows {
  const all = measure === "gradient";
  const { numQueries, numKeys, numShown } = rows;
  return {
    numQueries,
    numKeys,
    ...(numShown === undefined ? {} : { numShown }),
    fitted: true,
    scale: 1,
    get error() {
      return rows.error;
    },
    row(query) {
      const row = rows.row(query);
      return all || !row ? row : positiveRow(row);
    },
    column(key) {
      const column = rows.column?.(key);
      return all || !column ? (column ?? null) : positive(column);
    },
  };
}

/** Blocks whose `weights` are weights times gradients, of the layers that have any. */
export function gradientBlocks(
  blocks: Blocks,
  measure: GradientMeasure,
  missing: (layer: number) => string | null,
): Blocks {
  const weights: Blocks["weights"] = (layer, head) => {
    const why = missing(layer);
    const rows = blocks.gradient(layer, head);
    if (why !== null) return refusedRows(rows, why);
    return rowsOf(rows, measure);
  };
  const combined: Blocks["combined"] = (heads, as) => {
    const found = blocks.combined(heads, { ...as, measure });
    const why = heads.layers?.map(missing).find((reason) => reason !== null) ?? null;
    if (why !== null) {
      return { rows: refusedRows(found.rows, why), mean: () => null, error: () => why };
    }
    return { ...found, rows: rowsOf(found.rows, "gradient") };
  };
  return {
    ...blocks,
    weights,
    combined,
    togetherShares: (layer, heads, between, as) => {
      const why = [...(heads.layers ?? [layer])].map(missing).find((reason) => reason !== null);
      if (why) return { error: why };
      if (measure === "gradient") return { error: BOTH_SIGNS };
      return blocks.togetherShares(layer, heads, between, { ...as, measure });
    },
    column: columnOf(weights),
    tile: (layer, head, level, place, as, when) =>
      missing(layer) === null
        ? blocks.tile(layer, head, level, place, { ...as, measure }, when)
        : null,
    mean: (layer, head) => (missing(layer) === null ? blocks.mean(layer, head, measure) : null),
    error: (what, layer, head) =>
      missing(layer) ?? blocks.error(what === "weights" ? "gradient" : what, layer, head),
  };
}

/** Why there are no parts and no shares of the gradient. */
export const BOTH_SIGNS =
  "Numbers of both signs add up to no whole that there could be parts of: choose relevance, their positive part.";
