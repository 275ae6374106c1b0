// A line through a label: its token was taken away by an edit of the model.

import type { Theme } from "../../styles/theme.js";
import type { Rect, Surface } from "../../surface/surface.js";

const WIDTH = 1.75;

/** Through the middle of a label's rectangle, along its longer side; dashed where only some links are gone. */
export function drawStrike(
  surface: Surface,
  { x, y, width, height }: Rect,
  theme: Theme,
  {
    upright = false,
    dashed = false,
  }: { readonly upright?: boolean; readonly dashed?: boolean } = {},
): void {
  const style = { stroke: theme.changed, width: WIDTH, ...(dashed ? { dash: [3, 2] } : {}) };
  if (upright) surface.line(x + width / 2, y, x + width / 2, y + height, style);
  else surface.line(x, y + height / 2, x + width, y + height / 2, style);
}
