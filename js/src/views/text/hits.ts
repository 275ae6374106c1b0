// Running text: hits, focusable stops, scrolling to a position.

import { LEGEND_SIZE } from "../../marks/legends/legend.js";
import { type Fragment, lineFragments } from "../../marks/text/text-flow.js";
import { onPaper, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { headSeries, keyName, queryName } from "../shared/series.js";
import type { Frame, Stop } from "../view.js";
import { hitTextStrip } from "./bar-strip.js";
import {
  blockOf,
  fragmentRect,
  isInSight,
  scrollFor,
  type TextBlock,
  type TextPlan,
  textPlan,
  visibleLines,
} from "./layout.js";
import { hitTextFooter, textChipStops } from "./legend.js";
import { isOneText, isWhole, readsBackwards, shadingOf } from "./shading.js";

const SWITCH = [
  { action: "attends-to", text: "attends to" },
  { action: "attended-by", text: "attended by" },
] as const;

/** Where the two halves of the switch stand. */
export function switches(
  scene: Scene,
): readonly { rect: Rect; text: string; hit: Hit; on: boolean }[] {
  if (!isOneText(scene) || onPaper(scene)) return [];
  const backwards = readsBackwards(scene);
  let x = 8;
  return SWITCH.map(({ action, text }) => {
    const width = Math.ceil(textWidth(text, LEGEND_SIZE)) + 14;
    const rect = { x, y: 2, width, height: 19 };
    x += width;
    return { rect, text, hit: { action }, on: backwards === (action === "attended-by") };
  });
}

/** What pointing at a token means. */
function hitOf(scene: Scene, block: TextBlock, index: number): Hit {
  if (!isOneText(scene)) return { [block.axis]: index };
  const { state } = scene;
  if (readsBackwards(scene)) {
    return state.keys.length === 0 ? { key: index } : { query: index, pin: { key: index } };
  }
  return state.queries.length === 0 ? { query: index } : { key: index, pin: { query: index } };
}

/** The token at a point of a line: half of the space beside it is its own. */
function fragmentAt(row: readonly Fragment[], x: number): Fragment | null {
  const reach = 4;
  let best: Fragment | null = null;
  let nearest = reach;
  for (const fragment of row) {
    const away = Math.max(fragment.x - x, x - fragment.x - fragment.width, 0);
    if (away < nearest) [best, nearest] = [fragment, away];
  }
  return best;
}

function hitBody(scene: Scene, plan: TextPlan, x: number, y: number): Hit | null {
  const { body, scroll, line } = plan;
  if (y < body.y || y >= body.y + body.height) return null;
  for (const block of plan.blocks) {
    const at = Math.floor((y - body.y + scroll - block.top) / line);
    if (at < 0 || at >= block.flow.starts.length - 1) continue;
    const fragment = fragmentAt(lineFragments(block.flow, at), x - body.x);
    if (fragment) return hitOf(scene, block, fragment.index);
  }
  return null;
}

export function hitHeadText(scene: Scene, frame: Frame, x: number, y: number): Hit | null {
  const half = switches(scene).find(({ rect }) => contains(rect, x, y));
  if (half) return half.hit;
  const plan = textPlan(scene, frame);
  if (y >= plan.footerTop) {
    const shading = shadingOf({ ...scene, hover: null });
    return shading && hitTextFooter(scene, plan, shading, frame, x, y);
  }
  return hitTextStrip(plan, x, y) ?? hitBody(scene, plan, x, y);
}

/** As many tokens as somebody would walk through; the rest comes into reach with the focus. */
const MOST_STOPS = 60;

function nameOf(scene: Scene, { query, key }: Pick<Hit, "query" | "key">): string {
  if (query === undefined) return keyName(scene, key ?? 0);
  // Of a long text no rows are fetched only to name what might get the focus.
  return queryName(scene, isWhole(scene) ? headSeries(scene, { isolate: false }) : [], query);
}

function tokensInSight(scene: Scene, plan: TextPlan): readonly Omit<Stop, "name">[] {
  const stops: Omit<Stop, "name">[] = [];
  const seen = new Set<string>();
  for (const block of plan.blocks) {
    const [first, last] = visibleLines(plan, block);
    for (let line = first; line < last; line++) {
      for (const fragment of lineFragments(block.flow, line)) {
        const { index } = fragment;
        const id = `${block.axis} ${index}`;
        if (seen.has(id) || !isInSight(plan, block, index)) continue;
        seen.add(id);
        stops.push({
          ...hitOf(scene, block, index),
          rect: fragmentRect(plan, block, line, fragment),
        });
      }
    }
  }
  return stops;
}

/** Those around what has the focus, or is pinned: with it the window moves on. */
function around<T extends Hit>(stops: readonly T[], { hover, state }: Scene): readonly T[] {
  if (stops.length <= MOST_STOPS) return stops;
  const at = hover?.source === "keyboard" ? hover : null;
  const focused = stops.findIndex((stop) => {
    if (at) return stop.query === at.query && stop.key === at.key;
    const { query, key } = stop.pin ?? stop;
    return (query ?? state.query) === state.query && (key ?? state.key) === state.key;
  });
  const start = Math.max(0, Math.min(focused - MOST_STOPS / 2, stops.length - MOST_STOPS));
  return stops.slice(start, start + MOST_STOPS);
}

export function headTextStops(scene: Scene, frame: Frame): readonly Stop[] {
  const plan = textPlan(scene, frame);
  const turns = switches(scene).map(({ rect, text, hit, on }) => ({
    ...hit,
    rect,
    name: `Shade by what the token ${text === "attended by" ? "is " : ""}${text}${on ? ", chosen" : ""}`,
  }));
  const shading = shadingOf({ ...scene, hover: null });
  const chips = shading ? textChipStops(scene, plan, shading, frame) : [];
  const tokens = around(tokensInSight(scene, plan), scene).map((stop) => ({
    ...stop,
    name: nameOf(scene, stop.pin ?? stop),
  }));
  return [...turns, ...tokens, ...chips];
}

/** The scroll that brings a position into the window; null when it is there already. */
export function revealInHeadText(
  scene: Scene,
  frame: Frame,
  at: { query?: number; key?: number },
): number | null {
  const plan = textPlan(scene, frame);
  const axis = at.query === undefined ? "key" : "query";
  const index = at[axis];
  const block = blockOf(plan, axis);
  if (index === undefined || !plan.strip || isInSight(plan, block, index)) return null;
  return scrollFor(plan, block, index);
}
