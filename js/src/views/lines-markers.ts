import { memo } from "../marks/memo.js";
import { labelOf } from "../marks/tokens.js";
import type { Rect, Surface } from "../surface/surface.js";
import { textWidth } from "../surface/text.js";
import { formatWeight } from "./format.js";
import { type Beyond, beyondWindow, type LinesInput, pictureKey } from "./lines-data.js";
import { scrollTo } from "./lines-layout.js";
import type { Hit, Scene } from "./view.js";

/** Where strong links leave the window: "▲ 12 · cat 0.41", which jumps there. */
export interface Marker {
  readonly rect: Rect;
  readonly text: string;
  readonly hit: Hit;
  readonly name: string;
}

const HEIGHT = 17;
const SIZE = 11;
/** Markers on each side for a token in focus, and the least weight that gets one. */
const FOCUSED = { count: 3, least: 0.02 };
/** With nothing in focus only the strongest of all, or the edge would be all markers. */
const IDLE = { count: 1, least: 0.1 };

function strongestBeyond(scene: Scene, input: LinesInput): readonly Beyond[] {
  const { focus } = input;
  if (focus.about !== "all") return beyondWindow(input, FOCUSED.count, FOCUSED.least);
  // Every key of every visible query is looked at: not again at every move of the pointer.
  return memo(scene.stream, `beyond ${pictureKey(input)}`, () =>
    beyondWindow(input, IDLE.count, IDLE.least),
  );
}

export function markersOf(scene: Scene, input: LinesInput): readonly Marker[] {
  const { layout, focus } = input;
  const aboutKey = focus.about === "key";
  const column = aboutKey ? layout.queries : layout.keys;
  const { x, y, width, height } = layout.links;
  const placed = { above: 0, below: 0 };
  return strongestBeyond(scene, input).map(({ index, weight, side }) => {
    const label = labelOf(column.positions, index);
    const number = formatWeight(weight);
    const text = `${side < 0 ? "▲" : "▼"} ${index} · ${label} ${number}`;
    const wide = Math.min(width, Math.ceil(textWidth(text, SIZE)) + 10);
    const nth = side < 0 ? placed.above++ : placed.below++;
    const top = side < 0 ? y + nth * HEIGHT : y + height - (nth + 1) * HEIGHT;
    return {
      rect: { x: aboutKey ? x : x + width - wide, y: top, width: wide, height: HEIGHT },
      text,
      hit: { scrollTo: scrollTo(layout, column, index) },
      name: `Jump to ${aboutKey ? "query" : "key"} ${index} “${label}”, weight ${number}`,
    };
  });
}

export function drawMarkers(surface: Surface, scene: Scene, input: LinesInput): void {
  const { theme } = scene;
  for (const { rect, text } of markersOf(scene, input)) {
    surface.rect(rect, { fill: theme.background, opacity: 0.9 });
    surface.text(rect.x + 5, rect.y + rect.height / 2, text, {
      fill: theme.muted,
      size: SIZE,
      maxWidth: rect.width - 8,
    });
  }
}
