// The selection and the blocks as words instead of pieces, or under another measure.

import type { Blocks, CombinedHead, Rows } from "../data/blocks.js";
import { columnOf } from "../data/columns.js";
import { meanOf, measuredBlocks } from "../data/measures.js";
import { type Words, wordRows, wordsOf, wordsThere } from "../data/words.js";
import type { Position, StreamMeta } from "../protocol/generated.js";
import type { Hover } from "../state/interaction.js";
import { type State, withPins } from "../state/selection.js";
import type { GenerationStep } from "./generation-step.js";

/**
 * How the record is looked at: as words instead of pieces, or by another measure than weights. The
 * views work with what they are given; the selection that is shared stays that of the record.
 */
export interface Lens {
  readonly stream: StreamMeta;
  readonly queries: Words | null;
  readonly keys: Words | null;
  readonly measure: State["measure"];
}

/** A rollout is one picture a layer; a prompt may end within a word. */
function shownStream(stream: StreamMeta, lens: Omit<Lens, "stream">): StreamMeta {
  const { prompt } = stream;
  const { queries, keys, measure } = lens;
  const there = (words: Words | null, count: number) =>
    words ? Math.max(1, wordsThere(words, count)) : count;
  const layers =
    measure === "rollout" ? stream.layers.map((layer) => ({ ...layer, num_heads: 1 })) : null;
  return {
    ...stream,
    ...(layers ? { layers: layers as StreamMeta["layers"] } : {}),
    ...(prompt
      ? {
          prompt: {
            queries: there(queries, prompt.queries),
            keys: prompt.keys === null ? null : there(keys, prompt.keys),
          },
        }
      : {}),
  };
}

/** The lens of a selection; null where the record is shown as it is. */
export function lensOf(
  stream: StreamMeta,
  axes: { readonly queries: readonly Position[]; readonly keys: readonly Position[] },
  { positions, measure }: Pick<State, "positions" | "measure">,
): Lens | null {
  const words = positions === "words";
  const queries = words ? wordsOf(axes.queries) : null;
  const keys = words ? wordsOf(axes.keys) : null;
  if (!queries && !keys && measure === "weights") return null;
  const lens = { queries, keys, measure };
  return { ...lens, stream: shownStream(stream, lens) };
}

const unique = (list: readonly number[]) => [...new Set(list)];

/** The selection as it is shown: a word is pinned when a piece of it is. */
export function shownState(lens: Lens | null, state: State): State {
  if (!lens) return state;
  const words = (of: Words | null, pins: readonly number[]) =>
    of ? unique(pins.map((pin) => of.numbers[pin] ?? 0)) : pins;
  const rolled = lens.measure === "rollout";
  const layers = unique(state.compare.map(([layer]) => layer));
  return {
    ...state,
    ...(rolled ? { heads: [0], compare: layers.map((layer) => [layer, 0] as const) } : {}),
    // Scores are of heads, which a rollout has none of.
    ...(rolled ? { score: null, arrange: "layers", threshold: null } : {}),
    ...withPins({
      queries: words(lens.queries, state.queries),
      keys: words(lens.keys, state.keys),
    }),
  } as State;
}

/** What a change of what is shown means for the record: a word stands for all its pieces. */
export function recordChange(lens: Lens | null, given: Partial<State>): Partial<State> {
  if (!lens) return given;
  const { queries, keys, heads, query: _, key: __, ...rest } = withPins(given);
  const pieces = (of: Words | null, pins: readonly number[]) =>
    of ? pins.flatMap((pin) => of.pieces[pin] ?? []) : pins;
  return {
    ...rest,
    // A rollout mixes all heads: which of them are selected stays as it was.
    ...(heads && lens.measure !== "rollout" ? { heads } : {}),
    ...(queries ? { queries: pieces(lens.queries, queries) } : {}),
    ...(keys ? { keys: pieces(lens.keys, keys) } : {}),
  };
}

