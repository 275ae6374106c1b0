// `FigureBox`, a drawing of a figure with its title.

import type { Scene } from "../scene/scene.js";
import type { Rect } from "../surface/surface.js";
import { TITLE_HEIGHT } from "../views/layout.js";
import type { View } from "../views/view.js";

/** One drawing of a figure and what stands above it. */
export interface FigureBox {
  /** The group's name. */
  readonly id: string;
  readonly view: View;
  readonly scene: Scene;
  readonly rect: Rect;
  /** With a colour, a head's; null leaves it out, and its space with it. */
  readonly title: { readonly text: string; readonly colour?: string } | null;
}

/** Middle of a title above the top of its drawing. */
export const TITLE_MIDDLE = TITLE_HEIGHT - 12;
