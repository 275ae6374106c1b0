// What is set aside, in the words of legends.

import type { ThumbnailShading } from "../../marks/heads/thumbnails.js";
import { labelOf } from "../../marks/text/tokens.js";
import type { Scene } from "../../scene/scene.js";

const NAMED = 2;

/** "first token", "special tokens", “the”, “cat” and 3 more; null where nothing of what is shown is set aside. */
export function asideName({ aside, state, keys }: Scene): string | null {
  if (aside.keys.length === 0) return null;
  if (typeof state.aside === "string") {
    return state.aside === "first" ? "first token" : `${state.aside} tokens`;
  }
  const named = aside.keys.slice(0, NAMED).map((key) => `“${labelOf(keys, key)}”`);
  const more = aside.keys.length - named.length;
  return named.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** What is to be known of shades and widths while something is set aside; null while nothing is. */
export function asideNote(scene: Scene): string | null {
  const name = asideName(scene);
  return name && `${name} set aside: shades rescaled, numbers unchanged`;
}

/** How thumbnails are shaded: what has no shares of 1 is not dealt out anew. */
export function thumbnailShading({ theme, aside, keys, sides, state }: Scene): ThumbnailShading {
  const shares = sides === null && (state.measure === "weights" || state.measure === "rollout");
  return { theme, aside, numKeys: keys.length, shares };
}
