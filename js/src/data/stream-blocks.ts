// `Blocks` of one stream over the store.

import type { BlockRequest, Request, StreamMeta } from "../protocol/generated.js";
import { BandedRows, type Sized } from "./banded-rows.js";
import { type Blocks, Matrix, type When } from "./blocks.js";
import { readPart } from "./parts.js";
import { bandRows, keysOf } from "./requests.js";
import { BATCH_BYTES, type BlockStore } from "./store.js";
import { BandedVectors } from "./vectors.js";

/** Shares by the block they came in: the same matrices at every frame, for what is made of them and kept. */
const sharesIn = new WeakMap<Float32Array, readonly Matrix[]>();

function sharesOf(data: Float32Array, [heads = 0, rows = 0, columns = 0]: readonly number[]) {
  const size = rows * columns;
  const found =
    sharesIn.get(data) ??
    Array.from(
      { length: heads },
      (_, head) => new Matrix(rows, columns, data.subarray(head * size, head * size + size)),
    );
  sharesIn.set(data, found);
  return found;
}

/** The blocks of one stream out of a store, as the views read them. */
export function streamBlocks(
  store: BlockStore,
  stream: StreamMeta,
  sizes: Sized,
  side?: string,
): Blocks {
  const name = stream.name;
  const of = side ? { side } : {};
  const matrix = (request: Request, when: When = "now"): Matrix | null => {
    const bytes = request.what === "tile" && request.level === 0 ? 1 << 18 : 1 << 16;
    const result = when === "now" ? store.get(request, bytes) : store.peek(request, when);
    if (!result || "error" in result) return null;
    const [rows = 0, columns = 0] = result.shape.slice(-2);
    return new Matrix(rows, columns, result.data);
  };
  const rows = (what: BlockRequest["what"]) => (layer: number, head: number) =>
    new BandedRows(store, { what, stream: name, layer, head, ...of }, sizes);
  const weights = rows("weights");
  return {
    weights,
    scores: rows("scores"),
    bias: rows("bias"),
    vectors: (what, layer, head) => {
      const count =
        what === "query_vectors" || what === "output" ? sizes.numQueries : sizes.numKeys;
      const dims = stream.layers.find((each) => each.layer === layer)?.head_dim ?? 1;
      const request: BlockRequest = { what, stream: name, layer, head, ...of };
      // A row of the output costs one of the weights: no more of them are asked for at a time.
      const most = what === "output" ? bandRows(sizes.numKeys) : count;
      return new BandedVectors(store, request, count, Math.min(bandRows(dims), Math.max(1, most)));
    },
    extents: (layer, head) => {
      const found = matrix({ what: "extents", stream: name, layer, head })?.data;
      if (!found) return null;
      const [query = 0, key = 0, product = 0, value = 0] = found;
      return { query, key, product, value };
    },
    geometry: (layer, head) => store.get({ what: "geometry", stream: name, layer, head, ...of }),
    part: (what, layer, head, queries, keys) =>
      readPart(store, { what, stream: name, layer, head, ...of }, sizes, queries, keys),
    tile: (layer, head, level, [row, column], as, when) =>
      matrix(
        {
          what: "tile",
          stream: name,
          layer,
          head,
          level,
          tile: [row, column],
          ...as,
          ...of,
        },
        when,
      ),
    column: (layer, head, key) => weights(layer, head).column(key),
    lengths: (measure, layer, head) =>
      matrix({ what: "lengths", stream: name, layer, head, measure, ...of })?.row(0) ?? null,
    gradient: rows("gradient"),
    rollout: (layer) => rows("rollout")(layer, 0),
    overview: (measure, layer, size) => {
      const result = store.get({ what: "overview", stream: name, layer, head: 0, size, measure });
      if (!result || "error" in result) return result;
      const [, rows = 0, columns = 0] = result.shape;
      return { rows, columns, data: result.data };
    },
    groupShares: (grouping, layer, as) => {
      const asked = { what: "group_shares", stream: name, layer, head: 0, grouping } as const;
      const result = store.get({ ...asked, ...as, ...of });
      return !result || "error" in result ? result : sharesOf(result.data, result.shape);
    },
    mean: (layer, head, measure) =>
      matrix({ what: "mean", stream: name, layer, head, ...(measure ? { measure } : {}) })?.row(
        0,
      ) ?? null,
    combined: (together, { sizes: own = sizes, ...as } = {}) => {
      const at = { stream: name, layer: together.layers?.[0] ?? 0, head: together.heads[0] ?? 0 };
      const asked = { ...at, together, ...as };
      return {
        rows: new BandedRows(store, { what: "weights", ...asked }, own),
        mean: () => matrix({ what: "mean", ...asked })?.row(0) ?? null,
        error: (what) => store.errorUnder(keysOf({ what, ...at, together })),
      };
    },
    togetherShares: (layer, together, between, { sizes: _, ...as } = {}) => {
      const at = { stream: name, layer, head: together.heads[0] ?? 0 };
      const request = { what: "together_shares", ...at, together, between, ...as } as const;
      // Over all queries it may take long, and holds up nothing else.
      const result = store.get(request, between.queries ? 1 << 12 : BATCH_BYTES);
      return !result || "error" in result ? result : result.data;
    },
    heads: (request, when = "now") => {
      if (when !== "now") return store.peek({ ...request, stream: name }, when);
      // Numbers that take long to make come in a batch of their own, and hold up nothing else.
      const scores = store.wanted({ ...request, what: "head_scores", stream: name });
      const bytes = request.what === "head_labels" && scores ? 0 : BATCH_BYTES;
      return store.get({ ...request, stream: name }, bytes);
    },
    error: (what, layer, head) => store.errorUnder(keysOf({ what, stream: name, layer, head })),
  };
}
