import type { Surface, TextStyle } from "../surface/surface.js";
import { textWidth } from "../surface/text.js";

/** Lines of at most `width` pixels, broken at spaces; a longer word stays whole on its own line. */
export function wrapText(text: string, width: number, size: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && textWidth(longer, size) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  if (line !== "") lines.push(line);
  return lines;
}

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
