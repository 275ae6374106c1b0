// How far a measure of gradients agrees with what the metric loses without each head, in words.

import { formatScore } from "../../marks/format.js";
import type { AgreementOfMeasure } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import { ofMetric } from "./measure.js";

/** What the numbers are, for who wants to know. */
export const ABOUT =
  "Spearman’s rank correlation, over heads, of the measure summed over the links of a head and what the metric loses without it.";
/** What was done to the heads where that is not what a gradient says something of. */
const HOWS = { mean: "set to their mean", resample: "taken from another input" } as const;
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

/** Why effects that are known say nothing of the measure; null where none are, or they do. */
function whyNot({ edited, stream }: Scene): string | null {
  const { effects } = edited ?? {};
  if (!effects || effects.done === 0) return null;
  if (effects.metric !== stream.metric) return `those found are of ${effects.metric}`;
  if (effects.how !== "zero") return `those found are of heads ${HOWS[effects.how]}`;
  if (effects.agreement) return "fewer than two heads were run";
  return effects.at === null ? null : `those found are after “${effects.at.trim()}”`;
}

/** Whether the heads can be run for a measure that is drawn, and were not. */
export function isUncompared(scene: Scene): boolean {
  const { effects } = scene.edited ?? {};
  const running = effects?.agreement !== undefined && effects.state === "running";
  return isDrawn(scene) && measured(scene) === undefined && !running;
}

/**
 * How far the measure that is drawn agrees, in one line; null where none of gradients is drawn.
 * `offered` is whether the reader can have it compared.
 */
export function agreementNote(scene: Scene, offered = false): string | null {
  if (!isDrawn(scene)) return null;
  const found = measured(scene);
  if (found) return said(found);
  if (isUncompared(scene)) {
    const why = whyNot(scene);
    const not = offered ? `${NOT_COMPARED} yet` : NOT_COMPARED;
    return why === null ? not : `${not}: ${why}`;
  }
  const { done = 0, of = 0 } = scene.edited?.effects ?? {};
  return `comparing with exact effects: ${done} of ${of} heads`;
}
