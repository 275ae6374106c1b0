// Markers of strong links that leave the window.

import { formatWeight } from "../../marks/format.js";
import { memo } from "../../marks/memo.js";
import { visibleRows } from "../../marks/text/token-axis.js";
import { labelOf } from "../../marks/text/tokens.js";
import type { Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { sayNumber } from "../shared/measure.js";
import { scrollTo } from "./layout.js";
import { type Beyond, beyondWindow, hiddenShare, type LinesInput, pictureKey } from "./links.js";

/** Where strong links leave the window: "▲ 12 · cat 0.41", which jumps there. */
export interface LinkMarker {
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
/** A query that spends less than this outside the window needs no word about it. */
const REMAINDER = 0.1;

function strongestBeyond(scene: Scene, input: LinesInput): readonly Beyond[] {
  const { focus } = input;
  if (focus.about !== "all") return beyondWindow(input, FOCUSED.count, FOCUSED.least);
  // Every key of every visible query is looked at: not again at every move of the pointer.
  return memo(scene.stream, `beyond ${pictureKey(input)}`, () =>
    beyondWindow(input, IDLE.count, IDLE.least),
  );
}

const arrow = (side: -1 | 1) => (side < 0 ? "▲" : "▼");

/** What stands at an edge where no single link is strong enough for a marker, yet weight leaves. */
function remainders(scene: Scene, input: LinesInput, marked: ReadonlySet<number>): LinkMarker[] {
  const { layout, focus } = input;
  const [first, last] = visibleRows(layout.keys.axis);
  const count = layout.keys.axis.count;
  if (focus.about === "key" || (first === 0 && last === count)) return [];
  const share = memo(scene.stream, `hidden ${focus.queries} ${pictureKey(input)}`, () =>
    hiddenShare(input),
  );
  const { x, y, width, height } = layout.links;
  const make = (side: -1 | 1, hidden: number, weight: number): LinkMarker[] => {
    if (marked.has(side) || !(weight >= REMAINDER * (input.scale ?? 1))) return [];
    const most = focus.query === null ? "up to " : "";
    const where = side < 0 ? "above" : "below";
    const words = `${hidden} keys ${where}: ${most}${formatWeight(weight)} together`;
    const fits = (text: string) => Math.ceil(textWidth(text, SIZE)) + 10 <= width;
    const long = `${arrow(side)} ${words}`;
    const text = fits(long) ? long : `${arrow(side)} ${hidden} keys: ${formatWeight(weight)}`;
    const wide = Math.min(width, Math.ceil(textWidth(text, SIZE)) + 10);
    return [
      {
        rect: {
          x: x + width - wide,
          y: side < 0 ? y : y + height - HEIGHT,
          width: wide,
          height: HEIGHT,
        },
        text,
        hit: { scrollTo: scrollTo(layout, layout.keys, side < 0 ? first - 1 : last) },
        name: words,
      },
    ];
  };
  return [...make(-1, first, share.above), ...make(1, count - last, share.below)];
}

export function markersOf(scene: Scene, input: LinesInput): readonly LinkMarker[] {
  const strongest = strongestBeyond(scene, input);
  const marked = new Set(strongest.map(({ side }) => side));
  return [...jumps(scene, input, strongest), ...remainders(scene, input, marked)];
}

function jumps(
  scene: Scene,
  input: LinesInput,
  strongest: readonly Beyond[],
): readonly LinkMarker[] {
  const { layout, focus } = input;
  const aboutKey = focus.about === "key";
  const column = aboutKey ? layout.queries : layout.keys;
  const { x, y, width, height } = layout.links;
  const placed = { above: 0, below: 0 };
  return strongest.map(({ index, weight, side }) => {
    const label = labelOf(column.positions, index);
    const number = sayNumber(scene, weight);
    const text = `${arrow(side)} ${index} · ${label} ${number}`;
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
