import { effect } from "@preact/signals-core";
import type { State } from "../protocol/generated.js";
import { readState, type Signals, STATE_KEYS, same, writeState } from "./state.js";

/** The part of a widget model that is used here: a live comm, or the shim of a saved page. */
export interface TraitModel {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  on(event: string, callback: (...args: never[]) => void): void;
  off(event: string, callback: (...args: never[]) => void): void;
  save_changes(): void;
}

export function readTraits(model: TraitModel): State {
  return Object.fromEntries(STATE_KEYS.map((key) => [key, model.get(key)])) as unknown as State;
}

/** Keep signals and traits equal, both ways, until the signal aborts. */
export function bindTraits(model: TraitModel, shared: Signals<State>, signal: AbortSignal): void {
  let fromModel = false;
  const pull = () => {
    // One Python assignment can change several traits (a stream brings its layer along): all are
    // read at once, so no view ever sees half of it.
    fromModel = true;
    writeState(shared, readTraits(model));
    fromModel = false;
  };
  for (const key of STATE_KEYS) model.on(`change:${key}`, pull);
  const stop = effect(() => {
    const state = readState(shared);
    if (fromModel) return;
    const changed = STATE_KEYS.filter((key) => !same(model.get(key), state[key]));
    if (changed.length === 0) return;
    for (const key of changed) model.set(key, state[key]);
    model.save_changes();
  });
  signal.addEventListener("abort", () => {
    stop();
    for (const key of STATE_KEYS) model.off(`change:${key}`, pull);
  });
}
