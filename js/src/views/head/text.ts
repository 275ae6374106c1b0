// Head view as shaded running text.

import { drawCard } from "../../marks/card.js";
import { LEGEND_SIZE } from "../../marks/legends/legend.js";
import { sequentialShade } from "../../marks/matrix/shading.js";
import { drawStrike } from "../../marks/text/strike.js";
import { type Fragment, lineFragments } from "../../marks/text/text-flow.js";
import { ABSENT, FADED, indexOf, labelFill, quoted } from "../../marks/text/tokens.js";
import { groupFilter } from "../../scene/groups.js";
import type { Scene } from "../../scene/scene.js";
import { entry } from "../../styles/colours.js";
import { inkOn } from "../../styles/ink.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { drawFailure } from "../shared/failure.js";
import { sayNumber } from "../shared/measure.js";
import { drawPairCard } from "../shared/pair-card.js";
import {
  headSeries,
  hoveredPositions,
  pointer,
  seriesError,
  sized,
  strongestKey,
} from "../shared/series.js";
import { drawTextStrip } from "../text/bar-strip.js";
import { switches } from "../text/hits.js";
import {
  BAR,
  fragmentRect,
  HEADER,
  type TextBlock,
  type TextPlan,
  textPlan,
  visibleLines,
} from "../text/layout.js";
import { drawTextFooter } from "../text/legend.js";
import {
  hasMean,
  isOneText,
  pinnedAim,
  readsBackwards,
  shadeIn,
  shadingOf,
  type TextShading,
} from "../text/shading.js";
import type { Frame } from "../view.js";
import { struckAt, struckFrom } from "../what-if/struck.js";

/** Which positions are in the window: "812–1190 of 8000". */
function rangeOf(plan: TextPlan, block: TextBlock): string {
  const { flow, positions } = block;
  const [first, last] = visibleLines(plan, block);
  const from = flow.fragments[flow.starts[first] ?? 0]?.index ?? 0;
  const to = flow.fragments[(flow.starts[last] ?? 1) - 1]?.index ?? 0;
  const count = positions.length;
  return last <= first || to - from + 1 >= count ? "" : ` · ${from}–${to} of ${count}`;
}

function drawHeader(surface: Surface, scene: Scene, plan: TextPlan, { width }: Frame): void {
  const { theme, stream } = scene;
  let used = 8;
  for (const { rect, text, on } of switches(scene)) {
    const stroke = on ? theme.accent : theme.rule;
    surface.rect(rect, { stroke, ...(on ? { fill: theme.wash } : {}) });
    const fill = on ? theme.accent : theme.muted;
    const style = { fill, size: LEGEND_SIZE, anchor: "middle" } as const;
    surface.text(rect.x + rect.width / 2, rect.y + rect.height / 2, text, style);
    used = rect.x + rect.width;
  }
  const [block] = plan.blocks;
  const range = block && plan.blocks.length === 1 ? rangeOf(plan, block) : "";
  surface.text(width - 8, HEADER / 2 - 1, stream.name + range, {
    fill: theme.muted,
    size: LEGEND_SIZE,
    anchor: "end",
    maxWidth: Math.max(0, width - used - 20),
  });
  surface.line(8, HEADER - 2, width - 8, HEADER - 2, { stroke: theme.rule });
}

/** Heads that a card lists. */
const MOST_ROWS = 8;

/** Everything a token's look depends on besides its place. */
interface Look {
  readonly scene: Scene;
  readonly plan: TextPlan;
  readonly block: TextBlock;
  /** Of this block, if it is the one that is shaded. */
  readonly shading: TextShading | null;
  readonly pinned: ReadonlySet<number>;
  /** Pinned on the other axis of the same text. */
  readonly paired: ReadonlySet<number>;
  readonly pointed: number | null;
  readonly hits: ReadonlyMap<number, boolean>;
  readonly there: number;
  /** What is in none of the groups that are drawn. */
  readonly faded: (index: number) => boolean;
  /** What an edit takes away altogether, and of the links with what is pinned alone. */
  readonly struck: (index: number) => boolean;
  readonly cut: (index: number) => boolean;
}

function lookOf(scene: Scene, plan: TextPlan, block: TextBlock, shading: TextShading | null): Look {
  const { state, generationStep, found } = scene;
  const one = isOneText(scene);
  const hovered = hoveredPositions(scene);
  const backwards = one ? readsBackwards(scene) : block.axis === "key";
  const [own, other] = backwards ? [state.keys, state.queries] : [state.queries, state.keys];
  const hits = new Map<number, boolean>();
  found?.hits.forEach((hit, at) => {
    if (!one && hit.axis !== block.axis) return;
    for (let index = hit.first; index <= hit.last; index++) hits.set(index, at === found.at);
  });
  const there =
    (block.axis === "query" ? generationStep?.numQueries : generationStep?.numKeys) ??
    block.positions.length;
  const filter = groupFilter(scene);
  const over = one ? (shading?.subject.over ?? "key") : block.axis;
  return {
    scene,
    plan,
    block,
    shading: shading && (one || shading.subject.over === block.axis) ? shading : null,
    pinned: new Set(own),
    paired: new Set(one ? other : []),
    pointed: one ? (hovered.query ?? hovered.key) : hovered[block.axis],
    hits,
    there,
    faded: (index) => filter?.[over](index) === false,
    ...struckIn(scene, block, shading),
  };
}

