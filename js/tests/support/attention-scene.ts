import { asideOf } from "../../src/data/aside.js";
import {
  type BlockResult,
  type Blocks,
  type Extents,
  Matrix,
  type Rows,
  type What,
} from "../../src/data/blocks.js";
import { Thumbnails } from "../../src/data/thumbnails.js";
import type { LayerMeta, Meta, Position, StreamMeta } from "../../src/protocol/generated.js";
import type { Scene } from "../../src/scene/scene.js";
import type { Hover, Options } from "../../src/state/interaction.js";
import { type State, withPins } from "../../src/state/selection.js";
import { themes } from "../../src/styles/theme.js";

/** Numbers in -1..1 that are the same on every run. */
export function random(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

export interface Given {
  readonly numLayers?: number;
  readonly numHeads?: number;
  readonly queries?: readonly string[];
  readonly keys?: readonly string[];
  readonly headDim?: number;
  /** Changes to every layer's entry; `layer` numbers included. */
  readonly layer?: Partial<LayerMeta>;
  readonly state?: Partial<State>;
  readonly hover?: Hover | null;
  readonly options?: Partial<Options>;
  readonly dark?: boolean;
  readonly sampled?: boolean;
  /** What blocks answer about all heads. */
  readonly headNumbers?: Blocks["heads"];
  /** What blocks answer: everything, nothing yet, or an error. */
  readonly blocks?: "ready" | "pending" | "failed";
}

const score = (name: string, label = name) => ({
  name,
  label,
  question: `Is it ${label}?`,
  formula: "w[q, k]",
  source: "Nobody 2020",
});
export const SCORES = [score("previous"), score("sentence", "sentence end"), score("broad")];

export const WORDS = "[CLS] the cat sat on the mat because it was tired".split(" ");

function layerMeta(layer: number, numHeads: number, headDim: number): LayerMeta {
  return {
    layer,
    module_path: `model.layers.${layer}.self_attn`,
    num_heads: numHeads,
    num_key_value_heads: numHeads,
    head_dim: headDim,
    has_vectors: true,
    reason: null,
    scaling: 1 / Math.sqrt(headDim),
    softcap: null,
    sinks: null,
    causal: false,
    window: null,
    bias: false,
  };
}

export interface Head {
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly output: Matrix;
  readonly scores: Matrix;
  readonly bias: Matrix;
  readonly weights: Matrix;
  /** Each weight times a gradient of either sign. */
  readonly gradient: Matrix;
}

function normal(rows: number, columns: number, size: number, next: () => number): Matrix {
  const data = new Float32Array(rows * columns);
  for (let i = 0; i < data.length; i++) data[i] = size * (next() + next() + next());
  return new Matrix(rows, columns, data);
}

/** One head computed the way a model does: scaling, softcap, bias and mask, softmax with a sink. */
export function computeHead(
  meta: LayerMeta,
  head: number,
  sizes: { queries: number; keys: number; headDim: number },
): Head {
  const next = random(1 + 1000 * meta.layer + head);
  const { queries, keys, headDim } = sizes;
  const query = normal(queries, headDim, 1, next);
  const key = normal(keys, headDim, 1, next);
  const value = normal(keys, headDim, 0.5, next);
  const bias = new Matrix(queries, keys, new Float32Array(queries * keys));
  const scores = new Matrix(queries, keys, new Float32Array(queries * keys));
  const weights = new Matrix(queries, keys, new Float32Array(queries * keys));
  const output = new Matrix(queries, headDim, new Float32Array(queries * headDim));
  for (let i = 0; i < queries; i++) {
    for (let j = 0; j < keys; j++) {
      let score = 0;
      for (let d = 0; d < headDim; d++)
        score += (query.row(i)[d] as number) * (key.row(j)[d] as number);
      score *= meta.scaling ?? 1;
      if (meta.softcap) score = meta.softcap * Math.tanh(score / meta.softcap);
      const offset = keys - queries;
      const masked =
        (meta.causal && j > i + offset) || (meta.window !== null && j <= i + offset - meta.window);
      bias.row(i)[j] = masked ? Number.NEGATIVE_INFINITY : meta.bias ? -0.05 * Math.abs(i - j) : 0;
      scores.row(i)[j] = score + (bias.row(i)[j] as number);
    }
    const sink = meta.sinks?.[head];
    let sum = sink === undefined ? 0 : Math.exp(sink);
    for (const score of scores.row(i)) sum += Math.exp(score);
    for (let j = 0; j < keys; j++) {
      const weight = Math.exp(scores.row(i)[j] as number) / sum;
      weights.row(i)[j] = weight;
      for (let d = 0; d < headDim; d++)
        output.row(i)[d] = (output.row(i)[d] as number) + weight * (value.row(j)[d] as number);
    }
  }
  const gradient = new Matrix(
    queries,
    keys,
    weights.data.map((weight, i) => 3 * weight * Math.sin(i + head)),
  );
  return { query, key, value, output, scores, bias, weights, gradient };
}

function rowsOf(matrix: Matrix | null, error: string | null, sizes: Given): Rows {
  return {
    numQueries: sizes.queries?.length ?? WORDS.length,
    numKeys: sizes.keys?.length ?? WORDS.length,
    row: (query) => matrix?.row(query) ?? null,
    column: (key) =>
      matrix &&
      Float32Array.from({ length: matrix.rows }, (_, query) => matrix.row(query)[key] as number),
    error,
  };
}

function pool(weights: Matrix, size: number): { rows: number; columns: number; data: Uint8Array } {
  const rows = Math.min(size, weights.rows);
  const columns = Math.min(size, weights.columns);
  const data = new Uint8Array(rows * columns);
  for (let i = 0; i < weights.rows; i++) {
    for (let j = 0; j < weights.columns; j++) {
      const at =
        Math.floor((i * rows) / weights.rows) * columns +
        Math.floor((j * columns) / weights.columns);
      const shade = Math.round(255 * Math.sqrt(weights.row(i)[j] as number));
      data[at] = Math.max(data[at] as number, shade);
    }
  }
  return { rows, columns, data };
}

function topLink(weights: Matrix): number[] {
  let best = [0, weights.columns > 1 ? 1 : 0, -1];
  for (let i = 0; i < weights.rows; i++) {
    for (let j = weights.columns > 1 ? 1 : 0; j < weights.columns; j++) {
      const weight = weights.row(i)[j] as number;
      if (weight > (best[2] as number)) best = [i, j, weight];
    }
  }
  return best;
}

const asPositions = (labels: readonly string[]): Position[] =>
  labels.map((label) => ({ label, kind: label.startsWith("[") ? "special" : "token" }));

type HeadOf = (layer: number, head: number) => Head;

const everyHead = <T>(
  layers: readonly LayerMeta[],
  make: (layer: number, head: number) => T,
): T[] =>
  layers.flatMap(({ layer, num_heads }) =>
    Array.from({ length: num_heads }, (_, head) => make(layer, head)),
  );

function makeStream(layers: LayerMeta[], sampled: boolean, heads: HeadOf) {
  const pooled = everyHead(layers, (layer, head) => pool(heads(layer, head).weights, 48));
  const bytes = Uint8Array.from(pooled.flatMap(({ data }) => Array.from(data)));
  const { rows, columns } = pooled[0] ?? { rows: 1, columns: 1 };
  const stream: StreamMeta = {
    name: "self",
    layers: layers as StreamMeta["layers"],
    query_positions: 0,
    key_positions: 1,
    overview: { offset: 0, rows, columns, sampled },
    top: everyHead(layers, (layer, head) => topLink(heads(layer, head).weights)).flat(),
  };
  return { stream, thumbnails: new Thumbnails(stream, bytes) };
}

function extentsOf({ query, key, value }: Head): Extents {
  const most = ({ data }: Matrix) => data.reduce((size, one) => Math.max(size, Math.abs(one)), 0);
  let product = 0;
  for (let i = 0; i < query.rows; i++) {
    for (let j = 0; j < key.rows; j++) {
      query.row(i).forEach((q, d) => {
        product = Math.max(product, Math.abs(q * (key.row(j)[d] as number)));
      });
    }
  }
  return { query: most(query), key: most(key), product, value: most(value) };
}

/** The first two numbers of each vector in the place of a plane, shares of 0.5 and 0.25, and a scale of 2. */
export function geometryOf({ query, key }: Head): BlockResult {
  const rows = [query, key].flatMap(({ rows, columns, data }) =>
    Array.from({ length: rows }, (_, at) => {
      const vector = data.subarray(at * columns, (at + 1) * columns);
      return [vector[0] as number, vector[1] as number, Math.hypot(...vector)];
    }),
  );
  const data = Float32Array.from([...rows, [0.5, 0.25, 2]].flat());
  return { data, shape: [rows.length + 1, 3] };
}

function makeBlocks(given: Given, heads: HeadOf): Blocks {
  const error = given.blocks === "failed" ? "the kernel has gone away" : null;
  const ready = (given.blocks ?? "ready") === "ready";
  return {
    lengths: () => null,
    gradient: (l, h) => rowsOf(ready ? heads(l, h).gradient : null, error, given),
    rollout: () => rowsOf(null, error, given),
    overview: () => null,
    groupShares: () => null,
    weights: (l, h) => rowsOf(ready ? heads(l, h).weights : null, error, given),
    scores: (l, h) => rowsOf(ready ? heads(l, h).scores : null, error, given),
    bias: (l, h) => rowsOf(ready ? heads(l, h).bias : null, error, given),
    vectors: (what, l, h) => ({
      row: (position) => {
        if (!ready) return null;
        const name = what.replace("_vectors", "") as "query" | "key" | "value" | "output";
        return heads(l, h)[name].row(position);
      },
    }),
    extents: (l, h) => (ready ? extentsOf(heads(l, h)) : null),
    geometry: (l, h) => (error !== null ? { error } : ready ? geometryOf(heads(l, h)) : null),
    part: (what, l, h, [top, bottom], [left, right]) => {
      if (!ready) return null;
      const whole = heads(l, h)[what];
      const rows = Array.from({ length: bottom - top }, (_, row) =>
        Array.from(whole.row(top + row).subarray(left, right)),
      );
      return new Matrix(bottom - top, right - left, Float32Array.from(rows.flat()));
    },
    tile: () => null,
    column: () => null,
    combined: ({ how, heads: numbers, layers }) => {
      const all = numbers.map((head, n) => heads(layers?.[n] ?? 0, head).weights);
      const value = (query: number, key: number) => {
        const each = all.map((weights) => weights.row(query)[key] as number);
        const sum = each.reduce((total, one) => total + one, 0);
        return how === "max" ? Math.max(...each) : how === "sum" ? sum : sum / each.length;
      };
      const { rows, columns } = all[0] as Matrix;
      const data = Float32Array.from({ length: rows * columns }, (_, at) =>
        value(Math.floor(at / columns), at % columns),
      );
      return {
        rows: rowsOf(ready ? new Matrix(rows, columns, data) : null, error, given),
        mean: () => null,
        error: () => error,
      };
    },
    togetherShares: (layer, { heads: numbers, layers }, between) => {
      if (error !== null) return { error };
      if (!ready) return null;
      const sums = numbers.map((head, n) => {
        const { weights } = heads(layers?.[n] ?? layer, head);
        const within = (ranges: readonly (readonly [number, number])[] | undefined, at: number) =>
          ranges?.some(([start, stop]) => start <= at && at < stop) ?? true;
        return weights.data.reduce((sum, weight, at) => {
          const [query, key] = [Math.floor(at / weights.columns), at % weights.columns];
          const counts = within(between.queries, query) && within(between.keys, key);
          return counts ? sum + weight : sum;
        }, 0);
      });
      const whole = sums.reduce((total, one) => total + one, 0);
      return Float32Array.from(sums, (sum) => sum / whole);
    },
    heads: (request, when) => given.headNumbers?.(request, when) ?? null,
    mean: (l, h) => {
      const { rows, columns, data } = heads(l, h).weights;
      if (!ready) return null;
      return Float32Array.from({ length: columns }, (_, key) => {
        let sum = 0;
        for (let query = 0; query < rows; query++) sum += data[query * columns + key] as number;
        return sum / rows;
      });
    },
    error: (_what: What) => error,
  };
}

/** A scene over computed heads; `heads` gives the numbers it was made from. */
export function attentionScene(given: Given = {}): Scene & { heads: HeadOf } {
  const { numLayers = 2, numHeads = 3, headDim = 8 } = given;
  const queries = asPositions(given.queries ?? WORDS);
  const keys = asPositions(given.keys ?? given.queries ?? WORDS);
  const layers = Array.from({ length: numLayers }, (_, index) => ({
    ...layerMeta(index, numHeads, headDim),
    ...given.layer,
    layer: (given.layer?.layer ?? 0) + index,
  }));
  const known = new Map<string, Head>();
  const heads: HeadOf = (layer, head) => {
    const id = `${layer}/${head}`;
    const meta = layers.find((l) => l.layer === layer) as LayerMeta;
    const sizes = { queries: queries.length, keys: keys.length, headDim };
    const made = known.get(id) ?? computeHead(meta, head, sizes);
    known.set(id, made);
    return made;
  };
  const { stream, thumbnails } = makeStream(layers, given.sampled ?? false, heads);
  const pins = withPins(given.state ?? {});
  const state: State = {
    view: "all",
    stream: "self",
    layer: layers[0]?.layer ?? 0,
    heads: [0],
    query: null,
    key: null,
    queries: [],
    keys: [],
    measure: "weights",
    positions: "pieces",
    form: "lines",
    compare: [],
    step: null,
    theme: "auto",
    score: null,
    other_score: null,
    arrange: "layers",
    threshold: null,
    below_threshold: "faint",
    show_layers: null,
    ranking: null,
    explain: "link",
    top_k: null,
    mass: null,
    aside: null,
    shade: "own",
    together: null,
    together_layers: null,
    panels: "overlaid",
    grouping: null,
    colour: "position",
    from_group: null,
    to_group: null,
    ...pins,
  };
  const layer = layers.find((l) => l.layer === state.layer);
  if (!layer) throw new RangeError(`no layer ${state.layer}`);
  const meta: Meta = {
    version: 1,
    model: "Test",
    positions: [queries, keys],
    streams: [stream],
    media: [],
    scores: SCORES,
  };
  const options: Options = {
    keyOrder: "position",
    dimensionOrder: "index",
    allKeys: false,
    attendedBy: false,
    map: null,
    strongest: false,
    containing: "",
    ...given.options,
  };
  const hover = given.hover ?? null;
  const theme = themes[given.dark ? "dark" : "light"];
  const blocks = makeBlocks(given, heads);
  const places = { queries, keys, thumbnails, layer, stream, meta, media: [] };
  return {
    ...places,
    state,
    generationStep: null,
    recorded: null,
    sides: null,
    aside: asideOf(keys, state.aside),
    hover,
    options,
    blocks,
    theme,
    heads,
  };
}
