// The selected heads as one more head: the scene in which they are, and what it is called.

import { type How, type Together, togetherBlocks } from "../../data/together.js";
import type { Scene } from "../../scene/scene.js";
import { rangesText } from "../../state/ranges.js";

export const NAMES: Readonly<Record<How, string>> = { mean: "mean", max: "maximum", sum: "sum" };

/** "mean of heads 0–3". */
export function togetherName({ how, heads }: Together): string {
  return `${NAMES[how]} of heads ${rangesText(heads)}`;
}

/** Which heads are drawn as one, and how; null where each is drawn by itself. */
export function togetherOf({ state, sides, layer }: Scene): Together | null {
  const { together: how, measure } = state;
  const heads = state.heads.filter((head) => head < layer.num_heads).sort((a, b) => a - b);
  // A rollout has no heads; of two records one head is drawn.
  if (!how || heads.length < 2 || measure === "rollout" || sides) return null;
  return { how, heads };
}

const made = new WeakMap<Scene, Scene>();

/**
 * The scene in which the selected heads are one, whose numbers are all of theirs; the scene itself
 * where they are not. The views of single heads, and what is said of those, keep to the other.
 */
export function togetherScene(scene: Scene): Scene {
  const known = made.get(scene);
  if (known) return known;
  const together = togetherOf(scene);
  if (!together) return scene;
  const { generationStep, queries, state, hover } = scene;
  const count = generationStep?.numQueries ?? queries.length;
  // A head that is pointed at is a part of this one: it is not singled out.
  const { head: _, ...rest } = hover ?? {};
  const shown: Scene = {
    ...scene,
    together,
    state: { ...state, heads: together.heads.slice(0, 1) },
    hover: hover && { ...rest, source: hover.source },
    blocks: togetherBlocks(scene.blocks, together, count),
  };
  made.set(scene, shown);
  // Asked again, it is itself.
  made.set(shown, shown);
  return shown;
}
