// Names and headings of the views.

import { numSteps } from "../data/meta.js";
import type { Scene } from "../scene/scene.js";
import type { ViewName } from "../state/interaction.js";
import { lensTitle } from "./lens/view.js";
import { hasContexts } from "./survey/contexts.js";
import { effectsTitle } from "./what-if/heads.js";
import { changeTitle } from "./what-if/words.js";

/** What a view is called where it is not seen. */
export const TITLES: Readonly<Record<ViewName, string>> = {
  model: "Heads",
  head: "Head view",
  neuron: "Neuron view",
  compare: "Compare",
  next: "Next token",
  examples: "Most typical inputs",
  change: "Before and after",
  lens: "What each layer would predict",
};

/** A view's name, and how far the generation has come that is shown; `fits` is whether it has room for one. */
export function titleOf(scene: Scene, view: ViewName, fits?: (title: string) => boolean): string {
  const { state, meta } = scene;
  if (view === "model") return effectsTitle(scene, fits) ?? TITLES.model;
  if (view === "examples" && hasContexts(scene)) return "Contexts and most typical inputs";
  if (view === "lens") return lensTitle(scene);
  if (view === "change" && scene.edited) return changeTitle(scene.edited);
  if (view !== "next" || state.step === null) return TITLES[view];
  return `${TITLES[view]} · step ${state.step + 1} of ${numSteps(meta)}`;
}