/** What is under the pointer, in the record. */
export function recordHover<T extends Pick<Hover, "query" | "key"> | null>(
  lens: Lens | null,
  hover: T,
): T {
  if (!lens || !hover || (!lens.queries && !lens.keys)) return hover;
  const piece = (words: Words | null, word: number | undefined) =>
    word === undefined ? undefined : words ? words.pieces[word]?.[0] : word;
  const { query, key } = hover;
  return {
    ...hover,
    ...(query === undefined ? {} : { query: piece(lens.queries, query) }),
    ...(key === undefined ? {} : { key: piece(lens.keys, key) }),
  };
}

export function shownStep(
  lens: Lens | null,
  generationStep: GenerationStep | null,
): GenerationStep | null {
  if (!lens || !generationStep) return generationStep;
  const there = (words: Words | null, count: number) => (words ? wordsThere(words, count) : count);
  return {
    step: generationStep.step,
    numQueries: there(lens.queries, generationStep.numQueries),
    numKeys: there(lens.keys, generationStep.numKeys),
  };
}

/** The numbers under a measure; `count` queries are there. */
export function lensBlocks(lens: Lens | null, blocks: Blocks, count: number): Blocks {
  return lens ? measuredBlocks(blocks, lens.stream, lens.measure, count) : blocks;
}

/**
 * Heads as one between words. A mean or a sum of words is made of that of their pieces; a maximum is not, and comes
 * between words.
 */
function combinedWords(
  blocks: Blocks,
  queries: Words | null,
  keys: Words | null,
  count: number,
  ...[heads, as]: Parameters<Blocks["combined"]>
): CombinedHead {
  if (heads.how !== "max") {
    const found = blocks.combined(heads, as);
    const rows = wordRows(found.rows, queries, keys);
    return { rows, mean: () => meanOf(rows, count), error: found.error };
  }
  const { numQueries, numKeys } = blocks.combined(heads, as).rows;
  const [down, across] = [queries?.pieces.length ?? numQueries, keys?.pieces.length ?? numKeys];
  const found = blocks.combined(heads, {
    ...as,
    positions: "words",
    sizes: { numQueries: count, numKeys: across },
  });
  const rows = count < down ? longerRows(found.rows, down) : found.rows;
  return { rows, mean: found.mean, error: found.error };
}

/** Rows of which those at the end are not there yet. */
function longerRows(rows: Rows, numQueries: number): Rows {
  const empty = new Float32Array(rows.numKeys);
  const there = rows.numQueries;
  return {
    numQueries,
    numKeys: rows.numKeys,
    numShown: there,
    ...(rows.fitted ? { fitted: true } : {}),
    get scale() {
      return rows.scale;
    },
    get error() {
      return rows.error;
    },
    row: (query) => (query < there ? rows.row(query) : empty),
    column: (key) => {
      const found = rows.column?.(key);
      if (!found) return null;
      const whole = new Float32Array(numQueries);
      whole.set(found);
      return whole;
    },
  };
}

/** The numbers between words. */
export function wordBlocks(lens: Lens | null, blocks: Blocks, count: number): Blocks {
  const { queries = null, keys = null } = lens ?? {};
  if (!queries && !keys) return blocks;
  const made = new Map<string, Rows>();
  const weights: Blocks["weights"] = (layer, head) => {
    const id = `${layer} ${head}`;
    const rows = made.get(id) ?? wordRows(blocks.weights(layer, head), queries, keys);
    made.set(id, rows);
    return rows;
  };
  return {
    ...blocks,
    weights,
    combined: (heads, as) => combinedWords(blocks, queries, keys, count, heads, as),
    togetherShares: (layer, heads, between, as) =>
      blocks.togetherShares(layer, heads, between, { ...as, positions: "words" }),
    column: columnOf(weights),
    tile: (layer, head, level, place, as, when) =>
      blocks.tile(layer, head, level, place, { ...as, positions: "words" }, when),
    mean: (layer, head) => meanOf(weights(layer, head), count),
  };
}
