// Names of measures, and notes on them in legends.

import { rounded } from "../../marks/format.js";
import type { Measure } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import { editNotes } from "../what-if/parts.js";
import { togetherName } from "./together.js";

/** What each measure is called: in a choice, in a legend, and over a thumbnail. */
export const MEASURES: Readonly<
  Record<Measure, { readonly choice: string; readonly title: string; readonly short: string }>
> = {
  weights: { choice: "weights", title: "weight", short: "weight" },
  value: { choice: "value-weighted", title: "value-weighted α‖v‖", short: "α‖v‖" },
  norm: { choice: "norm-based", title: "norm-based ‖αf(x)‖", short: "‖αf(x)‖" },
  rollout: { choice: "rollout", title: "rollout", short: "rollout" },
};

export const isRollout = ({ state }: Pick<Scene, "state">) => state.measure === "rollout";

/** Whether pieces are merged to words here. */
export function showsWords({ recorded, queries, keys }: Scene): boolean {
  return recorded !== null && (recorded.queries !== queries || recorded.keys !== keys);
}

/** What a legend calls the numbers. */
export function measureTitle({ state }: Pick<Scene, "state">): string {
  const { title } = MEASURES[state.measure];
  return state.measure === "rollout" ? `${title} up to layer ${state.layer}` : title;
}

/** What a scale that does not end at 1 ends at. */
function scaleOf({ state, together }: Scene): string {
  const sum = together?.how === "sum";
  if (sum && state.measure === "weights") return "a weight of 1 in every head";
  const of = state.measure === "value" ? "value" : "value behind the projection";
  return `the longest ${of}${sum ? " in every head" : ""}`;
}

/** What is to be known about the numbers besides their name: the scale they have, and between what they are. */
export function measureNotes(scene: Scene, scale: number | undefined): readonly string[] {
  const notes: string[] = [];
  if (isRollout(scene)) notes.push("all heads together, half of each layer the residual stream");
  else if (scale !== undefined) notes.push(`scale: up to ${rounded(scale, 3)}, ${scaleOf(scene)}`);
  // Where no head has a name beside what is drawn.
  const { together, state } = scene;
  if (together && (state.form === "text" || state.form === "image")) {
    notes.push(`shade: ${togetherName(together)}`);
  }
  if (showsWords(scene)) {
    notes.push("words: summed over a key’s pieces, averaged over a query’s");
  }
  notes.push(...editNotes(scene));
  return notes;
}
