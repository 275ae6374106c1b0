// Signals and the widget's traits kept equal, both ways.

import { effect } from "@preact/signals-core";
import type { State as Traits } from "../protocol/generated.js";
import type { TraitModel } from "../protocol/model.js";
import { fromTraits, type State, toTraits } from "./selection.js";
import { readState, type Signals, STATE_KEYS, same, writeState } from "./signals.js";

/** What travels: several pins of an axis are one trait. */
const TRAITS = STATE_KEYS.filter((key) => key !== "queries" && key !== "keys") as (keyof Traits)[];

export function readTraits(model: TraitModel): State {
  return fromTraits(
    Object.fromEntries(TRAITS.map((key) => [key, model.get(key)])) as unknown as Traits,
  );
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
  for (const key of TRAITS) model.on(`change:${key}`, pull);
  const stop = effect(() => {
    const state = toTraits(readState(shared));
    if (fromModel) return;
    const changed = TRAITS.filter((key) => !same(model.get(key), state[key]));
    if (changed.length === 0) return;
    for (const key of changed) model.set(key, state[key]);
    model.save_changes();
  });
  signal.addEventListener("abort", () => {
    stop();
    for (const key of TRAITS) model.off(`change:${key}`, pull);
  });
}
