// Running text: blocks, lines, scrolling, notes.

import { isCode } from "../../data/code-text.js";
import { readingPieces } from "../../data/text-pieces.js";
import { LEGEND_BAR, LEGEND_LINE } from "../../marks/legends/legend.js";
import {
  type Flow,
  type FlowMark,
  type FlowSize,
  type Fragment,
  flowText,
  lineCount,
  lineOf,
  READING,
} from "../../marks/text/text-flow.js";
import type { Position } from "../../protocol/generated.js";
import { groupFilter, groupsOf, type SceneGroups } from "../../scene/groups.js";
import { hasLegend, onPaper, type Scene } from "../../scene/scene.js";
import type { Rect } from "../../surface/surface.js";
import { asideNote } from "../shared/aside.js";
import { measureNotes } from "../shared/measure.js";
import { poolNote } from "../shared/series.js";
import type { Frame } from "../view.js";
import { hasMean, isOneText, MOST_BARS, pinnedAim } from "./shading.js";

export const HEADER = 26;
export const CHIPS = 24;
const LINE = 22;
/** A bar below a token for each of a few heads. */
export const BAR = 3;
const SIDE = 8;
/** The document at a glance, at the right edge. */
const STRIP = 12;
const LEAST = 3 * LINE;
/** Between a text of queries and one of keys. */
const BETWEEN = 10;

/** A text in its place among what is scrolled. */
export interface TextBlock {
  /** Which positions it shows; a text may be both. */
  readonly axis: "query" | "key";
  readonly positions: readonly Position[];
  readonly flow: Flow;
  /** Its first line below the top of all of it. */
  readonly top: number;
}

/** Everything about one frame that drawing, hits and stops agree on. */
export interface TextPlan {
  readonly blocks: readonly TextBlock[];
  readonly line: number;
  /** How much of a line is below its tokens. */
  readonly bars: number;
  /** The window over the text. */
  readonly body: Rect;
  readonly scroll: number;
  /** Height of all of the text. */
  readonly height: number;
  readonly strip: Rect | null;
  readonly footerTop: number;
}

const ORDINALS = ["first", "second", "third", "fourth"];

/** Where a new speaker, another text of a pair, or what was generated begins. */
function marksOf(positions: readonly Position[], prompt: number | null, title: string) {
  const marks = new Map<number, FlowMark>();
  if (title !== "") marks.set(0, { text: title });
  const several = positions.some(({ segment }) => segment !== positions[0]?.segment);
  positions.forEach(({ role, segment }, index) => {
    const before = positions[index - 1];
    const parts: string[] = [];
    if (role !== undefined && role !== before?.role) parts.push(role);
    if (several && segment !== undefined && segment !== before?.segment) {
      parts.push(`${ORDINALS[segment] ?? segment + 1} text`);
    }
    if (parts.length === 0) return;
    const first = index === 0 && title !== "" ? [title] : [];
    marks.set(index, { text: [...first, ...parts].join(" · ") });
  });
  if (prompt && prompt < positions.length) {
    const { text = "" } = marks.get(prompt) ?? {};
    marks.set(prompt, { text: ["generated", text].filter(Boolean).join(" · "), generated: true });
  }
  return marks;
}

/** Groupings that headings of their own say already, and more groups than headings would help with. */
const SAID: readonly string[] = ["segment", "role", "turn", "part"];
const MOST_GROUPS = 40;

/** The groups that headings are for. */
function headedGroups(scene: Scene, axis: "query" | "key"): SceneGroups | null {
  const groups = groupsOf(scene);
  if (!groups || SAID.includes(groups.grouping.name)) return null;
  const { runs } = axis === "query" ? groups.queries : groups.keys;
  return runs.length > MOST_GROUPS ? null : groups;
}

