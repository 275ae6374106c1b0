// Names of measures, and notes on them in legends.

import { formatSigned, formatWeight, rounded } from "../../marks/format.js";
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
  gradient: { choice: "weight × gradient", title: "w × ∂/∂w", short: "w × ∂/∂w" },
  relevance: { choice: "relevance", title: "max(0, w × ∂/∂w)", short: "relevance" },
  rollout: { choice: "rollout", title: "rollout", short: "rollout" },
};

/** Whether numbers have both signs: they are drawn in two colours, about nothing. */
export const isSigned = ({ state }: Pick<Scene, "state">) => state.measure === "gradient";

/** Whether numbers are what a link adds to the record's metric. */
export const ofMetric = ({ state }: Pick<Scene, "state">) =>
  state.measure === "gradient" || state.measure === "relevance";

/** A number of the measure, with its sign where both are there. */
export const sayNumber = (scene: Pick<Scene, "state">, value: number): string =>
  isSigned(scene) ? formatSigned(value) : formatWeight(value);

export const isRollout = ({ state }: Pick<Scene, "state">) => state.measure === "rollout";

/** Whether pieces are merged to words here. */
export function showsWords({ recorded, queries, keys }: Scene): boolean {
  return recorded !== null && (recorded.queries !== queries || recorded.keys !== keys);
}

/** What a legend calls the numbers. */
export function measureTitle({ state, stream }: Pick<Scene, "state" | "stream">): string {
  const { title } = MEASURES[state.measure];
  if (ofMetric({ state }) && stream.metric !== undefined) return `${title} of ${stream.metric}`;
  return state.measure === "rollout" ? `${title} up to layer ${state.layer}` : title;
}

/** What a scale that does not end at 1 ends at. */
function scaleOf({ state, together }: Scene): string {
  const sum = together?.how === "sum";
  if (sum && state.measure === "weights") return "a weight of 1 in every head";
  if (ofMetric({ state })) return "the largest here";
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
