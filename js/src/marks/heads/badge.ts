// Letters in circles for compared heads, and the cross that unpins one.

import type { Theme } from "../../styles/theme.js";
import type { Rect, Surface } from "../../surface/surface.js";

export const BADGE = 16;

/** A letter in a circle: filled for those that are set against each other. */
export function drawBadge(
  surface: Surface,
  { x, y }: { x: number; y: number },
  letter: string,
  filled: boolean,
  theme: Theme,
): void {
  const middle = { x: x + BADGE / 2, y: y + BADGE / 2 };
  const style = filled ? { fill: theme.accent } : { stroke: theme.muted };
  surface.circle(middle.x, middle.y, BADGE / 2 - 0.5, style);
  surface.text(middle.x, middle.y, letter, {
    fill: filled ? theme.accentText : theme.muted,
    size: 10,
    weight: "bold",
    anchor: "middle",
  });
}

/** ✕, as lines: not every font has the character. */
export function drawClose(surface: Surface, { x, y, width, height }: Rect, theme: Theme): void {
  const inset = 5;
  const style = { stroke: theme.muted, width: 1.25 };
  surface.line(x + inset, y + inset, x + width - inset, y + height - inset, style);
  surface.line(x + inset, y + height - inset, x + width - inset, y + inset, style);
}

/** A, B … Z, then 27, 28 …: more than a few letters are never on the screen together. */
export function letterOf(index: number): string {
  return index < 26 ? String.fromCharCode(65 + index) : String(index + 1);
}
