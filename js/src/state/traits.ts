// Signals and the widget's traits kept equal, both ways.

import { effect, type Signal } from "@preact/signals-core";
import { STATE_NAMES } from "../protocol/constants.js";
import type { State as Traits } from "../protocol/generated.js";
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
  hear(model, STATE_NAMES, pull, signal);
  const stop = effect(() => {
    const state = toTraits(readState(shared));
    if (fromModel) return;
    const changed = STATE_NAMES.filter((key) => !same(model.get(key), state[key]));
    if (changed.length === 0) return;
    for (const key of changed) model.set(key, state[key]);
    model.save_changes();
  });
  signal.addEventListener("abort", stop);
}

/** Keep a signal what a trait is that Python alone sets, until the other signal aborts. */
export function follow<T>(
  model: TraitModel,
  name: string,
  value: Signal<T | null>,
  signal: AbortSignal,
): void {
  const pull = () => {
    value.value = (model.get(name) as T | null | undefined) ?? null;
  };
  pull();
  hear(model, [name], pull, signal);
}

/** Be told of every change of these traits, until the signal aborts. */
function hear(
  model: TraitModel,
  names: readonly string[],
  heard: () => void,
  signal: AbortSignal,
): void {
  for (const name of names) model.on(`change:${name}`, heard);
  signal.addEventListener("abort", () => {
    for (const name of names) model.off(`change:${name}`, heard);
  });
}