/** A heading where another group begins. */
function addGroups(marks: Map<number, FlowMark>, groups: SceneGroups, axis: "query" | "key"): void {
  const { runs } = axis === "query" ? groups.queries : groups.keys;
  for (const { start, group } of runs) {
    const known = marks.get(start);
    const label = groups.grouping.groups[group]?.label ?? "";
    marks.set(start, { ...known, text: [known?.text, label].filter(Boolean).join(" · ") });
  }
}

/** A text is laid out with a scroll bar and without one, and once more for a figure. */
const KEPT = 3;
const flows = new WeakMap<readonly Position[], Map<string, Flow>>();

function flowOf(scene: Scene, axis: "query" | "key", width: number, title: string): Flow {
  const positions = axis === "query" ? scene.queries : scene.keys;
  const { prompt: grown } = scene.stream;
  const prompt = (axis === "query" ? grown?.queries : grown?.keys) ?? null;
  const rightToLeft = scene.drawing?.rightToLeft ?? false;
  const size = isLarge(scene) ? LARGE : READING;
  const groups = headedGroups(scene, axis);
  const key = `${width} ${prompt} ${title} ${rightToLeft} ${size.words} ${groups?.grouping.name}`;
  const kept = flows.get(positions) ?? new Map<string, Flow>();
  flows.set(positions, kept);
  const known = kept.get(key);
  if (known) return known;
  const marks = marksOf(positions, prompt, title);
  if (groups) addGroups(marks, groups, axis);
  const pieces = readingPieces(positions);
  const family = isCode(positions) ? "mono" : "sans";
  const flow = flowText({ pieces, width, marks, rightToLeft, size, family });
  kept.set(key, flow);
  for (const oldest of kept.keys()) if (kept.size > KEPT) kept.delete(oldest);
  return flow;
}

/** Whether heads are shown one by one below the tokens. */
export function barCount({ state }: Scene): number {
  const count = state.heads.length;
  return count > 1 && count <= MOST_BARS ? count : 0;
}

/** So few positions are written larger: they are all there is to see. */
const FEW = 40;
const LARGE: FlowSize = { words: 20, small: 14 };
const LARGE_LINE = 32;

const isLarge = (scene: Scene) =>
  !onPaper(scene) && Math.max(scene.queries.length, scene.keys.length) <= FEW;

function lineHeight(scene: Scene): number {
  const bars = barCount(scene);
  return (isLarge(scene) ? LARGE_LINE : LINE) + (bars > 0 ? bars * BAR + 2 : 0);
}

function blocksOf(scene: Scene, width: number): readonly TextBlock[] {
  const room = Math.floor(width - 2 * SIDE - (onPaper(scene) ? 0 : STRIP));
  if (isOneText(scene)) {
    const flow = flowOf(scene, "query", room, "");
    return [{ axis: "query", positions: scene.queries, flow, top: 0 }];
  }
  const queries = flowOf(scene, "query", room, "queries");
  const keys = flowOf(scene, "key", room, "keys");
  return [
    { axis: "query", positions: scene.queries, flow: queries, top: 0 },
    {
      axis: "key",
      positions: scene.keys,
      flow: keys,
      top: lineCount(queries) * lineHeight(scene) + BETWEEN,
    },
  ];
}

/** What is to be known about the shades, a line each; how many there are depends on no hover. */
export function textNotes(scene: Scene): readonly string[] {
  const { state } = scene;
  const words: string[] = [];
  const count = state.heads.length;
  if (count > 1) {
    words.push(
      `shade: mean of the ${count} heads${barCount(scene) ? "; below, each by itself" : ""}`,
    );
  }
  const pool = poolNote(state);
  if (pool) words.push(`pinned: ${pool}`);
  const aside = asideNote(scene);
  if (aside) words.push(aside);
  if (state.queries.length + state.keys.length === 0 && !hasMean(scene)) {
    words.push("pin a token: the mean over all of them would take every weight of this text");
  }
  words.push(...measureNotes(scene, undefined));
  const { over } = pinnedAim(scene);
  const drawn = over === "key" ? state.to_group : state.from_group;
  if (drawn !== null && groupFilter(scene)) {
    words.push(`only tokens of ${drawn} are shaded; numbers are of all`);
  }
  return words;
}

