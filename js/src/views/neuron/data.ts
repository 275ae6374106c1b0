// What the neuron view explains, read from the scene: query, focus key, vectors, scores, weights, order of keys.

import type { Extents } from "../../data/blocks.js";
import { strongestFirst, strongestOf } from "../../data/strongest-first.js";
import { memo } from "../../marks/memo.js";
import { equationTerms, type Ingredients, type Term } from "../../marks/text/equation.js";
import type { LayerMeta } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import { type KeyGroup, keysSeen } from "./masked-keys.js";

/** What the neuron view shows of one link, read from a scene. Null: not here yet. */
export interface NeuronData {
  readonly layer: LayerMeta;
  readonly head: number;
  readonly query: number;
  readonly querySource: "pinned" | "hovered" | "last";
  readonly scores: Float32Array | null;
  readonly weights: Float32Array | null;
  readonly queryVector: Float32Array | null;
  /** Of the focus key. */
  readonly keyVector: Float32Array | null;
  readonly valueVector: Float32Array | null;
  readonly output: Float32Array | null;
  /** Where the colour scales of the head's vectors end. */
  readonly extents: Extents | null;
  /** Keys that the query sees, in the order of the rows. */
  readonly listed: readonly number[];
  /** Keys that it does not see, by the reason. */
  readonly masked: readonly KeyGroup[];
  /** The key that is explained; -1 when there is none. */
  readonly focus: number;
  readonly focusSource: "hovered" | "pinned" | "strongest";
  /** What the sink takes of the weight; null where the layer has none, or it is not known yet. */
  readonly sinkWeight: number | null;
  readonly error: string | null;
}

/**
 * The query in question: the pinned one, else the one under the pointer in any view, else the last,
 * so that there is a picture before anything was chosen.
 */
export function activeQuery({
  state,
  hover,
  queries,
}: Scene): Pick<NeuronData, "query" | "querySource"> {
  const inRange = (query: number | null | undefined): query is number =>
    query !== null && query !== undefined && query < queries.length;
  if (inRange(state.query)) return { query: state.query, querySource: "pinned" };
  if (inRange(hover?.query)) return { query: hover.query, querySource: "hovered" };
  return { query: Math.max(0, queries.length - 1), querySource: "last" };
}

function strongest(listed: readonly number[], values: Float32Array | null): number {
  return values ? strongestOf(listed, values) : (listed[0] ?? -1);
}

function focusOf(
  { hover, state, keys }: Scene,
  best: number,
): Pick<NeuronData, "focus" | "focusSource"> {
  const isKey = (key: number | null | undefined): key is number =>
    key !== null && key !== undefined && key < keys.length;
  if (isKey(hover?.key)) return { focus: hover.key, focusSource: "hovered" };
  if (isKey(state.key)) return { focus: state.key, focusSource: "pinned" };
  return { focus: best, focusSource: "strongest" };
}

/** Keys by falling weight; sorted once for a row of numbers, since the pointer draws often. */
function byStrength(seen: readonly number[], known: Float32Array): readonly number[] {
  // A row is a new view of the same bytes every time it is read.
  return memo(known.buffer, `by strength ${known.byteOffset} ${seen.length}`, () =>
    [...seen].sort((a, b) => strongestFirst(known[a] as number, known[b] as number) || a - b),
  );
}

/** The listed keys by falling weight, whatever their rows' order. */
export function strongestListed({
  listed,
  weights,
  scores,
}: Pick<NeuronData, "listed" | "weights" | "scores">): readonly number[] {
  const known = weights ?? scores;
  return known ? byStrength(listed, known) : listed;
}

/** Why a head cannot be explained; values are a chapter of their own: without them the weight is all the same. */
export function explanationError({ blocks, layer }: Scene, head: number): string | null {
  const needed = layer.has_vectors
    ? (["weights", "scores", "query_vectors", "key_vectors"] as const)
    : (["weights"] as const);
  const errors = needed.map((what) => blocks.error(what, layer.layer, head));
  return errors.find((text) => text !== null) ?? null;
}

