import type { Theme } from "../styles/theme.js";
import type { Rect, Surface } from "../surface/surface.js";
import { textWidth } from "../surface/text.js";

/** From this cell size on, a compared head's letter fits into its corner. */
const BADGE_CELL = 24;

/** Around a cell: the colour, and beyond it a hairline of the page, for contrast with neighbours. */
export function drawHeadOutline(surface: Surface, cell: Rect, colour: string, theme: Theme): void {
  const ring = (by: number) => ({
    x: cell.x - by,
    y: cell.y - by,
    width: cell.width + 2 * by,
    height: cell.height + 2 * by,
  });
  surface.rect(ring(2.5), { stroke: theme.background, strokeWidth: 1 });
  surface.rect(ring(1), { stroke: colour, strokeWidth: 2 });
}

/** In the corner of a cell: the compared head's letter, or a dot where no letter fits. */
export function drawBadge(surface: Surface, cell: Rect, index: number, theme: Theme): void {
  const name = badgeName(index);
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

/** "A", "B", … for heads set side by side; then 27, 28, …. */
export function badgeName(index: number): string {
  return index < 26 ? String.fromCharCode(65 + index) : String(index + 1);
}
