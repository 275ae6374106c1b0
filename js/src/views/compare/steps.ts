// Compare view: how much the head shown changes from one record of a series to the next.

import type { Scene } from "../../scene/scene.js";
import { readScore } from "../model/head-scores.js";
import { placedHeads } from "../model/heads.js";
import { isRollout } from "../shared/measure.js";

/** More than two records: each is compared with the one before it. */
export const isSeries = ({ sides }: Pick<Scene, "sides">): boolean => (sides?.length ?? 0) > 2;

/** The divergence of the head shown between the n-th record and the one before; null where there is none, or not yet. */
export function stepChange(scene: Scene, n: number): number | null {
  const { stream, state } = scene;
  // It is of heads; a rollout mixes them.
  if (!isSeries(scene) || n < 1 || isRollout(scene)) return null;
  const { values } = readScore(scene, `step_${n}`);
  const [head = 0] = state.heads;
  const at = placedHeads(stream).find((one) => one.layer === state.layer && one.head === head);
  const value = at && values?.[at.index];
  return value === undefined || value === null || Number.isNaN(value) ? null : value;
}
