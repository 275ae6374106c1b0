// What the neuron view shows, read from the scene: keys, vectors, products, order.

import type { Matrix } from "../../data/blocks.js";
import { strongestFirst, strongestOf } from "../../data/strongest-first.js";
import { largest } from "../../marks/matrix/vector-strip.js";
import { equationTerms, type Ingredients, type Term } from "../../marks/text/equation.js";
import type { LayerMeta } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";

/** What the neuron view shows, read from a scene. Null: not here yet. */
export interface NeuronData {
  readonly layer: LayerMeta;
  readonly head: number;
  readonly query: number;
  readonly querySource: "pinned" | "hovered" | "last";
  readonly scores: Float32Array | null;
  readonly weights: Float32Array | null;
  readonly queryVector: Float32Array | null;
  readonly keyVectors: Matrix | null;
  /** Keys that have a row, in the rows' order. */
  readonly listed: readonly number[];
  /** What became of the keys that have none; null when every key has one. */
  readonly left: string | null;
  /** The key that equation and contributions are about; -1 when there is none. */
  readonly focus: number;
  readonly focusSource: "hovered" | "pinned" | "strongest";
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

/** Whether the query may see a key, from the most exact thing that is here. */
function visibility(
  layer: LayerMeta,
  query: number,
  given: { scores: Float32Array | null; weights: Float32Array | null; square: boolean },
): (key: number) => boolean {
  const { scores, weights } = given;
  if (scores) return (key) => scores[key] !== Number.NEGATIVE_INFINITY;
  if (weights) return (key) => weights[key] !== 0;
  // With a cache in use, positions of queries and keys do not count from the same start.
  if (!layer.causal || !given.square) return () => true;
  const first = layer.window === null ? 0 : query - layer.window + 1;
  return (key) => key <= query && key >= first;
}

/** "12 later keys masked", for the keys that are not listed. */
function describeLeft(listed: readonly number[], numKeys: number, what: string): string | null {
  const count = numKeys - listed.length;
  const [first, last] = [listed[0], listed.at(-1)];
  if (count === 0 || first === undefined || last === undefined) return null;
  const [earlier, later] = [first, numKeys - 1 - last];
  const keys = (n: number) => (n === 1 ? "key" : "keys");
  if (later === count) return `${count} later ${keys(count)} ${what}`;
  if (earlier === count) return `${count} earlier ${keys(count)} ${what}`;
  if (earlier + later === count) return `${earlier} earlier and ${later} later keys ${what}`;
  return `${count} ${keys(count)} ${what}`;
}

function strongest(listed: readonly number[], values: Float32Array | null): number {
  return values ? strongestOf(listed, values) : (listed[0] ?? -1);
}

function listKeys(
  scene: Scene,
  query: number,
  given: { scores: Float32Array | null; weights: Float32Array | null },
): Pick<NeuronData, "listed" | "left"> {
  const numKeys = scene.keys.length;
  const square = scene.queries.length === numKeys;
  const visible = visibility(scene.layer, query, { ...given, square });
  const all = Array.from({ length: numKeys }, (_, key) => key);
  const seen = all.filter(visible);
  if (seen.length === 0) return { listed: all, left: "every key is masked for this query" };
  const left = describeLeft(seen, numKeys, given.scores ? "masked" : "with weight 0");
  const known = given.weights ?? given.scores;
  if (scene.options.keyOrder === "weight" && known) {
    seen.sort((a, b) => strongestFirst(known[a] as number, known[b] as number) || a - b);
  }
  return { listed: seen, left: given.scores || given.weights ? left : null };
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

export function readNeuron(scene: Scene): NeuronData {
  const { blocks, layer, state } = scene;
  const head = state.heads[0] ?? 0;
  const active = activeQuery(scene);
  const of = [layer.layer, head] as const;
  const weights = blocks.weights(...of).row(active.query);
  let [scores, queryVector, keyVectors]: [Float32Array | null, Float32Array | null, Matrix | null] =
    [null, null, null];
  if (layer.has_vectors) {
    scores = blocks.scores(...of).row(active.query);
    queryVector = blocks.vectors("query_vectors", ...of)?.row(active.query) ?? null;
    keyVectors = blocks.vectors("key_vectors", ...of);
  }
  const list = listKeys(scene, active.query, { scores, weights });
  const wanted = layer.has_vectors
    ? (["weights", "scores", "query_vectors", "key_vectors"] as const)
    : (["weights"] as const);
  const error = wanted.map((what) => blocks.error(what, ...of)).find((text) => text !== null);
  return {
    layer,
    head,
    ...active,
    scores,
    weights,
    queryVector,
    keyVectors,
    ...list,
    ...focusOf(scene, strongest(list.listed, weights ?? scores)),
    error: error ?? null,
  };
}

/** Σ q·k in double precision, or null while a vector is missing. */
export function dotProduct(
  query: Float32Array | null,
  key: Float32Array | null | undefined,
): number | null {
  if (!query || !key) return null;
  let sum = 0;
  for (let d = 0; d < query.length; d++) sum += (query[d] as number) * (key[d] as number);
  return sum;
}

/** Element by element, in single precision: for colours, not for numbers. */
export function products(query: Float32Array, key: Float32Array): Float32Array {
  return query.map((value, d) => value * (key[d] as number));
}

const largestOf = new WeakMap<Float32Array, number>();

/** Largest magnitude in a block, found once per block. */
export function largestIn(values: Float32Array): number {
  let known = largestOf.get(values);
  if (known === undefined) {
    known = largest(values);
    largestOf.set(values, known);
  }
  return known;
}

/** Largest |q_d · k_d| over the keys that have a row: one scale for all of them. */
export function largestProduct({ queryVector, keyVectors, listed }: NeuronData): number {
  if (!queryVector || !keyVectors) return 0;
  let max = 0;
  for (const key of listed) {
    const vector = keyVectors.row(key);
    for (let d = 0; d < vector.length; d++) {
      const size = Math.abs((queryVector[d] as number) * (vector[d] as number));
      if (size > max) max = size;
    }
  }
  return Number.isFinite(max) ? max : 0;
}

/**
 * The key whose contributions the dimensions are sorted by: the pinned one, else the strongest.
 * Sorting by the key under the pointer would move the very cells that it points at.
 */
export function sortingKey({ state, keys }: Scene, data: NeuronData): number {
  const { key } = state;
  if (key !== null && key < keys.length) return key;
  return strongest(data.listed, data.weights ?? data.scores);
}

/** Dimensions from left to right, the most positive contribution first; null is their own order. */
export function dimensionOrder(scene: Scene, data: NeuronData): Int32Array | null {
  const { queryVector, keyVectors } = data;
  const key = sortingKey(scene, data);
  if (scene.options.dimensionOrder === "index" || !queryVector || !keyVectors || key < 0) {
    return null;
  }
  const parts = products(queryVector, keyVectors.row(key));
  const order = Int32Array.from(parts, (_, d) => d);
  return order.sort((a, b) => strongestFirst(parts[a] as number, parts[b] as number) || a - b);
}

/** How the focus key's weight comes about. */
export function focusTerms(scene: Scene, data: NeuronData): readonly Term[] {
  const { layer, head, focus, query, scores, weights, queryVector, keyVectors, listed } = data;
  const bias = layer.bias ? scene.blocks.bias(layer.layer, head).row(query) : undefined;
  const given: Ingredients = {
    dot: dotProduct(queryVector, keyVectors?.row(focus)),
    scaling: layer.scaling,
    softcap: layer.softcap,
    bias: bias === undefined ? undefined : (bias?.[focus] ?? null),
    score: scores?.[focus] ?? null,
    weight: weights?.[focus] ?? null,
    numKeys: listed.length,
    sink: layer.sinks?.[head] ?? null,
  };
  return equationTerms(given);
}
