import { type Blocks, Matrix, type Rows } from "../data/blocks.js";
import { columnOf } from "../data/columns.js";
import { numSteps } from "../data/meta.js";
import { tileSpan } from "../data/tiles.js";
import type { Meta, StreamMeta } from "../protocol/generated.js";
import type { Hit } from "../state/interaction.js";
import { type State, withPins } from "../state/selection.js";

/** How far a generation has come: what there is of a stream when the token of `step` is about to be chosen. */
export interface Stage {
  readonly step: number;
  readonly numQueries: number;
  readonly numKeys: number;
}

/** What of a stream there was at a step; null where all of it is shown. */
export function stageOf(meta: Meta, stream: StreamMeta, step: number | null): Stage | null {
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

/** Whether something under the pointer was there at the stage. */
export function isThere(stage: Stage | null, { query, key }: Pick<Hit, "query" | "key">): boolean {
  if (!stage) return true;
  return !((query ?? 0) >= stage.numQueries || (key ?? 0) >= stage.numKeys);
}

/** The selection at a stage: pins of what is not there yet rest, and the newest query is in question. */
export function stagedState(state: State, stage: Stage | null): State {
  if (!stage) return state;
  const there = state.queries.filter((query) => query < stage.numQueries);
  const queries = there.length > 0 ? there : [stage.numQueries - 1];
  const keys = state.keys.filter((key) => key < stage.numKeys);
  return { ...state, ...withPins({ queries, keys }) };
}

/** Rows that are not there yet are empty as soon as their place has been read. */
function stagedRows(rows: Rows, { numQueries }: Stage): Rows {
  const empty = new Float32Array(rows.numKeys);
  return {
    numQueries: rows.numQueries,
    numKeys: rows.numKeys,
    stage: numQueries,
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
function stagedTile(matrix: Matrix | null, top: number, cell: number, { numQueries }: Stage) {
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
function stagedMean(rows: Rows, { numQueries }: Stage): Float32Array | null {
  const mean = new Float32Array(rows.numKeys);
  for (let query = 0; query < numQueries; query++) {
    const row = rows.row(query);
    if (!row) return null;
    for (const [key, weight] of row.entries())
      mean[key] = (mean[key] as number) + weight / numQueries;
  }
  return mean;
}

/** The weights at a stage. Scores and vectors are only read of a query that is there. */
export function stagedBlocks(blocks: Blocks, stage: Stage | null): Blocks {
  if (!stage) return blocks;
  const weights: Blocks["weights"] = (layer, head) =>
    stagedRows(blocks.weights(layer, head), stage);
  return {
    ...blocks,
    weights,
    column: columnOf(weights),
    mean: (layer, head) => stagedMean(blocks.weights(layer, head), stage),
    tile: (layer, head, level, place, as, when) => {
      const tile = blocks.tile(layer, head, level, place, as, when);
      return stagedTile(tile, tileSpan(place[0], level, stage.numQueries)[0], 2 ** level, stage);
    },
  };
}