/** In one text a token is query and key at once: it is struck through as either. */
function struckIn(scene: Scene, block: TextBlock, shading: TextShading | null) {
  const heads = headSeries(scene, { isolate: false });
  const axes = isOneText(scene) ? (["query", "key"] as const) : [block.axis];
  const whole = axes.flatMap((axis) => struckAt(scene, heads, axis) ?? []);
  const { about = "all", over = "key", queries = [], keys = [] } = shading?.subject ?? {};
  const shaded = about !== "all" && (isOneText(scene) || over === block.axis);
  const met = shaded && struckFrom(scene, heads, over, about === "query" ? queries : keys);
  return {
    struck: (index: number) => whole.some((one) => one(index)),
    cut: (index: number) => (met ? met(index) : false),
  };
}

function drawBars(
  surface: Surface,
  { theme }: Scene,
  shading: TextShading,
  index: number,
  rect: Rect,
) {
  const { each, series, end, signed } = shading;
  each.forEach((weights, n) => {
    const weight = weights[index] as number;
    const opacity = sequentialShade(end)(signed ? Math.abs(weight) : weight) / 255;
    if (!(opacity >= 0.02)) return;
    const y = rect.y + rect.height + 1 + n * BAR;
    const own = (series[n] as (typeof series)[number]).colour;
    const fill = !signed ? own : weight < 0 ? theme.negative : theme.positive;
    surface.rect({ ...rect, y, height: BAR - 0.5 }, { fill, opacity });
  });
}

/** One sign of several characters: its width is not theirs, and it is never pulled apart. */
const composed = /\p{Extended_Pictographic}|\u200d|\p{M}/u;

/** A token's place on its line, above the bars. */
function inner({ plan }: Look, rect: Rect): Rect {
  return { ...rect, y: rect.y + 2, height: plan.line - plan.bars - 4 };
}

function drawFragment(surface: Surface, look: Look, fragment: Fragment, rect: Rect): void {
  const { scene, block, shading } = look;
  const { theme } = scene;
  const { index, text, kind } = fragment;
  const box = inner(look, rect);
  const isThere = index < look.there;
  const faded = look.faded(index);
  const shade =
    shading && isThere && !faded ? shadeIn(shading, shading.shades[index] as number, theme) : null;
  const tight = kind === "cell" ? box : { ...box, x: box.x - 0.5, width: box.width + 1 };
  if (kind === "cell" && !shade) surface.rect(box, { fill: theme.wash });
  if (shade) surface.rect(tight, { fill: entry(shade.table, shade.place) });
  if (shading && isThere && !faded) drawBars(surface, scene, shading, index, tight);
  if (text === "") return;
  const small = kind === "small" || kind === "return";
  const own = kind === "return" ? theme.muted : labelFill(block.positions[index], theme);
  surface.text(rect.x, box.y + box.height / 2, text, {
    fill: shade ? inkOn(shade.table, shade.place, own) : own,
    size: small ? block.flow.size.small : block.flow.size.words,
    ...(small ? {} : { family: block.flow.family }),
    ...(!composed.test(text) && !small ? { fit: rect.width } : {}),
    ...(isThere && !faded ? {} : { opacity: isThere ? FADED : ABSENT }),
  });
}

/** Frames: around what is pinned, what is pointed at and what was found. */
function drawFrames(surface: Surface, look: Look, { index }: Fragment, rect: Rect): void {
  const { theme } = look.scene;
  const { x, y, width, height } = inner(look, rect);
  const box = { x: x - 1, y: y - 1, width: width + 2, height: height + 2 };
  const hit = look.hits.get(index);
  if (hit !== undefined) {
    surface.rect(box, { stroke: theme.positive, strokeWidth: hit ? 2.5 : 1.25 });
  }
  if (look.pinned.has(index)) {
    // With air around the letters; on a shade of its own colour the frame would not be seen.
    const wide = { x: x - 2, y: y - 2, width: width + 4, height: height + 4 };
    surface.rect(wide, { stroke: theme.background, strokeWidth: 4 });
    surface.rect(wide, { stroke: theme.accent, strokeWidth: 1.5 });
  } else if (look.paired.has(index)) {
    surface.rect(box, { stroke: theme.accent, strokeWidth: 1.5, dash: [3, 2] });
  } else if (look.pointed === index) {
    surface.rect(box, { stroke: theme.text, strokeWidth: 1 });
  }
  const struck = look.struck(index);
  if (struck || look.cut(index)) drawStrike(surface, box, theme, { dashed: !struck });
}