/** With colours for heads only where there are bars in them. */
function textFooterHeight(scene: Scene): number {
  if (!hasLegend(scene)) return 4;
  const bars = barCount(scene) > 0 ? LEGEND_LINE : 0;
  return 6 + CHIPS + LEGEND_BAR + bars + LEGEND_LINE * textNotes(scene).length;
}

function textHeight(scene: Scene, blocks: readonly TextBlock[]): number {
  const last = blocks.at(-1);
  return last ? last.top + lineCount(last.flow) * lineHeight(scene) + 4 : 0;
}

export function textContentHeight(scene: Scene, width: number): number {
  return Math.ceil(HEADER + textHeight(scene, blocksOf(scene, width)) + textFooterHeight(scene));
}

export function textPlan(scene: Scene, { width, height, scroll }: Frame): TextPlan {
  const blocks = blocksOf(scene, width);
  const full = textHeight(scene, blocks);
  const free = Math.max(LEAST, height - HEADER - textFooterHeight(scene));
  const body = { x: SIDE, y: HEADER, width: width - 2 * SIDE, height: Math.min(full, free) };
  const strip =
    full > free && !onPaper(scene)
      ? { x: width - STRIP - 1, y: HEADER, width: STRIP, height: body.height }
      : null;
  return {
    blocks,
    line: lineHeight(scene),
    bars: lineHeight(scene) - (isLarge(scene) ? LARGE_LINE : LINE),
    body,
    scroll: Math.max(0, Math.min(scroll, full - body.height)),
    height: full,
    strip,
    footerTop: HEADER + body.height,
  };
}

/** Top of a line, below the top of all of the text. */
const lineTop = ({ line }: TextPlan, block: TextBlock, at: number): number => block.top + at * line;

/** First line of which anything is in the window, and one past the last. */
export function visibleLines(plan: TextPlan, block: TextBlock): readonly [number, number] {
  const { line, scroll, body } = plan;
  const count = lineCount(block.flow);
  const first = Math.floor((scroll - block.top) / line + 1e-6);
  const last = Math.ceil((scroll + body.height - block.top) / line - 1e-6);
  return [Math.max(0, Math.min(count, first)), Math.max(0, Math.min(count, last))];
}

/** Where a fragment stands in the frame: as high as its line. */
export function fragmentRect(plan: TextPlan, block: TextBlock, at: number, one: Fragment): Rect {
  const y = plan.body.y - plan.scroll + lineTop(plan, block, at);
  return { x: plan.body.x + one.x, y, width: one.width, height: plan.line };
}

/** Top of the line that a position begins on, below the top of all of the text. */
export function positionTop(plan: TextPlan, block: TextBlock, index: number): number {
  const fragment = block.flow.first[index] ?? 0;
  return lineTop(plan, block, lineOf(block.flow, Math.max(0, fragment)));
}

/** The scroll that has a position in the middle of the window. */
export function scrollFor(plan: TextPlan, block: TextBlock, index: number): number {
  const middle = positionTop(plan, block, index) + plan.line / 2 - plan.body.height / 2;
  return Math.max(0, Math.min(plan.height - plan.body.height, Math.round(middle)));
}

/** Whether the line a position begins on is in the window as a whole. */
export function isInSight(plan: TextPlan, block: TextBlock, index: number): boolean {
  const top = positionTop(plan, block, index) - plan.scroll;
  return top >= -1 && top + plan.line <= plan.body.height + 1;
}

/** The block in which positions of an axis stand. */
export function blockOf(plan: TextPlan, axis: "query" | "key"): TextBlock {
  return plan.blocks.find((block) => block.axis === axis) ?? (plan.blocks[0] as TextBlock);
}
