// Names and headings of the views.

import { numSteps } from "../data/meta.js";
import type { Scene } from "../scene/scene.js";
import type { ViewName } from "../state/interaction.js";

/** What a view is called where it is not seen. */
export const TITLES: Readonly<Record<ViewName, string>> = {
  model: "Heads",
  head: "Head view",
  neuron: "Neuron view",
  compare: "Compare",
  next: "Next token",
  examples: "Most typical inputs",
};

/** A view's name, and how far the generation has come that is shown. */
export function titleOf({ state, meta }: Scene, view: ViewName): string {
  if (view !== "next" || state.step === null) return TITLES[view];
  return `${TITLES[view]} · step ${state.step + 1} of ${numSteps(meta)}`;
}
