// What of heads is drawn in what is open: what their controls are there for, and what the help speaks of.

import { withoutRecord } from "../../data/meta.js";
import type { Scene } from "../../scene/scene.js";

/** Whether selected heads are drawn as one picture; in the view “model” it stands beside all heads, but for a survey's. */
export function drawsHead({ state, meta }: Scene): boolean {
  const { view } = state;
  return view === "all" || view === "head" || (view === "model" && meta.survey === undefined);
}

/** Whether selected or pinned heads are drawn by their weights, together or side by side. */
export function drawsHeads(scene: Scene): boolean {
  return drawsHead(scene) || scene.state.view === "compare";
}

/** Whether there is a place for heads side by side, pinned or about to be. */
export const drawsPinned = ({ state: { view } }: Pick<Scene, "state">) =>
  view === "all" || view === "compare";

/** Whether a trace is all that is drawn of weights: it has its own links, whatever is chosen of a head's. */
export const drawsTraceOnly = ({ state: { view, form } }: Pick<Scene, "state">) =>
  view === "head" && form === "trace";

/** Whether there is anything with tokens. */
export function drawsTokens(scene: Scene): boolean {
  return !withoutRecord(scene) && (drawsHeads(scene) || scene.state.view === "neuron");
}

/** Whether all heads are on show; those of a survey always are. */
export function drawsAllHeads({ state, meta }: Scene): boolean {
  return state.view === "all" || state.view === "model" || meta.survey !== undefined;
}

/** Whether heads can be scored in what is open. */
export function canScore({ state: { view, measure } }: Scene): boolean {
  return measure !== "rollout" && (view === "all" || view === "model");
}
