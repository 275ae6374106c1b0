// The whole head, step by step: a matrix for each of product, scaling, softcap, mask, softmax, value.

import { Matrix, type Range } from "../../data/blocks.js";
import { largest } from "../../marks/matrix/vector-strip.js";
import { memo } from "../../marks/memo.js";
import { scalingText } from "../../marks/text/equation.js";
import { EXPLAINED_WINDOW } from "../../protocol/constants.js";
import type { RecordScene } from "../../scene/scene.js";
import { explanationError, readNeuron } from "./data.js";

/** One step of a head. */
export interface Step {
  readonly title: string;
  /** How the readout of a pair calls it. */
  readonly short: string;
  readonly kind: "score" | "weight" | "value";
  /** [query, key] of the window; null until it has come. */
  readonly matrix: Matrix | null;
  /** Whether cells of it are masked. */
  readonly masked?: boolean;
}

/** What of the head is shown, and what each step makes of it. */
export interface Steps {
  readonly head: number;
  readonly queries: Range;
  readonly keys: Range;
  /** Which pair is read out. */
  readonly query: number;
  readonly key: number;
  readonly steps: readonly Step[];
  /** Where the scale of all scores ends, and that of the last step; null while they are not here. */
  readonly scoreEnd: number | null;
  readonly valueEnd: number | null;
  readonly error: string | null;
}

/** So much of an axis that it can be told apart, with the pin in its middle where that is possible. */
export function windowAround(pin: number, count: number): Range {
  if (count <= EXPLAINED_WINDOW) return [0, count];
  const start = Math.max(0, Math.min(pin - EXPLAINED_WINDOW / 2, count - EXPLAINED_WINDOW));
  return [start, start + EXPLAINED_WINDOW];
}

type Rows = readonly (Float32Array | null)[];

function rowsOf(
  scene: RecordScene,
  head: number,
  what: "query_vectors" | "key_vectors",
  [from, to]: Range,
) {
  const vectors = scene.blocks.vectors(what, scene.layer.layer, head);
  return Array.from({ length: to - from }, (_, at) => vectors.row(from + at));
}

/** Σ q·k of every pair, added up in double precision. */
function dots(queries: Rows, keys: Rows): Matrix | null {
  const [first, last] = [queries[0], keys[0]];
  if (!first || !last || [...queries, ...keys].some((row) => row === null)) return null;
  const name = `dots ${first.byteOffset}+${queries.length} ${last.byteOffset}+${keys.length}`;
  const inner = memo(last.buffer, name, () => new WeakMap<ArrayBufferLike, Matrix>());
  const known = inner.get(first.buffer);
  if (known) return known;
  const data = new Float32Array(queries.length * keys.length);
  queries.forEach((query, row) => {
    keys.forEach((key, column) => {
      let sum = 0;
      for (let d = 0; d < first.length; d++) {
        sum += ((query as Float32Array)[d] as number) * ((key as Float32Array)[d] as number);
      }
      data[row * keys.length + column] = sum;
    });
  });
  const made = new Matrix(queries.length, keys.length, data);
  inner.set(first.buffer, made);
  return made;
}

/** A matrix made of another, once. */
function mapped(from: Matrix | null, name: string, make: (value: number, key: number) => number) {
  if (!from) return null;
  return memo(from, name, () => {
    const data = from.data.map((value, at) => make(value, at % from.columns));
    return new Matrix(from.rows, from.columns, data);
  });
}

const hasMasked = (matrix: Matrix) =>
  memo(matrix, "masked", () => matrix.data.includes(Number.NEGATIVE_INFINITY));

/** The steps before the softmax; none for a layer without vectors. */
function scoreSteps(
  scene: RecordScene,
  head: number,
  queries: Range,
  keys: Range,
): readonly Step[] {
  const { layer, blocks } = scene;
  if (!layer.has_vectors) return [];
  const { scaling, softcap, head_dim: dim } = layer;
  const rows = rowsOf(scene, head, "query_vectors", queries);
  const columns = rowsOf(scene, head, "key_vectors", keys);
  let matrix = dots(rows, columns);
  const step = (title: string, short: string): Step => ({ title, short, kind: "score", matrix });
  const steps = [step("q · k", "q·k")];
  if (scaling !== null && scaling !== 1) {
    matrix = mapped(matrix, `times ${scaling}`, (value) => value * scaling);
    steps.push(step(scalingText(scaling, dim), "scaled"));
  }
  if (softcap !== null) {
    matrix = mapped(matrix, `cap ${softcap}`, (value) => softcap * Math.tanh(value / softcap));
    steps.push(step(`softcap ${softcap}`, "capped"));
  }
  matrix = blocks.part("scores", layer.layer, head, queries, keys);
  const masked = matrix ? hasMasked(matrix) : layer.causal;
  const title = layer.bias ? (masked ? "+ bias, masked" : "+ bias") : masked ? "masked" : "no mask";
  steps.push({ ...step(title, "score"), masked });
  return steps;
}

/** Which pair is read out: that under the pointer, else the pinned link, else the strongest of the query. */
function pairOf(scene: RecordScene): { query: number; key: number } {
  const { hover } = scene;
  if (hover?.query !== undefined && hover.key !== undefined) {
    return { query: hover.query, key: hover.key };
  }
  const { query, focus } = readNeuron(scene);
  return { query, key: focus };
}

/** The largest size among finite numbers; kept, since the pointer draws often. */
const sizeOf = (matrix: Matrix) => memo(matrix, "size", () => largest(matrix.data));

export function readSteps(scene: RecordScene): Steps {
  const { layer, blocks, state, generationStep } = scene;
  const head = state.heads[0] ?? 0;
  const there = generationStep?.numQueries ?? scene.queries.length;
  const pinned = state.query ?? there - 1;
  const queries = windowAround(pinned, there);
  const numKeys = generationStep?.numKeys ?? scene.keys.length;
  const keys = windowAround(Math.min(state.key ?? pinned, numKeys - 1), numKeys);
  const scores = scoreSteps(scene, head, queries, keys);
  const weights = blocks.part("weights", layer.layer, head, queries, keys);
  const steps: Step[] = [
    ...scores,
    { title: "softmax: weights", short: "weight", kind: "weight", matrix: weights },
  ];
  if (layer.has_vectors && layer.missing?.value === undefined) {
    const lengths = blocks.lengths("value", layer.layer, head);
    const matrix =
      lengths &&
      mapped(weights, `times lengths ${lengths.byteOffset} ${keys[0]}`, (weight, key) => {
        return weight * (lengths[keys[0] + key] as number);
      });
    steps.push({ title: "× length of v", short: "× |v|", kind: "value", matrix });
  }
  const ends = scores.map(({ matrix }) => matrix && sizeOf(matrix));
  const value = steps.find(({ kind }) => kind === "value")?.matrix;
  return {
    head,
    queries,
    keys,
    ...pairOf(scene),
    steps,
    scoreEnd: ends.some((end) => end === null) ? null : Math.max(0, ...(ends as number[])),
    valueEnd: value ? sizeOf(value) : null,
    error: explanationError(scene, head),
  };
}
