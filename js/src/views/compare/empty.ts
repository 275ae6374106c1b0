// Compare view before anything is pinned: how to pin, and one button.

import { drawNotice } from "../../marks/notice.js";
import type { Scene } from "../../scene/scene.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import type { Frame, View } from "../view.js";

const HOW_TO_PIN =
  "Heads of different layers: shift-click them among the heads, or press C for each in turn.";
const EMPTY_HEIGHT = 130;
const BUTTON_HEIGHT = 34;

/** "Compare heads 0–3 of layer 2" */
function offerText({ state }: Scene): string {
  const heads = [...state.heads].sort((a, b) => a - b);
  const [first = 0, last = 0] = [heads[0], heads.at(-1)];
  const row = heads.length > 2 && last - first === heads.length - 1;
  const which = row ? `${first}–${last}` : heads.join(", ");
  return `Compare ${heads.length === 1 ? "head" : "heads"} ${which} of layer ${state.layer}`;
}

/** The one button of an empty comparison; a figure has none. */
function offerRect(scene: Scene, width: number): Rect | null {
  if (scene.drawing || scene.state.heads.length === 0) return null;
  const wide = Math.min(
    width - 16,
    Math.ceil(textWidth(offerText(scene), 14, "sans", "bold")) + 40,
  );
  return { x: (width - wide) / 2, y: 24, width: wide, height: BUTTON_HEIGHT };
}

function drawEmpty(surface: Surface, scene: Scene, frame: Frame): void {
  const { theme } = scene;
  const offer = offerRect(scene, frame.width);
  const top = offer ? offer.y + offer.height : 0;
  if (offer) {
    surface.rect(offer, { fill: theme.accent, radius: 5 });
    surface.text(offer.x + offer.width / 2, offer.y + offer.height / 2, offerText(scene), {
      fill: theme.accentText,
      size: 14,
      weight: "bold",
      anchor: "middle",
      maxWidth: offer.width - 8,
    });
  }
  const below = { x: 0, y: top, width: frame.width, height: EMPTY_HEIGHT - top };
  drawNotice(surface, below, HOW_TO_PIN, theme.muted);
}

/** Nothing is compared yet. */
export const emptyForm: Omit<View, "name"> = {
  contentHeight: () => EMPTY_HEIGHT,
  draw: drawEmpty,
  hit(scene, frame, x, y) {
    const offer = offerRect(scene, frame.width);
    return offer && contains(offer, x, y) ? { action: "compare-selected" } : null;
  },
  stops(scene, frame) {
    const rect = offerRect(scene, frame.width);
    return rect ? [{ rect, action: "compare-selected", name: offerText(scene) }] : [];
  },
};
