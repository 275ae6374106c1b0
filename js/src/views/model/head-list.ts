// "What heads do here": each label with the heads that carry it, below the grid.

import type { Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { contains } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import type { Frame, Stop } from "../view.js";
import { type Label, quietLabels } from "./head-scores.js";
import { type Placed, shownHeads } from "./heads.js";
import type { Grid } from "./layout.js";

const SIZE = 11;
const LINE = 18;
const TITLE = 22;
const ABOVE = 14;
const GAP = 8;
/** Fewer lines are not worth a title. */
const LEAST_LINES = 1;

interface Named {
  readonly head: Placed;
  readonly rect: Rect;
  readonly text: string;
}

interface Line {
  readonly label: string;
  readonly y: number;
  readonly heads: readonly Named[];
  /** "and 2 more" */
  readonly rest: { readonly x: number; readonly text: string } | null;
}

export interface HeadList {
  readonly title: number;
  readonly left: number;
  readonly lines: readonly Line[];
}

interface Labelled {
  readonly head: Placed;
  readonly label: Label;
}

/** Heads by label, the label that most heads carry first, the clearest head of each first. */
function groups(scene: Scene): readonly (readonly [string, readonly Labelled[]])[] {
  const labels = quietLabels(scene);
  if (!labels) return [];
  const found = new Map<string, Labelled[]>();
  for (const head of shownHeads(scene)) {
    const label = labels(head.index);
    if (label) found.set(label.text, [...(found.get(label.text) ?? []), { head, label }]);
  }
  for (const heads of found.values()) heads.sort((a, b) => b.label.value - a.label.value);
  return [...found].sort(([, a], [, b]) => b.length - a.length);
}

/** As many heads as fit the line, and how many are left. */
function lineOf(
  label: string,
  all: readonly Labelled[],
  at: { x: number; y: number; right: number },
): Line {
  const heads: Named[] = [];
  let { x } = at;
  const more = (count: number) => `and ${count} more`;
  for (const { head } of all) {
    const text = `${head.layer}·${head.head}`;
    const width = textWidth(text, SIZE);
    const left = all.length - heads.length - 1;
    const reserved = left > 0 ? GAP + textWidth(more(left), SIZE) : 0;
    if (x + width + reserved > at.right && heads.length > 0) break;
    heads.push({ head, text, rect: { x, y: at.y - LINE / 2, width, height: LINE } });
    x += width + GAP;
  }
  const left = all.length - heads.length;
  return { label, y: at.y, heads, rest: left > 0 ? { x, text: more(left) } : null };
}

/** What of the list fits below the grid; null where nothing does, or a score takes its place. */
export function headList(scene: Scene, layout: Grid, frame: Frame): HeadList | null {
  if (layout.board || layout.abreast) return null;
  const top = layout.top + layout.height + ABOVE;
  const room = Math.floor((frame.height - top - TITLE) / LINE);
  if (room < LEAST_LINES) return null;
  const found = groups(scene).slice(0, room);
  if (found.length === 0) return null;
  const { left } = layout;
  const widest = Math.max(...found.map(([label]) => textWidth(label, SIZE)));
  const x = left + Math.min(Math.ceil(widest) + 18, 0.5 * frame.width);
  const lines = found.map(([label, heads], n) =>
    lineOf(label, heads, { x, y: top + TITLE + (n + 0.5) * LINE, right: frame.width - 6 }),
  );
  return { title: top + TITLE / 2, left, lines };
}

export function drawHeadList(surface: Surface, scene: Scene, list: HeadList): void {
  const { theme, state, hover } = scene;
  const { left, title, lines } = list;
  surface.text(left, title, "What heads do here", { fill: theme.text, size: 12, weight: "bold" });
  for (const { label, y, heads, rest } of lines) {
    surface.text(left, y, label, { fill: theme.text, size: SIZE });
    for (const { head, rect, text } of heads) {
      const selected = head.layer === state.layer && state.heads.includes(head.head);
      const pointed = hover?.layer === head.layer && hover.head === head.head;
      const strong = selected || pointed;
      surface.text(rect.x, y, text, {
        fill: theme.accent,
        size: SIZE,
        weight: strong ? "bold" : "normal",
      });
    }
    if (rest) surface.text(rest.x, y, rest.text, { fill: theme.muted, size: SIZE });
  }
}

export function hitHeadList({ lines }: HeadList, x: number, y: number): Placed | null {
  for (const { heads } of lines) {
    const found = heads.find(({ rect }) => contains(rect, x, y));
    if (found) return found.head;
  }
  return null;
}

export function headListStops({ lines }: HeadList): readonly Stop[] {
  return lines.flatMap(({ label, heads }) =>
    heads.map(({ head: { layer, head }, rect }) => ({
      layer,
      head,
      rect,
      name: `${label}: layer ${layer} head ${head}`,
    })),
  );
}
