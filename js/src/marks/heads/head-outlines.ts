// Outlines of selected heads in the model view, and compared heads' letters in their corners.

import type { Theme } from "../../styles/theme.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { letterOf } from "./badge.js";

/** From this cell size on, a compared head's letter fits into its corner. */
const BADGE_CELL = 24;

export interface Outlined {
  readonly cell: Rect;
  readonly colour: string;
}

const grown = ({ x, y, width, height }: Rect, by: number): Rect => ({
  x: x - by,
  y: y - by,
  width: width + 2 * by,
  height: height + 2 * by,
});

/**
 * Each cell's colour around it, outside, since a cell's first column may be all that it shows; and
 * around that a hairline of the page. Hairlines first: they must not cut a neighbour's outline.
 */
export function drawHeadOutlines(
  surface: Surface,
  outlined: readonly Outlined[],
  theme: Theme,
): void {
  for (const { cell } of outlined) {
    surface.rect(grown(cell, 2.5), { stroke: theme.background, strokeWidth: 1 });
  }
  for (const { cell, colour } of outlined) {
    surface.rect(grown(cell, 1), { stroke: colour, strokeWidth: 2 });
  }
}

/** In the corner of a cell: the compared head's letter, or a dot where no letter fits. */
export function drawCornerBadge(surface: Surface, cell: Rect, index: number, theme: Theme): void {
  const name = letterOf(index);
  if (cell.width < BADGE_CELL) {
    const radius = Math.max(1.5, Math.min(3, cell.width / 4));
    surface.circle(cell.x + cell.width - radius, cell.y + radius, radius, {
      fill: theme.accent,
      stroke: theme.background,
      strokeWidth: 0.75,
    });
    return;
  }
  const width = Math.max(13, Math.ceil(textWidth(name, 10, "sans", "bold")) + 6);
  const box = { x: cell.x + cell.width - width, y: cell.y, width, height: 13 };
  surface.rect(box, { fill: theme.accent });
  surface.text(box.x + width / 2, box.y + 6.5, name, {
    fill: theme.accentText,
    size: 10,
    weight: "bold",
    anchor: "middle",
  });
}
