// A message in place of a picture.

import type { Rect, Surface } from "../surface/surface.js";
import { textWidth, wrapText } from "../surface/text.js";

const SIZE = 12;
const LINE = 17;

/** A few words in the middle of an area where a picture would be; on a ground where parts of one may be there. */
export function drawNotice(
  surface: Surface,
  area: Rect,
  text: string,
  fill: string,
  ground?: string,
): void {
  const lines = wrapText(text, Math.min(440, area.width - 16), SIZE);
  const top = area.y + area.height / 2 - ((lines.length - 1) * LINE) / 2;
  surface.group("notice", () => {
    if (ground !== undefined) {
      const width = Math.max(...lines.map((line) => textWidth(line, SIZE))) + 16;
      const height = lines.length * LINE + 8;
      const rect = { x: area.x + (area.width - width) / 2, y: top - LINE / 2 - 4, width, height };
      surface.rect(rect, { fill: ground, opacity: 0.9, radius: 4 });
    }
    lines.forEach((line, i) => {
      const style = { fill, size: SIZE, anchor: "middle" } as const;
      surface.text(area.x + area.width / 2, top + i * LINE, line, style);
    });
  });
}
