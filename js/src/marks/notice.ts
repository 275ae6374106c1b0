// A message in place of a picture.

import type { Rect, Surface } from "../surface/surface.js";
import { wrapText } from "../surface/text.js";

const SIZE = 12;
const LINE = 17;

/** A few words in the middle of an area where a picture would be. */
export function drawNotice(surface: Surface, area: Rect, text: string, fill: string): void {
  const lines = wrapText(text, Math.min(440, area.width - 16), SIZE);
  const top = area.y + area.height / 2 - ((lines.length - 1) * LINE) / 2;
  surface.group("notice", () => {
    lines.forEach((line, i) => {
      const style = { fill, size: SIZE, anchor: "middle" } as const;
      surface.text(area.x + area.width / 2, top + i * LINE, line, style);
    });
  });
}
