// Wrapped text.

import type { Surface, TextStyle } from "../../surface/surface.js";
import { wrapText } from "../../surface/text.js";

/** Text over several lines from `y`, the first line's middle. Returns the height it took. */
export function drawParagraph(
  surface: Surface,
  at: { x: number; y: number; width: number; leading: number },
  text: string,
  style: TextStyle,
): number {
  const lines = wrapText(text, at.width, style.size);
  lines.forEach((line, index) => {
    surface.text(at.x, at.y + index * at.leading, line, { ...style, maxWidth: at.width });
  });
  return lines.length * at.leading;
}
