// Short labels on thumbnails.

import type { Theme } from "../../styles/theme.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { ellipsize, textWidth } from "../../surface/text.js";
import type { Label } from "./head-scores.js";

const SIZE = 9;
const HEIGHT = 11;

/** "induction .91": the number whole, the word as far as it fits. */
export function labelText({ text, value }: Label, width: number): string {
  const number = value >= 0.995 ? "1" : value.toFixed(2).replace(/^0/, "");
  const room = width - 6 - textWidth(` ${number}`, SIZE);
  return `${ellipsize(text, room, SIZE)} ${number}`;
}

/** A few characters on a thumbnail, on a ground of their own. */
export function drawTag(
  surface: Surface,
  cell: Rect,
  text: string,
  edge: "top" | "bottom",
  faint: boolean,
  theme: Theme,
): void {
  const width = Math.min(cell.width, Math.ceil(textWidth(text, SIZE)) + 4);
  const y = edge === "top" ? cell.y : cell.y + cell.height - HEIGHT;
  surface.rect({ x: cell.x, y, width, height: HEIGHT }, { fill: theme.background });
  surface.text(cell.x + 2, y + HEIGHT / 2, text, {
    fill: faint ? theme.muted : theme.text,
    size: SIZE,
  });
}