function drawMark(surface: Surface, look: Look, line: number): void {
  const { scene, plan, block } = look;
  const { theme } = scene;
  const mark = block.flow.marks.get(line);
  if (!mark) return;
  const y = plan.body.y - plan.scroll + block.top + line * plan.line + plan.line / 2 + 1;
  const { x, width } = plan.body;
  const fill = mark.generated ? theme.accent : theme.muted;
  const style = { fill, size: LEGEND_SIZE, weight: "bold" } as const;
  surface.text(x, y, mark.text, style);
  const from = x + textWidth(mark.text, LEGEND_SIZE, "sans", "bold") + 8;
  const stroke = mark.generated ? theme.accent : theme.rule;
  const right = x + Math.min(width, block.flow.width);
  const dash = mark.generated ? { dash: [3, 2] } : {};
  if (right > from) surface.line(from, y, right, y, { stroke, ...dash });
}

function drawBlock(surface: Surface, look: Look): void {
  const { plan, block } = look;
  const [first, last] = visibleLines(plan, block);
  for (let line = first; line < last; line++) {
    drawMark(surface, look, line);
    const row = lineFragments(block.flow, line);
    const rects = row.map((fragment) => fragmentRect(plan, block, line, fragment));
    // Frames last: no neighbour's shade may cut them.
    row.forEach((fragment, at) => {
      drawFragment(surface, look, fragment, rects[at] as Rect);
    });
    row.forEach((fragment, at) => {
      drawFrames(surface, look, fragment, rects[at] as Rect);
    });
  }
}

/** Why nothing is shaded that should be. */
function errorIn(scene: Scene): string | null {
  const { about } = pinnedAim(scene);
  const series = headSeries(scene, { isolate: false });
  const weights = seriesError(scene, series);
  if (weights !== null || about === "query") return weights;
  for (const { layer, head } of series) {
    const what = about === "key" ? "column" : "mean";
    if (what === "mean" && !hasMean(scene)) return null;
    const error = scene.blocks.error(what, layer, head);
    if (error !== null) return error;
  }
  return null;
}

export function drawHeadText(surface: Surface, scene: Scene, frame: Frame): void {
  const plan = textPlan(scene, frame);
  const shading = shadingOf(scene);
  const { theme } = scene;
  const { body } = plan;
  drawHeader(surface, scene, plan, frame);
  const clip = { x: 0, y: body.y, width: frame.width, height: body.height };
  const draw = () => {
    for (const block of plan.blocks) drawBlock(surface, lookOf(scene, plan, block, shading));
  };
  surface.group("text", draw, { clip });
  drawTextStrip(surface, scene, plan, shading);
  if (plan.strip) {
    const bottom = body.y + body.height;
    surface.line(8, bottom, frame.width - 8, bottom, { stroke: theme.rule });
  }
  drawTextFooter(surface, scene, plan, shading, frame);
  const error = shading ? null : errorIn(scene);
  if (error !== null) {
    const low = { x: 0, y: plan.footerTop, width: frame.width, height: 54 };
    drawFailure(surface, scene, low, error);
  }
  drawNumbers(surface, scene, shading, frame);
}

/** The numbers of what is under the pointer. */
function drawNumbers(
  surface: Surface,
  scene: Scene,
  shading: TextShading | null,
  frame: Frame,
): void {
  const at = pointer(scene.hover, "head");
  if (!at || !shading || shading.subject.about === "all") return;
  const bounds = { x: 0, y: 0, width: frame.width, height: frame.height };
  const { subject, series, weights } = shading;
  const { queries, keys } = scene;
  const { query } = hoveredPositions(scene);
  if (subject.about === "query" && subject.keys.length > 0) {
    drawPairCard(surface, scene, "head", series, bounds);
    return;
  }
  const of = (n: number, index: number, note = "") => {
    const { name, colour } = series[n] as (typeof series)[number];
    const value = sayNumber(scene, (weights[n] as Float32Array)[index] as number);
    return { label: name, colour, value, note };
  };
  const shown = [...weights.slice(0, MOST_ROWS).keys()];
  if (subject.about === "key" && query !== null) {
    const target =
      subject.keys.length > 1 ? `${subject.keys.length} keys` : quoted(keys, subject.keys[0] ?? 0);
    const title = `${quoted(queries, query)} → ${target}`;
    const rows = shown.map((n) => of(n, query));
    drawCard(surface, { title, rows }, at, bounds, scene.theme);
    return;
  }
  // Of a token alone: what it has most to do with.
  const [own, far] = subject.about === "query" ? [queries, keys] : [keys, queries];
  const index = (subject.about === "query" ? subject.queries : subject.keys)[0] ?? 0;
  const rows = shown.map((n) => {
    const best = strongestKey(sized(scene, weights[n] as Float32Array));
    return of(n, best, `${subject.about === "query" ? "→" : "←"} ${quoted(far, best, 120)}`);
  });
  const title = `${quoted(own, index)} ${indexOf(own, index)}`;
  drawCard(surface, { title, rows }, at, bounds, scene.theme);
}
