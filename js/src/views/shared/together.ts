// The selected heads as one more head: the scene in which they are, and what it is called.

import { type How, type Together, togetherBlocks } from "../../data/together.js";
import type { Scene } from "../../scene/scene.js";
import { rangesText } from "../../state/ranges.js";

export const NAMES: Readonly<Record<How, string>> = { mean: "mean", max: "maximum", sum: "sum" };

const rising = (numbers: readonly number[]) => [...new Set(numbers)].sort((a, b) => a - b);

/** Which layers and heads are one, each number once; no layers where there is only the selected one. */
export function numbersOf({ heads, layers = [] }: Together) {
  return { heads: rising(heads), layers: rising(layers) };
}

/** "layers 0–2"; empty where there is only the selected one. */
export function layersName(together: Together): string {
  const { layers } = numbersOf(together);
  return layers.length > 0 ? `layers ${rangesText(layers)}` : "";
}

/** "mean of heads 0–3", "mean of heads 0–3 of layers 1–2". */
export function togetherName(together: Together): string {
  const { heads } = numbersOf(together);
  const layers = layersName(together);
  const named = `${NAMES[together.how]} of ${heads.length > 1 ? "heads" : "head"} ${rangesText(heads)}`;
  return layers ? `${named} of ${layers}` : named;
}

/**
 * Which heads are drawn as one, and how; null where each is drawn by itself. Those of several layers are
 * while the selected layer is one of them. `together_of` in Python is the same.
 */
export function togetherOf({ state, sides, layer, stream, drawing }: Scene): Together | null {
  const { together: how, measure, form, together_layers: several } = state;
  // A rollout has no heads, a plane is of one; of two records one head is drawn, and of a grid one in each panel.
  if (!how || measure === "rollout" || form === "geometry" || form === "trace") return null;
  if (sides || drawing?.panel) return null;
  const among = several?.includes(layer.layer) ? several : [layer.layer];
  const heads = rising(state.heads);
  const pairs = stream.layers
    .filter(({ layer }) => among.includes(layer))
    .sort((a, b) => a.layer - b.layer)
    .flatMap(({ layer, num_heads }) =>
      heads.filter((head) => head < num_heads).map((head) => [layer, head] as const),
    );
  if (pairs.length < 2) return null;
  const layers = pairs.map(([layer]) => layer);
  const across = new Set(layers).size > 1 ? { layers } : {};
  return { how, heads: pairs.map(([, head]) => head), ...across };
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
    state: { ...state, heads: state.heads.slice(0, 1) },
    hover: hover && { ...rest, source: hover.source },
    blocks: togetherBlocks(scene.blocks, together, count),
  };
  made.set(scene, shown);
  // Asked again, it is itself.
  made.set(shown, shown);
  return shown;
}
