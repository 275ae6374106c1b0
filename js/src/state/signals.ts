// Signals of one widget's state; the nearest valid selection in a stream.

import { batch, type Signal, signal } from "@preact/signals-core";
import { findStream, numSteps } from "../data/meta.js";
import { RANKING, STATE_NAMES } from "../protocol/constants.js";
import type { Chosen, Meta, Ranking, StreamMeta } from "../protocol/generated.js";
import { fittingGroups } from "./groups.js";
import type { Hover, Options } from "./interaction.js";
import type { SearchState } from "./search.js";
import { type State, withPins } from "./selection.js";

export type Signals<T> = { readonly [K in keyof T]: Signal<T[K]> };

/** State of one widget besides its numbers. No DOM, nothing shared between widgets. */
export interface WidgetState {
  readonly shared: Signals<State>;
  readonly hover: Signal<Hover | null>;
  readonly options: Signal<Options>;
  readonly search: Signal<SearchState | null>;
  /** What was chosen for the reader: by Python, or the head that a ranking of the page's put first. */
  readonly chosen: Signal<Chosen | null>;
  readonly meta: Meta;
}

export const STATE_KEYS = [
  ...STATE_NAMES,
  "queries",
  "keys",
] as const satisfies readonly (keyof State)[];

export function defaultOptions(): Options {
  return {
    keyOrder: "weight",
    dimensionOrder: "contribution",
    allKeys: false,
    attendedBy: false,
    map: null,
    strongest: false,
    containing: "",
  };
}

export function createState(meta: Meta, initial: State): WidgetState {
  const shared = Object.fromEntries(
    STATE_KEYS.map((key) => [key, signal(initial[key])]),
  ) as unknown as Signals<State>;
  return {
    meta,
    shared,
    hover: signal(null),
    options: signal(defaultOptions()),
    search: signal(null),
    chosen: signal(null),
  };
}

/** The shared selection as plain values; reading it subscribes the caller to every part. */
export function readState(shared: Signals<State>): State {
  return Object.fromEntries(STATE_KEYS.map((key) => [key, shared[key].value])) as unknown as State;
}

export function writeState(shared: Signals<State>, given: Partial<State>): void {
  const changes = withPins(given);
  batch(() => {
    for (const key of STATE_KEYS) {
      const value = changes[key];
      if (value !== undefined && !same(value, shared[key].peek())) {
        (shared[key] as Signal<unknown>).value = value;
      }
    }
  });
}

/** Traits are numbers, strings, null and short lists of them. */
export function same(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function fits(ranking: Ranking, numQueries: number, numKeys: number): boolean {
  if (!("keys" in ranking)) return true;
  const { queries, keys } = ranking;
  return keys.every((key) => key < numKeys) && (queries ?? []).every((q) => q < numQueries);
}

/** Which of these layers the stream has; null, all of them, where it has none. */
function layersIn(stream: StreamMeta, layers: readonly number[] | null): State["show_layers"] {
  const known = stream.layers.map(({ layer }) => layer).filter((layer) => layers?.includes(layer));
  return known.length > 0 ? known : null;
}

/** The nearest valid selection in a stream: what changing the stream leaves selected. */
export function clampTo(meta: Meta, state: State): State {
  const stream = findStream(meta, state.stream);
  const layer =
    stream.layers.find((l) => l.layer === state.layer) ??
    stream.layers.reduce((best, l) =>
      Math.abs(l.layer - state.layer) < Math.abs(best.layer - state.layer) ? l : best,
    );
  const heads = state.heads.filter((head) => head < layer.num_heads);
  const numQueries = meta.positions[stream.query_positions]?.length ?? 0;
  const numKeys = meta.positions[stream.key_positions]?.length ?? 0;
  const ranking = state.ranking && fits(state.ranking, numQueries, numKeys) ? state.ranking : null;
  const scored = (score: string | null) => (score === RANKING && !ranking ? null : score);
  return {
    ...state,
    ...fittingGroups(stream, state),
    ranking,
    score: scored(state.score),
    other_score: scored(state.other_score),
    stream: stream.name,
    layer: layer.layer,
    show_layers: layersIn(stream, state.show_layers),
    together_layers: layersIn(stream, state.together_layers),
    heads: heads.length > 0 ? heads : [0],
    ...withPins({
      queries: state.queries.filter((query) => query < numQueries),
      keys: state.keys.filter((key) => key < numKeys),
    }),
    step: state.step !== null && state.step < numSteps(meta) ? state.step : null,
    compare: state.compare.filter(([l, head]) => {
      const found = stream.layers.find((candidate) => candidate.layer === l);
      return found !== undefined && head < found.num_heads;
    }),
  };
}