/** The sink's share: e^sink against a key whose score and weight are known. */
function sinkShare(
  sink: number | null,
  best: number,
  scores: Float32Array | null,
  weights: Float32Array | null,
): number | null {
  const [score, weight] = [scores?.[best], weights?.[best]];
  if (sink === null || score === undefined || weight === undefined) return null;
  return Number.isFinite(score) ? Math.exp(sink - score) * weight : 1;
}

const VECTORS = ["query_vectors", "key_vectors", "value_vectors", "output"] as const;

/** Vectors of the link; a layer without any is asked for none. */
function vectorsOf(
  { blocks, layer }: Scene,
  head: number,
  query: number,
  focus: number,
): Pick<NeuronData, "queryVector" | "keyVector" | "valueVector" | "output" | "extents"> {
  if (!layer.has_vectors) {
    return { queryVector: null, keyVector: null, valueVector: null, output: null, extents: null };
  }
  const at = (what: (typeof VECTORS)[number], position: number) =>
    position < 0 ? null : blocks.vectors(what, layer.layer, head).row(position);
  return {
    queryVector: at("query_vectors", query),
    keyVector: at("key_vectors", focus),
    valueVector: at("value_vectors", focus),
    output: at("output", query),
    extents: blocks.extents(layer.layer, head),
  };
}

export function readNeuron(scene: Scene): NeuronData {
  const { blocks, layer, state } = scene;
  const head = state.heads[0] ?? 0;
  const active = activeQuery(scene);
  const of = [layer.layer, head] as const;
  const weights = blocks.weights(...of).row(active.query);
  const scores = layer.has_vectors ? blocks.scores(...of).row(active.query) : null;
  const known = weights ?? scores;
  const { seen, masked } = keysSeen(scene, active.query, { scores, weights });
  const byWeight = scene.options.keyOrder === "weight" && known !== null;
  const listed = byWeight ? byStrength(seen, known) : seen;
  const best = strongest(listed, known);
  const focus = focusOf(scene, best);
  return {
    layer,
    head,
    ...active,
    scores,
    weights,
    ...vectorsOf(scene, head, active.query, focus.focus),
    listed,
    masked,
    ...focus,
    sinkWeight: sinkShare(layer.sinks?.[head] ?? null, best, scores, weights),
    error: explanationError(scene, head),
  };
}

/** Σ q·k in double precision, or null while a vector is missing. */
function dotProduct(
  query: Float32Array | null,
  key: Float32Array | null | undefined,
): number | null {
  if (!query || !key) return null;
  let sum = 0;
  for (let d = 0; d < query.length; d++) sum += (query[d] as number) * (key[d] as number);
  return sum;
}

/** Element by element, in double precision; null while a vector is missing. */
export function products({
  queryVector,
  keyVector,
}: Pick<NeuronData, "queryVector" | "keyVector">): Float64Array | null {
  if (!queryVector || !keyVector) return null;
  return Float64Array.from(queryVector, (value, d) => value * (keyVector[d] as number));
}

/** Dimensions of the bars from left to right, the largest product first; null is their own order. */
export function dimensionOrder(scene: Scene, data: NeuronData): Int32Array | null {
  const parts = products(data);
  if (scene.options.dimensionOrder === "index" || !parts) return null;
  const order = Int32Array.from(parts, (_, d) => d);
  const size = (d: number) => Math.abs(parts[d] as number);
  return order.sort((a, b) => strongestFirst(size(a), size(b)) || a - b);
}

/** What the focus key's weight was computed from. */
export function ingredients(scene: Scene, data: NeuronData): Ingredients {
  const { layer, head, focus, query, scores, weights, queryVector, keyVector, listed } = data;
  const bias = layer.bias ? scene.blocks.bias(layer.layer, head).row(query) : undefined;
  return {
    dot: dotProduct(queryVector, keyVector),
    scaling: layer.scaling,
    softcap: layer.softcap,
    bias: bias === undefined ? undefined : (bias?.[focus] ?? null),
    score: scores?.[focus] ?? null,
    weight: weights?.[focus] ?? null,
    numKeys: listed.length,
    sink: layer.sinks?.[head] ?? null,
  };
}

/** How the focus key's weight comes about. */
export function focusTerms(scene: Scene, data: NeuronData): readonly Term[] {
  return equationTerms(ingredients(scene, data));
}
