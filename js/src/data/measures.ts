// Rows and means under a measure: weights times the lengths of value vectors, times gradients, or rollout.

import type { LayerMeta, Measure, StreamMeta } from "../protocol/generated.js";
import { type Blocks, type Rows, refusedRows } from "./blocks.js";
import { columnOf } from "./columns.js";
import { gradientBlocks } from "./gradients.js";

/** Why a layer has no such measure; null where it has. */
export function whyMissing(
  stream: StreamMeta,
  layer: LayerMeta | undefined,
  measure: Measure,
): string | null {
  if (measure === "rollout") {
    return stream.no_rollout === undefined ? null : `No rollout: ${stream.no_rollout}`;
  }
  if (measure === "weights") return null;
  const reason = layer?.missing?.[measure];
  if (measure === "gradient" || measure === "relevance") {
    const none = stream.metric === undefined ? (stream.no_gradients ?? WITHOUT_METRIC) : reason;
    return none === undefined ? null : `No gradients: ${none}`;
  }
  const name = measure === "value" ? "value lengths" : "lengths behind the output projection";
  return reason === undefined ? null : `No ${name}: ${reason}`;
}

const WITHOUT_METRIC =
  "recorded without a metric; attnwidget.view(model, text, tokenizer=…, metric=…) keeps its gradients.";

/** Rows of weights, each weight times the length of what its key brings along. */
function scaledRows(rows: Rows, lengths: () => Float32Array | null, failed: () => string | null) {
  const made = new Map<number, Float32Array>();
  const { numQueries, numKeys } = rows;
  return {
    numQueries,
    numKeys,
    get scale() {
      // The longest of them: what a weight of 1 could come to.
      return lengths()?.reduce((most, length) => Math.max(most, length), 0) || 1;
    },
    get error() {
      return failed() ?? rows.error;
    },
    column(key: number) {
      const [weights, factors] = [rows.column?.(key), lengths()];
      return weights && factors ? weights.map((weight) => weight * (factors[key] as number)) : null;
    },
    has: (query: number) => lengths() !== null && (rows.has?.(query) ?? rows.row(query) !== null),
    row(query: number) {
      const known = made.get(query);
      if (known) return known;
      const [weights, factors] = [rows.row(query), lengths()];
      if (!weights || !factors) return null;
      const row = weights.map((weight, key) => weight * (factors[key] as number));
      made.set(query, row);
      return row;
    },
  } satisfies Rows;
}

/** Blocks whose `weights` are those of a measure. Vectors and scores stay what they are. */
export function measuredBlocks(
  blocks: Blocks,
  stream: StreamMeta,
  measure: Measure,
  count: number,
): Blocks {
  if (measure === "weights") return blocks;
  const missing = (layer: number) =>
    whyMissing(
      stream,
      stream.layers.find((each) => each.layer === layer),
      measure,
    );
  if (measure === "gradient" || measure === "relevance") {
    return gradientBlocks(blocks, measure, missing);
  }
  if (measure === "rollout") {
    const rows = (layer: number) => {
      const why = missing(layer);
      return why === null ? blocks.rollout(layer) : refusedRows(blocks.rollout(layer), why);
    };
    return {
      ...blocks,
      weights: rows,
      column: columnOf(rows),
      tile: (layer, _head, level, place, as, when) =>
        missing(layer) === null
          ? blocks.tile(layer, 0, level, place, { ...as, measure }, when)
          : null,
      mean: (layer) => meanOf(rows(layer), count),
      error: (what, layer) =>
        missing(layer) ?? blocks.error(what === "weights" ? "rollout" : what, layer, 0),
    };
  }
  const lengths = (layer: number, head: number) => blocks.lengths(measure, layer, head);
  const weights: Blocks["weights"] = (layer, head) => {
    const why = missing(layer);
    const rows = blocks.weights(layer, head);
    if (why !== null) return refusedRows(rows, why);
    const failed = () => blocks.error("lengths", layer, head);
    return scaledRows(rows, () => lengths(layer, head), failed);
  };
  const combined: Blocks["combined"] = (heads, as) => {
    const found = blocks.combined(heads, { ...as, measure });
    const why = heads.layers?.map(missing).find((reason) => reason !== null) ?? null;
    if (why !== null)
      return { rows: refusedRows(found.rows, why), mean: () => null, error: () => why };
    // What a weight of 1 could come to: in every head, or in the one with the longest value.
    const longest = heads.heads.map((head, n) =>
      scaledRows(
        found.rows,
        () => lengths(heads.layers?.[n] ?? 0, head),
        () => null,
      ),
    );
    const all = heads.how === "sum" ? heads.heads.length : 1;
    const scale = () => all * Math.max(...longest.map((rows) => rows.scale));
    return { ...found, rows: withScale(found.rows, scale) };
  };
  return {
    ...blocks,
    weights,
    combined,
    togetherShares: (layer, heads, between, as) => {
      const why = [...(heads.layers ?? [layer])].map(missing).find((reason) => reason !== null);
      return why
        ? { error: why }
        : blocks.togetherShares(layer, heads, between, { ...as, measure });
    },
    column: columnOf(weights),
    tile: (layer, head, level, place, as, when) =>
      missing(layer) === null
        ? blocks.tile(layer, head, level, place, { ...as, measure }, when)
        : null,
    mean: (layer, head) => {
      if (missing(layer) !== null) return null;
      const [mean, factors] = [blocks.mean(layer, head), lengths(layer, head)];
      return mean && factors && mean.map((weight, key) => weight * (factors[key] as number));
    },
    error: (what, layer, head) =>
      missing(layer) ?? blocks.error("lengths", layer, head) ?? blocks.error(what, layer, head),
  };
}

/** Rows with another scale. */
export function withScale(rows: Rows, scale: () => number): Rows {
  const { numQueries, numKeys, numShown, fitted } = rows;
  return {
    numQueries,
    numKeys,
    ...(fitted ? { fitted } : {}),
    ...(numShown === undefined ? {} : { numShown }),
    get scale() {
      return scale();
    },
    get error() {
      return rows.error;
    },
    has: (query) => rows.has?.(query) ?? rows.row(query) !== null,
    column: (key) => rows.column?.(key) ?? null,
    row: (query) => rows.row(query),
  };
}

/** Mean of all rows, once they are here. */
export function meanOf(rows: Rows, count: number): Float32Array | null {
  const mean = new Float32Array(rows.numKeys);
  for (let query = 0; query < count; query++) {
    const row = rows.row(query);
    if (!row) return null;
    for (let key = 0; key < mean.length; key++) {
      mean[key] = (mean[key] as number) + (row[key] as number) / count;
    }
  }
  return mean;
}
