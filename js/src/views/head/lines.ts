// Head view as two columns of tokens and links.

import {
  colourKeyLines,
  colourKeyPlaces,
  colourKeyWidth,
  drawColourKey,
  drawLinkLegend,
  drawNotes,
  fittedNotes,
  LEGEND_LINE,
  LEGEND_SIZE,
  type LinkScale,
  linkLegendWidth,
} from "../../marks/legends/legend.js";
import { memo } from "../../marks/memo.js";
import { visibleRows } from "../../marks/text/token-axis.js";
import { LABEL_PAD, type TokenColumn } from "../../marks/text/tokens.js";
import { filterNotes, groupFilter } from "../../scene/groups.js";
import { hasLegend, onPaper, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { columnWidths, linesLayout, linesOverflow, revealScroll } from "../lines/layout.js";
import { signEntries } from "../lines/legend.js";
import { drawLines, drawLinesState, hitLines, lineStops, readingSurface } from "../lines/lines.js";
import { drawnShare, type LinesInput, shareKey } from "../lines/links.js";
import { lacksNumbers } from "../lines/numbers.js";
import { drawLinesStrip, hitLinesStrip, stripRoom } from "../lines/strip.js";
import { asideNote } from "../shared/aside.js";
import { groupMargin } from "../shared/groups.js";
import {
  isRollout,
  isSigned,
  MEASURES,
  measureNotes,
  measureTitle,
  ofMetric,
} from "../shared/measure.js";
import { drawPairCard } from "../shared/pair-card.js";
import {
  type Focus,
  focusOf,
  headSeries,
  hoveredPositions,
  pinnedFocus,
  poolNote,
  scaleOf,
} from "../shared/series.js";
import type { Frame, Stop } from "../view.js";

const HEADER = 24;
const LOW_ROW = 16;
const HIGH_ROW = 40;
export const LABEL_SIZE = 12;
/** So many heads have a column of numbers each; twice as many share them, one number above the other. */
export const NUMBERED_HEADS = 3;

function numberColumns(count: number): number {
  if (count <= NUMBERED_HEADS) return count;
  return count <= 2 * NUMBERED_HEADS ? Math.ceil(count / 2) : 1;
}

/** Room for the names of groups beside the columns. */
const marginsOf = (scene: Scene, width: number) => ({
  queries: groupMargin(scene, "queries", width),
  keys: groupMargin(scene, "keys", width),
});

/** What a layout at this width needs besides its height. */
function widthRequest(scene: Scene, width: number) {
  const { queries, keys, state } = scene;
  const margins = marginsOf(scene, width);
  const wish = numberColumns(state.heads.length);
  const numbers = onPaper(scene) && focusOf(scene).about === "all" ? 0 : wish;
  return {
    queries,
    keys,
    numbers,
    labelSize: LABEL_SIZE,
    rect: {
      x: margins.queries,
      y: HEADER,
      width: width - margins.queries - margins.keys - stripRoom(scene),
      height: 0,
    },
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
    aside: scene.aside,
    thinning: state,
    full: isolate && hoveredPositions(scene).query !== null,
    // Of all heads that are selected: pointing at one of them rescales nothing.
    scale:
      ofMetric(scene) && scene.drawing?.panel
        ? scene.drawing.end
        : scaleOf(headSeries(scene, { isolate: false })),
    focus,
    signed: isSigned(scene),
    pictures: 1,
    groups: groupFilter(scene),
    margins: marginsOf(scene, frame.width),
    drawing: scene.drawing,
  };
}

function rowHeight({ queries, keys }: Scene, height: number): number {
  const rows = Math.max(1, queries.length, keys.length);
  return Math.max(LOW_ROW, Math.min(HIGH_ROW, Math.floor(height / rows)));
}

/** Heads by their colours; of numbers with both signs the colours are those. */
function keyEntries(scene: Scene) {
  if (isSigned(scene)) return signEntries(scene.theme);
  const series = headSeries(scene, { isolate: false });
  return series.map(({ name, head, colour, out = false }) => ({
    // One word says it for all: "head 3  5  7".
    label: head === series[0]?.head ? name : `${head}${out ? " · out" : ""}`,
    colour,
    hollow: out,
  }));
}

/** Whole per cents; what is drawn is never said to be nothing. */
const percent = (part: number) => (part < 0.005 ? "< 1 %" : `${Math.round(100 * part)} %`);

/** What the links that are drawn are a part of: rows that are shares of a whole, or only numbers that add up to something. */
function wholeOf({ state, together, aside }: Scene): string {
  const { measure } = state;
  const rest = aside.keys.length > 0 ? "what is not set aside" : null;
  const isShare = measure === "weights" && (!together || together.how === "mean");
  if (isShare || measure === "rollout") return rest ?? "the weight";
  const named = measure === "gradient" ? "sizes" : MEASURES[measure].short;
  const one = measure === "weights" ? "sums" : named;
  const all = together?.how === "max" ? "maxima" : one;
  return rest ? `the ${all} not set aside` : `all ${all} added up`;
}

/** "3 strongest links a query: 87 % of the weight", as far as it is known. */
export function thinningNote(scene: Scene, input: LinesInput | null): string | null {
  const { top_k, mass } = scene.state;
  if (top_k === null && mass === null) return null;
  const found = input && memo(scene.stream, `share ${shareKey(input)}`, () => drawnShare(input));
  const share = found ? `${percent(found)} of ${wholeOf(scene)}` : null;
  if (mass !== null) {
    const wished = `${Number((100 * mass).toFixed(1))} %`;
    return `strongest links that make up ${wished} of each query${share ? `: ${share}` : ""}`;
  }
  const links = top_k === 1 ? "strongest link a query" : `${top_k} strongest links a query`;
  return links + (share ? `: ${share}` : "");
}

/** What is said of the lines themselves, beside numbers or not. */
export function lineNotes(scene: Scene, input: LinesInput | null): readonly string[] {
  const thinning = thinningNote(scene, input);
  const pool = poolNote(scene.state);
  const aside = asideNote(scene);
  return [
    ...(thinning ? [thinning] : []),
    ...(pool ? [`pinned: ${pool}`] : []),
    ...(aside ? [aside] : []),
    ...measureNotes(scene, scaleOf(headSeries(scene, { isolate: false }))),
    ...filterNotes(scene),
  ];
}

function notes(scene: Scene, width: number, input: LinesInput | null = null): readonly string[] {
  const words = [...lineNotes(scene, input)];
  const { state } = scene;
  const count = state.heads.length;
  if (scene.drawing?.horizontal) {
    return count > NUMBERED_HEADS ? [...words, "numbers: of the strongest head"] : words;
  }
  const { numbers } = columnWidths(widthRequest(scene, width));
  const lacking = lacksNumbers(numbers, count);
  if (lacking !== null) words.push(`numbers beside ${lacking}: of the strongest head`);
  // Nothing moves in a figure: it needs no place for what is not said.
  const { about } = focusOf(scene);
  return onPaper(scene) ? words.filter((note) => isShown(note, about)) : words;
}

/** What is said of numbers, while there are any. */
function isShown(note: string, about: Focus["about"]): boolean {
  if (!note.startsWith("numbers")) return true;
  return about === "key" || (about === "query" && !note.includes("queries"));
}

export const linkScale = (scene: Scene): LinkScale => ({
  title: measureTitle(scene),
  end: scaleOf(headSeries(scene, { isolate: false })),
});

const scaleWidth = (scene: Scene) => linkLegendWidth(linkScale(scene));

/** Whether what the links are called stands above their scale, as it has no room before it. */
const titleAbove = (scene: Scene, width: number) => scaleWidth(scene) > width;

/** Whether the colours and the links' scale stand on one line. */
function oneLine(scene: Scene, width: number): boolean {
  return colourKeyWidth(keyEntries(scene)) + 24 + scaleWidth(scene) <= width;
}

/** A figure names every head, in as many lines as that takes. */
const mostKeyLines = (scene: Scene) => (onPaper(scene) ? Number.POSITIVE_INFINITY : 1);

function keyLines(scene: Scene, width: number): number {
  return colourKeyLines(keyEntries(scene), width - 8, mostKeyLines(scene)).length;
}

export function linesFooterHeight(scene: Scene, width: number): number {
  if (!hasLegend(scene)) return 0;
  const key = oneLine(scene, width) ? 0 : keyLines(scene, width);
  const scale = titleAbove(scene, width) ? 2 : 1;
  return 8 + LEGEND_LINE * (scale + key + fittedNotes(notes(scene, width), width).length);
}

/** Where the colours of heads and the links' scale stand, the middles of their first lines. */
function footerPlaces(scene: Scene, width: number, top: number) {
  const entries = keyEntries(scene);
  const y = top + 8 + LEGEND_LINE / 2;
  const single = oneLine(scene, width);
  const above = titleAbove(scene, width);
  const scale = above ? linkLegendWidth({ ...linkScale(scene), title: "" }) : scaleWidth(scene);
  const used = single ? colourKeyWidth(entries) + 24 + scale : scale;
  const left = Math.max(0, (width - used) / 2);
  const x = single ? left : Math.max(4, (width - colourKeyWidth(entries)) / 2);
  return {
    entries,
    key: { x, y, width: width - x - 4, most: single ? 1 : mostKeyLines(scene) },
    scale: {
      x: single ? left + used - scale : left,
      y: single ? y : y + LEGEND_LINE * (keyLines(scene, width) + (above ? 1 : 0)),
      above,
    },
  };
}

export function drawFooter(
  surface: Surface,
  scene: Scene,
  width: number,
  top: number,
  input: LinesInput,
): void {
  if (!hasLegend(scene)) return;
  const { theme } = scene;
  const { entries, key, scale } = footerPlaces(scene, width, top);
  const own = entries.length === 1 && !isSigned(scene);
  const colour = own ? (entries[0]?.colour ?? theme.text) : theme.text;
  drawColourKey(surface, key.x, key.y, key.width, entries, theme, key.most);
  const { y } = scale;
  const links = linkScale(scene);
  if (scale.above) drawNotes(surface, [links.title], width, y - LEGEND_LINE, theme);
  const said = scale.above ? { ...links, title: "" } : links;
  drawLinkLegend(surface, scale.x, y, said, colour, theme);
  // The place of a note is kept while the numbers that it speaks of are not there: nothing moves.
  const { about } = focusOf(scene);
  const shown = notes(scene, width, input).filter((note) => isShown(note, about));
  drawNotes(surface, fittedNotes(shown, width), width, y + LEGEND_LINE, theme);
}

/** What stands along an axis; of cross attention, whose tokens. */
function axisName(scene: Scene, axis: "query" | "key"): string {
  const { stream, queries, keys } = scene;
  if (!stream.name.startsWith("cross")) return axis;
  const [position] = axis === "query" ? queries : keys;
  const kind = position?.kind === "patch" || position?.kind === "frame" ? position.kind : "token";
  return `${axis === "query" ? "decoder" : "encoder"} ${kind}`;
}

export function headTitle(scene: Scene, { axis }: TokenColumn, name: "query" | "key"): string {
  const [first, last] = visibleRows(axis);
  const range = last - first < axis.count ? ` · ${first}–${last - 1} of ${axis.count}` : "";
  return axisName(scene, name) + range;
}

/** The name of an axis stands over its labels, where it is no longer than there is room at that side. */
function drawAxisName(surface: Surface, scene: Scene, column: TokenColumn, width: number): void {
  const atQueries = column.align === "end";
  const text = headTitle(scene, column, atQueries ? "query" : "key");
  const style = { fill: scene.theme.muted, size: LEGEND_SIZE } as const;
  const middle = HEADER / 2 - 2;
  const edge = atQueries ? column.x + column.width - LABEL_PAD : column.x + LABEL_PAD;
  const fits = textWidth(text, LEGEND_SIZE) <= (atQueries ? edge : width - edge) - 4;
  const inner = atQueries ? "end" : "start";
  const outer = atQueries ? "start" : "end";
  const x = fits ? edge : atQueries ? 4 : width - 4;
  surface.text(x, middle, text, {
    ...style,
    anchor: fits ? inner : outer,
    maxWidth: width / 2 - 6,
  });
}

function drawHeader(surface: Surface, scene: Scene, { layout }: LinesInput): void {
  const { x, y, width } = layout.body;
  if (scene.drawing?.axes ?? true) {
    drawAxisName(surface, scene, layout.queries, width);
    drawAxisName(surface, scene, layout.keys, width);
  }
  surface.line(x, y, x + width, y, { stroke: scene.theme.rule });
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
  drawLinesStrip(surface, scene, input, frame.width);
  drawFooter(surface, scene, frame.width, bottom, input);
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

/** An entry of the legend stands for its head, as its number in the line of controls does. */
function hitFooter(scene: Scene, width: number, top: number, x: number, y: number): Hit | null {
  const { layer, state } = scene;
  if (!hasLegend(scene) || state.heads.length < 2 || isRollout(scene)) return null;
  if (isSigned(scene)) return null;
  const { entries, key } = footerPlaces(scene, width, top);
  const places = colourKeyPlaces(key.x, key.y, key.width, entries, key.most);
  const head = headSeries(scene, { isolate: false })[
    places.findIndex((place) => contains(place, x, y))
  ]?.head;
  return head === undefined ? null : { action: "show-head", layer: layer.layer, head };
}

export function hitHeadLines(scene: Scene, frame: Frame, x: number, y: number): Hit | null {
  const input = inputFor(scene, frame, pinnedFocus(scene), false);
  const strip = hitLinesStrip(scene, input, frame.width, x, y);
  if (strip) return strip;
  const { body } = input.layout;
  const bottom = body.y + body.height;
  if (y >= bottom) return hitFooter(scene, frame.width, bottom, x, y);
  return hitLines(scene, input, x, y);
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
