// Signals and the widget's traits kept equal, both ways.

import { effect, type Signal } from "@preact/signals-core";
import { STATE_NAMES } from "../protocol/constants.js";
import type { Chosen, State as Traits } from "../protocol/generated.js";
import type { TraitModel } from "../protocol/model.js";
import { fromTraits, type State, toTraits } from "./selection.js";
import { readState, type Signals, same, writeState } from "./signals.js";

export function readTraits(model: TraitModel): State {
  return fromTraits(
    Object.fromEntries(STATE_NAMES.map((key) => [key, model.get(key)])) as unknown as Traits,
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
  for (const key of STATE_NAMES) model.on(`change:${key}`, pull);
  const stop = effect(() => {
    const state = toTraits(readState(shared));
    if (fromModel) return;
    const changed = STATE_NAMES.filter((key) => !same(model.get(key), state[key]));
    if (changed.length === 0) return;
    for (const key of changed) model.set(key, state[key]);
    model.save_changes();
  });
  signal.addEventListener("abort", () => {
    stop();
    for (const key of STATE_NAMES) model.off(`change:${key}`, pull);
  });
}

/** Follow what Python chose for the reader, until the signal aborts. */
export function bindChosen(
  model: TraitModel,
  chosen: Signal<Chosen | null>,
  signal: AbortSignal,
): void {
  const pull = () => {
    chosen.value = (model.get("chosen") as Chosen | null | undefined) ?? null;
  };
  pull();
  model.on("change:chosen", pull);
  signal.addEventListener("abort", () => model.off("change:chosen", pull));
}
