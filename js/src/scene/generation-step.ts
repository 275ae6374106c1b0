// A record at a step of its generation: sizes, selection and blocks as they were then.

import { type Blocks, Matrix, type Rows } from "../data/blocks.js";
import { columnOf } from "../data/columns.js";
import { numSteps } from "../data/meta.js";
import { tileSpan } from "../data/tiles.js";
import type { Meta, StreamMeta } from "../protocol/generated.js";
import type { Hit } from "../state/interaction.js";
import { type State, withPins } from "../state/selection.js";

/** How far a generation has come: what there is of a stream when the token of `step` is about to be chosen. */
export interface GenerationStep {
  readonly step: number;
  readonly numQueries: number;
  readonly numKeys: number;
}

/** What of a stream there was at a step; null where all of it is shown. */
export function generationStepOf(
  meta: Meta,
  stream: StreamMeta,
  step: number | null,
): GenerationStep | null {
  const { prompt } = stream;
  if (step === null || !prompt) return null;
  const at = Math.max(0, Math.min(numSteps(meta) - 1, step));
  const numKeys = meta.positions[stream.key_positions]?.length ?? 0;
  return {
    step: at,
    numQueries: prompt.queries + at,
    numKeys: prompt.keys === null ? numKeys : prompt.keys + at,
  };
}

/** Whether something under the pointer was there at a step of a generation. */
export function isThere(
  generationStep: GenerationStep | null,
  { query, key }: Pick<Hit, "query" | "key">,
): boolean {
  if (!generationStep) return true;
  return !((query ?? 0) >= generationStep.numQueries || (key ?? 0) >= generationStep.numKeys);
}

/** The selection at a step: pins of what is not there yet rest, and the newest query is in question. */
export function stateAtStep(state: State, generationStep: GenerationStep | null): State {
  if (!generationStep) return state;
  const there = state.queries.filter((query) => query < generationStep.numQueries);
  const queries = there.length > 0 ? there : [generationStep.numQueries - 1];
  const keys = state.keys.filter((key) => key < generationStep.numKeys);
  return { ...state, ...withPins({ queries, keys }) };
}

/** Rows that are not there yet are empty as soon as their place has been read. */
function rowsAtStep(rows: Rows, { numQueries }: GenerationStep): Rows {
  const empty = new Float32Array(rows.numKeys);
  return {
    numQueries: rows.numQueries,
    numKeys: rows.numKeys,
    numShown: numQueries,
    ...(rows.fitted ? { fitted: true } : {}),
    get scale() {
      return rows.scale;
    },
    row: (query) => rows.row(query) && (query < numQueries ? rows.row(query) : empty),
    column: (key) => rows.column?.(key)?.slice().fill(0, numQueries) ?? null,
    get error() {
      return rows.error;
    },
  };
}

const cuts = new WeakMap<Float32Array, { readonly first: number; readonly matrix: Matrix }>();

/** A tile without the queries that are not there yet; a cell of both is shown. */
function tileAtStep(
  matrix: Matrix | null,
  top: number,
  cell: number,
  { numQueries }: GenerationStep,
) {
  if (!matrix) return null;
  const rows = Math.max(0, Math.ceil((numQueries - top) / cell));
  if (rows >= matrix.rows) return matrix;
  const first = rows * matrix.columns;
  const known = cuts.get(matrix.data);
  if (known?.first === first) return known.matrix;
  const cut = new Matrix(matrix.rows, matrix.columns, matrix.data.slice().fill(0, first));
  cuts.set(matrix.data, { first, matrix: cut });
  return cut;
}

/** The mean over the queries that there are; it is no part of the mean over all. */
function meanAtStep(rows: Rows, { numQueries }: GenerationStep): Float32Array | null {
  const mean = new Float32Array(rows.numKeys);
  for (let query = 0; query < numQueries; query++) {
    const row = rows.row(query);
    if (!row) return null;
    for (const [key, weight] of row.entries())
      mean[key] = (mean[key] as number) + weight / numQueries;
  }
  return mean;
}

/** The weights at a step. Scores and vectors are only read of a query that is there. */
export function blocksAtStep(blocks: Blocks, generationStep: GenerationStep | null): Blocks {
  if (!generationStep) return blocks;
  const weights: Blocks["weights"] = (layer, head) =>
    rowsAtStep(blocks.weights(layer, head), generationStep);
  return {
    ...blocks,
    weights,
    column: columnOf(weights),
    groupShares: (grouping, layer, as) =>
      blocks.groupShares(grouping, layer, { ...as, queries: [0, generationStep.numQueries] }),
    mean: (layer, head) => meanAtStep(blocks.weights(layer, head), generationStep),
    combined: (heads, as) => {
      const there = { ...as, there: generationStep.numQueries };
      // Of words the one that is half there has only the pieces that are.
      if (as?.positions) return blocks.combined(heads, there);
      const found = blocks.combined(heads, as);
      return {
        rows: rowsAtStep(found.rows, generationStep),
        mean: () => meanAtStep(found.rows, generationStep),
        error: found.error,
      };
    },
    togetherShares: (layer, heads, between, as) =>
      blocks.togetherShares(layer, heads, between, {
        ...as,
        there: generationStep.numQueries,
      }),
    tile: (layer, head, level, place, as, when) => {
      const tile = blocks.tile(layer, head, level, place, as, when);
      return tileAtStep(
        tile,
        tileSpan(place[0], level, generationStep.numQueries)[0],
        2 ** level,
        generationStep,
      );
    },
  };
}
