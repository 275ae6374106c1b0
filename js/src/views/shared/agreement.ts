// How far a measure of gradients agrees with what the metric loses without each head, in words.

import { formatScore } from "../../marks/format.js";
import type { AgreementOfMeasure } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import { ofMetric } from "./measure.js";

/** What the numbers are, for who wants to know. */
export const ABOUT =
  "Spearman’s rank correlation, over heads, of the measure summed over the links of a head and what the metric loses without it.";
const NOT_COMPARED = "not compared with exact effects";

/** Whether anything that is drawn is a measure of gradients. */
function isDrawn({ state, stream, sides }: Scene): boolean {
  const { view, form } = state;
  const reads = view !== "neuron" && !(view === "head" && form === "geometry");
  return reads && sides === null && stream.metric !== undefined && ofMetric({ state });
}

function measured({ state, edited }: Scene): AgreementOfMeasure | undefined {
  const { measure } = state;
  if (measure !== "gradient" && measure !== "relevance") return undefined;
  return edited?.effects?.agreement?.[measure];
}

/** How many heads were run: "16 heads", "7 of 16 heads". */
const counted = (heads: number, of: number) => `${heads === of ? "" : `${heads} of `}${of} heads`;

function said({ correlation, heads, of, first, most, largest }: AgreementOfMeasure): string {
  if (correlation === null)
    return `the measure cannot be compared with exact effects: the same number for each of ${counted(heads, of)}`;
  const other = first ? `${most} by both` : `${most}, by the measure ${largest}`;
  const over = `rank correlation ${formatScore(correlation)} over ${counted(heads, of)}`;
  return `how far the measure agrees with exact effects: ${over}; the head that matters most is ${other}`;
}

/** Whether the heads can be run for a measure that is drawn, and were not. */
export function isUncompared(scene: Scene): boolean {
  const { effects } = scene.edited ?? {};
  const running = effects?.agreement !== undefined && effects.state === "running";
  return isDrawn(scene) && measured(scene) === undefined && !running;
}

/** How far the measure that is drawn agrees, in one line; null where none of gradients is drawn. */
export function agreementNote(scene: Scene): string | null {
  if (!isDrawn(scene)) return null;
  const found = measured(scene);
  if (found) return said(found);
  if (isUncompared(scene)) return NOT_COMPARED;
  const { done = 0, of = 0 } = scene.edited?.effects ?? {};
  return `comparing with exact effects: ${done} of ${of} heads`;
}
