// Whether what is open draws heads by their weights, beside others or alone: what their controls are there for.

import type { Scene } from "../../scene/scene.js";

/** Whether a selected head is drawn; in the tab of the heads it stands beside them, but for a survey's. */
export function drawsHead({ state, meta }: Scene): boolean {
  const { view } = state;
  return view === "all" || view === "head" || (view === "model" && meta.survey === undefined);
}
