// Head view as two columns of tokens and links.

import {
  colourKeyWidth,
  drawColourKey,
  drawLinkLegend,
  drawNotes,
  LEGEND_LINE,
  LEGEND_SIZE,
  type LinkScale,
  linkLegendWidth,
} from "../../marks/legends/legend.js";
import { visibleRows } from "../../marks/text/token-axis.js";
import { labelOf, type TokenColumn } from "../../marks/text/tokens.js";
import { hasLegend, onPaper, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { columnWidths, linesLayout, linesOverflow, revealScroll } from "../lines/layout.js";
import { drawLines, drawLinesState, hitLines, lineStops, readingSurface } from "../lines/lines.js";
import type { LinesInput } from "../lines/links.js";
import { meansBeside } from "../lines/numbers.js";
import { measureNotes, measureTitle } from "../shared/measure.js";
import { drawPairCard } from "../shared/pair-card.js";
import {
  type Focus,
  focusOf,
  headSeries,
  pinnedFocus,
  poolNote,
  scaleOf,
} from "../shared/series.js";
import type { Frame, Stop } from "../view.js";

const HEADER = 24;
const LOW_ROW = 16;
const HIGH_ROW = 40;
export const LABEL_SIZE = 12;
/** More heads than this share one column of means. */
export const NUMBERED_HEADS = 3;

/** What a layout at this width needs besides its height. */
function widthRequest(scene: Scene, width: number) {
  const { queries, keys, state } = scene;
  const wish = state.heads.length <= NUMBERED_HEADS ? state.heads.length : 1;
  const numbers = onPaper(scene) && focusOf(scene).about === "all" ? 0 : wish;
  return {
    queries,
    keys,
    numbers,
    labelSize: LABEL_SIZE,
    rect: { x: 0, y: HEADER, width, height: 0 },
  };
}

/** The layout is made from the selection alone: hovering a head must not move anything. */
function inputFor(scene: Scene, frame: Frame, focus: Focus, isolate: boolean): LinesInput {
  const { state } = scene;
  const request = widthRequest(scene, frame.width);
  const height = Math.max(LOW_ROW, frame.height - HEADER - linesFooterHeight(scene, frame.width));
  return {
    layout: linesLayout({
      ...request,
      rect: { ...request.rect, height },
      rowHeight: rowHeight(scene, height),
      scroll: frame.scroll,
    }),
    series: headSeries(scene, { isolate }),
    pinned: { query: state.query, key: state.key },
    sinkAside: scene.options.setSinkAside,
    // Of all heads that are selected: pointing at one of them rescales nothing.
    scale: scaleOf(headSeries(scene, { isolate: false })),
    focus,
    pictures: 1,
    drawing: scene.drawing,
  };
}

function rowHeight({ queries, keys }: Scene, height: number): number {
  const rows = Math.max(1, queries.length, keys.length);
  return Math.max(LOW_ROW, Math.min(HIGH_ROW, Math.floor(height / rows)));
}

function keyEntries(scene: Scene) {
  const series = headSeries(scene, { isolate: false });
  return series.map(({ name, head, colour }) => ({
    // One word says it for all: "head 3  5  7".
    label: head === series[0]?.head ? name : String(head),
    colour,
  }));
}

function notes(scene: Scene, width: number): readonly string[] {
  const words: string[] = [];
  const { state, options, keys } = scene;
  const pool = poolNote(state);
  if (pool) words.push(`pinned: ${pool}`);
  if (options.setSinkAside && keys.length > 0) {
    words.push(`“${labelOf(keys, 0)}” set aside: links rescaled, numbers unchanged`);
  }
  words.push(...measureNotes(scene, scaleOf(headSeries(scene, { isolate: false }))));
  const count = state.heads.length;
  if (scene.drawing?.horizontal) {
    return count > NUMBERED_HEADS ? [...words, `numbers: mean of the ${count} heads`] : words;
  }
  const { numbers } = columnWidths(widthRequest(scene, width));
  const means = meansBeside(numbers, count);
  if (means !== null) words.push(`numbers beside ${means}: mean of the ${count} heads`);
  // Nothing moves in a figure: it needs no place for what is not said.
  const { about } = focusOf(scene);
  return onPaper(scene) ? words.filter((note) => isShown(note, about)) : words;
}

/** What is said of numbers, while there are any. */
function isShown(note: string, about: Focus["about"]): boolean {
  if (!note.startsWith("numbers")) return true;
  return about === "key" || (about === "query" && !note.includes("queries"));
}

const linkScale = (scene: Scene): LinkScale => ({
  title: measureTitle(scene),
  end: scaleOf(headSeries(scene, { isolate: false })),
});

const scaleWidth = (scene: Scene) => linkLegendWidth(linkScale(scene));

/** Whether the colours and the links' scale stand on one line. */
function oneLine(scene: Scene, width: number): boolean {
  return colourKeyWidth(keyEntries(scene)) + 24 + scaleWidth(scene) <= width;
}

export function linesFooterHeight(scene: Scene, width: number): number {
  if (!hasLegend(scene)) return 0;
  return 8 + LEGEND_LINE * ((oneLine(scene, width) ? 1 : 2) + notes(scene, width).length);
}

export function drawFooter(surface: Surface, scene: Scene, width: number, top: number): void {
  if (!hasLegend(scene)) return;
  const { theme } = scene;
  const entries = keyEntries(scene);
  let y = top + 8 + LEGEND_LINE / 2;
  const single = oneLine(scene, width);
  const scale = scaleWidth(scene);
  const colour = entries.length === 1 ? (entries[0]?.colour ?? theme.text) : theme.text;
  const used = single ? colourKeyWidth(entries) + 24 + scale : Math.min(width, scale);
  const left = Math.max(0, (width - used) / 2);
  const keyLeft = single ? left : Math.max(4, (width - colourKeyWidth(entries)) / 2);
  drawColourKey(surface, keyLeft, y, width - keyLeft, entries, theme);
  if (!single) y += LEGEND_LINE;
  const at = single ? left + used - scale : left;
  drawLinkLegend(surface, at, y, linkScale(scene), colour, theme);
  // The place of a note is kept while the numbers that it speaks of are not there: nothing moves.
  const { about } = focusOf(scene);
  const shown = notes(scene, width).filter((note) => isShown(note, about));
  drawNotes(surface, shown, width, y + LEGEND_LINE, theme);
}

export function headTitle(scene: Scene, { axis }: TokenColumn, name: string): string {
  const [first, last] = visibleRows(axis);
  const range = last - first < axis.count ? ` · ${first}–${last - 1} of ${axis.count}` : "";
  return `${scene.stream.name} ${name}${range}`;
}

function drawHeader(surface: Surface, scene: Scene, { layout }: LinesInput): void {
  const { x, y, width } = layout.body;
  const { muted, rule } = scene.theme;
  const style = { fill: muted, size: LEGEND_SIZE, maxWidth: width / 2 - 6 } as const;
  const middle = HEADER / 2 - 2;
  surface.text(x + 4, middle, headTitle(scene, layout.queries, "query"), style);
  const end = { ...style, anchor: "end" } as const;
  surface.text(x + width - 4, middle, headTitle(scene, layout.keys, "key"), end);
  surface.line(x, y, x + width, y, { stroke: rule });
}

export function headLinesHeight(scene: Scene, width: number, height: number): number {
  const footer = linesFooterHeight(scene, width);
  const rows = Math.max(scene.queries.length, scene.keys.length);
  return HEADER + rows * rowHeight(scene, height - HEADER - footer) + footer;
}

export function drawHeadLines(surface: Surface, scene: Scene, frame: Frame): void {
  const input = inputFor(scene, frame, focusOf(scene), true);
  const { body } = input.layout;
  const { theme } = scene;
  drawHeader(readingSurface(surface, scene, input), scene, input);
  drawLines(surface, scene, input);
  drawLinesState(surface, scene, input, input.layout.links);
  const bottom = body.y + body.height;
  const clipped = linesOverflow(
    Math.max(scene.queries.length, scene.keys.length),
    input.layout.queries.axis.rowHeight,
    body.height,
  );
  if (clipped > 0) {
    surface.line(body.x, bottom, body.x + body.width, bottom, { stroke: theme.rule });
  }
  drawFooter(surface, scene, frame.width, bottom);
  drawPairCard(surface, scene, "head", input.series, cardRoom(input, frame));
}

/** Narrower than this, a card would have to lie on the numbers after all. */
const LEAST_CARD = 170;

/** Between the columns, where no label and no number is. */
function cardRoom({ layout }: LinesInput, frame: Frame): Rect {
  const { x, width } = layout.links;
  const all = { x: 0, y: 0, width: frame.width, height: frame.height };
  return width >= LEAST_CARD ? { ...all, x, width } : all;
}

export function hitHeadLines(scene: Scene, frame: Frame, x: number, y: number): Hit | null {
  return hitLines(scene, inputFor(scene, frame, pinnedFocus(scene), false), x, y);
}

export function headLineStops(scene: Scene, frame: Frame): readonly Stop[] {
  return lineStops(scene, inputFor(scene, frame, pinnedFocus(scene), false));
}

/** The scroll that shows a position set elsewhere; null when it is in the window already. */
export function revealInHeadLines(
  scene: Scene,
  frame: Frame,
  at: { query?: number; key?: number },
): number | null {
  return revealScroll(inputFor(scene, frame, pinnedFocus(scene), false).layout, at);
}
