// "What heads do here": each label with the heads that carry it, below the grid.

import { memo } from "../../marks/memo.js";
import { onPaper, type Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { contains } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import type { Frame, Stop } from "../view.js";
import {
  hasQuietLabels,
  isScored,
  type Label,
  type Labels,
  NO_LABELS,
  quietLabels,
} from "./head-scores.js";
import { type Placed, shownHeads } from "./heads.js";
import type { Grid } from "./layout.js";

const SIZE = 11;
const LINE = 18;
const TITLE = 22;
const ABOVE = 14;
const GAP = 8;
const RIGHT = 6;
/** Between a label and its heads, and between two labels on one line. */
const APART = 18;
/** Lines that the grid leaves room for; more are shown where there is room for them. */
const MOST_LINES = 4;

interface Named {
  readonly head: Placed;
  readonly rect: Rect;
  readonly text: string;
}

interface Line {
  readonly label: string;
  readonly x: number;
  readonly y: number;
  readonly heads: readonly Named[];
  /** "and 2 more" */
  readonly rest: { readonly x: number; readonly text: string } | null;
}

interface HeadList {
  readonly title: number;
  readonly left: number;
  readonly lines: readonly Line[];
  /** What has no line of its own: the labels left over, or that there are none at all. */
  readonly rest: { readonly x: number; readonly y: number; readonly text: string } | null;
}

interface Labelled {
  readonly head: Placed;
  readonly label: Label;
}

type Group = readonly [string, readonly Labelled[]];

/**
 * How many lines a list waits for below the grid, 0 where there will be none. The labels come after
 * the heads, which must not move then: it does not count which labels there are.
 */
export function linesWanted(scene: Scene): number {
  // For paper no room is kept: what is left over beside other views is the list's.
  if (onPaper(scene) || isScored(scene) || !hasQuietLabels(scene)) return 0;
  return Math.min(MOST_LINES, scene.meta.scores.length);
}

/** Room that so many lines need below the grid. */
export function listHeight(lines: number): number {
  return lines > 0 ? ABOVE + TITLE + lines * LINE : 0;
}

/** Heads by label, the label that most heads carry first, the clearest head of each first. */
function groups(scene: Scene, labels: Labels): readonly Group[] {
  const found = new Map<string, Labelled[]>();
  for (const head of shownHeads(scene)) {
    const label = labels(head.index);
    if (!label) continue;
    const same = found.get(label.text);
    if (same) same.push({ head, label });
    else found.set(label.text, [{ head, label }]);
  }
  for (const heads of found.values()) heads.sort((a, b) => b.label.value - a.label.value);
  return [...found].sort(([, a], [, b]) => b.length - a.length);
}

const more = (count: number) => `and ${count} more`;

/** A label's heads from `x` on, as many as fit before `right` and one at least, and how many are left. */
function lineOf(
  [label, all]: Group,
  left: number,
  at: { x: number; y: number; right: number },
): Line {
  const heads: Named[] = [];
  let { x } = at;
  for (const { head } of all) {
    const text = `${head.layer}·${head.head}`;
    const width = textWidth(text, SIZE);
    const others = all.length - heads.length - 1;
    const reserved = others > 0 ? GAP + textWidth(more(others), SIZE) : 0;
    if (x + width + reserved > at.right && heads.length > 0) break;
    heads.push({ head, text, rect: { x, y: at.y - LINE / 2, width, height: LINE } });
    x += width + GAP;
  }
  const others = all.length - heads.length;
  const rest = others > 0 ? { x, text: more(others) } : null;
  return { label, x: left, y: at.y, heads, rest };
}

/** Where what a line says ends. */
function endOf({ heads, rest }: Line): number {
  if (rest) return rest.x + textWidth(rest.text, SIZE);
  const last = heads.at(-1) as Named;
  return last.rect.x + last.rect.width;
}

/** "and 2 more labels". */
function labelCount(count: number, shown: number): string {
  const labels = count === 1 ? "label" : "labels";
  return shown > 0 ? `and ${count} more ${labels}` : `${count} ${labels}`;
}

/** "and 2 more labels: local (16), self (3)", with as many of the names as fit. */
function restText(rest: readonly Group[], shown: number, room: number): string {
  const names = rest.map(([label, heads]) => `${label} (${heads.length})`);
  const count = labelCount(rest.length, shown);
  for (let named = names.length; named > 0; named--) {
    const some = [...names.slice(0, named), ...(named < names.length ? ["…"] : [])];
    const text = `${count}: ${some.join(", ")}`;
    if (textWidth(text, SIZE) <= room) return text;
  }
  return count;
}

/** Several labels on one line, each with its clearest head: as many as fit, and how many are left. */
function onOneLine(all: readonly Group[], left: number, y: number, right: number) {
  const lines: Line[] = [];
  let x = left;
  for (const group of all) {
    const from = x + textWidth(group[0], SIZE) + GAP;
    // With no room but for its first head, a label takes what that and the number of the others need.
    const line = lineOf(group, x, { x: from, y, right: from });
    const end = endOf(line);
    const others = all.length - lines.length - 1;
    const reserved = others > 0 ? APART + textWidth(labelCount(others, 1), SIZE) : 0;
    if (end + reserved > right) break;
    lines.push(line);
    x = end + APART;
  }
  const rest = all.slice(lines.length);
  const text = rest.length > 0 ? restText(rest, lines.length, right - x) : null;
  return { lines, rest: text === null ? null : { x, y, text } };
}

function listOf(
  all: readonly Group[],
  { left, top, room }: { left: number; top: number; room: number },
  width: number,
): HeadList {
  const right = width - RIGHT;
  const title = top + TITLE / 2;
  const middle = (n: number) => top + TITLE + (n + 0.5) * LINE;
  if (all.length === 0) {
    const rest = { x: left, y: middle(0), text: "None of these heads has a label." };
    return { title, left, lines: [], rest };
  }
  if (room === 1 && all.length > 1) {
    return { title, left, ...onOneLine(all, left, middle(0), right) };
  }
  const shown = all.slice(0, all.length > room ? room - 1 : room);
  const widest = Math.max(...shown.map(([label]) => textWidth(label, SIZE)));
  const x = left + Math.min(Math.ceil(widest) + APART, 0.5 * width);
  const lines = shown.map((group, n) => lineOf(group, left, { x, y: middle(n), right }));
  const others = all.slice(shown.length);
  if (others.length === 0) return { title, left, lines, rest: null };
  const text = restText(others, shown.length, right - left);
  return { title, left, lines, rest: { x: left, y: middle(shown.length), text } };
}

/** The list below the grid, in the content; null where there is no room, or a score takes its place. */
export function headList(scene: Scene, layout: Grid, frame: Frame): HeadList | null {
  if (layout.board || layout.abreast) return null;
  const { left } = layout;
  const top = layout.top + layout.height + ABOVE;
  const end = Math.max(frame.height, layout.top + layout.height + layout.listHeight);
  const room = Math.floor((end - top - TITLE) / LINE);
  // Labels are made of all weights: where nothing of them is drawn they are not asked for.
  if (room < 1) return null;
  const labels = quietLabels(scene);
  if (labels === NO_LABELS) return null;
  const layers = String(scene.state.show_layers);
  return memo(labels, `list ${layers} ${left} ${top} ${room} ${frame.width}`, () => {
    const all = memo(labels, `groups ${layers}`, () => groups(scene, labels));
    return listOf(all, { left, top, room }, frame.width);
  });
}

export function drawHeadList(surface: Surface, scene: Scene, list: HeadList): void {
  const { theme, state, hover } = scene;
  const { left, title, lines, rest } = list;
  surface.text(left, title, "What heads do here", { fill: theme.text, size: 12, weight: "bold" });
  for (const { label, x, y, heads, rest: more } of lines) {
    surface.text(x, y, label, { fill: theme.text, size: SIZE });
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
    if (more) surface.text(more.x, y, more.text, { fill: theme.muted, size: SIZE });
  }
  if (rest) surface.text(rest.x, rest.y, rest.text, { fill: theme.muted, size: SIZE });
}

export function hitHeadList({ lines }: HeadList, x: number, y: number): Placed | null {
  for (const { heads } of lines) {
    const found = heads.find(({ rect }) => contains(rect, x, y));
    if (found) return found.head;
  }
  return null;
}

/** At most so many of the heads: the clearest of every label before the next of any. */
export function headListStops({ lines }: HeadList, most: number): readonly Stop[] {
  const all = lines.flatMap(({ label, heads }) =>
    heads.map(({ head: { layer, head }, rect }, place) => ({
      place,
      stop: { layer, head, rect, name: `${label}: layer ${layer} head ${head}` },
    })),
  );
  const kept = new Set([...all].sort((a, b) => a.place - b.place).slice(0, most));
  return all.filter((one) => kept.has(one)).map(({ stop }) => stop);
}
