// What stands in a view in the place of numbers that cannot be had.

import { drawNotice } from "../../marks/notice.js";
import { onPaper, type Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";

/** Stands in each view for a sentence that the page says once. */
export const SAID_BELOW = "No numbers here: why is said under the views.";

/** Why there are no numbers, and its colour; the page says under the views what went wrong, for all of them. */
export function failureText(
  scene: Scene,
  error: string,
): { readonly text: string; readonly fill: string } {
  const said = onPaper(scene) ? null : (scene.failed?.() ?? null);
  const isSaid = said !== null && error.includes(said);
  return isSaid
    ? { text: SAID_BELOW, fill: scene.theme.muted }
    : { text: error, fill: scene.theme.danger };
}

/** The same over a picture, parts of which may be there. */
export function drawFailure(surface: Surface, scene: Scene, area: Rect, error: string): void {
  const { text, fill } = failureText(scene, error);
  drawNotice(surface, area, text, fill, scene.theme.background);
}
