// Compare view: panels, their sizes, and what their difference is of.

import { heldBy } from "../../data/sides.js";
import { LEGEND_BAR, LEGEND_LINE } from "../../marks/legends/legend.js";
import { filterNotes } from "../../scene/groups.js";
import { hasLegend, onPaper, type Scene } from "../../scene/scene.js";
import type { Rect } from "../../surface/surface.js";
import { thinningNote } from "../head/lines.js";
import { linesOverflow } from "../lines/layout.js";
import { PANEL_GAP, panelGrid, panelRowHeight } from "../lines/panel-grid.js";
import { BUTTONS_ROOM } from "../map/controls.js";
import { comeWhole } from "../map/tile-source.js";
import { isZoomed } from "../map/window.js";
import { type Multiples, multiplesHeight, multiplesLayout, pictureAt } from "../matrix/layout.js";
import { shadeNotes } from "../matrix/matrix.js";
import { matrixMargins } from "../shared/groups.js";
import { isRollout, measureNotes } from "../shared/measure.js";
import { type Series, scaleOf } from "../shared/series.js";
import type { Frame } from "../view.js";
import { isOut, outMark } from "../what-if/parts.js";
import { isSeries } from "./steps.js";

/** Title and, under it, the number of the pair or token in focus. */
const HEAD = 42;
const TOP = 4;
/** Beside the outermost panels. */
const SIDE = 4;
/** Of a series as many as can be read stand in a row. */
const MIN_OF_SERIES = 132;
const LEAST_BODY = 150;

export interface ComparePanel {
  /** The n-th pinned head or record, or the difference of the first two. */
  readonly kind: number | "difference";
  readonly series: Series | null;
  readonly title: Rect;
  /** Room for the name in it: buttons may stand there too. */
  readonly nameWidth: number;
  readonly body: Rect;
  readonly firstColumn: boolean;
  readonly firstRow: boolean;
}

export interface CompareLayout {
  readonly panels: readonly ComparePanel[];
  /** Height of the rows of links, and how far the tokens are scrolled. */
  readonly rowHeight: number;
  readonly tokenScroll: number;
  /** Pixels by which the tokens overflow their window: the first part of the scroll. */
  readonly tokenOverflow: number;
  readonly matrices: Multiples | null;
  readonly footerTop: number;
  readonly contentHeight: number;
}

/**
 * The pinned heads, each in the colour that it has everywhere; letters tell apart those of the same
 * number. Of two records the same head stands twice, in the colours of what only one of them has; of a
 * series once for each, in its own.
 */
export function comparedSeries(scene: Scene): readonly Series[] {
  const { state, theme, blocks, sides, meta } = scene;
  if (sides && meta.comparison) {
    const { layer } = state;
    const head = state.heads[0] ?? 0;
    const { names } = meta.comparison;
    const own = isRollout(scene) ? theme.text : theme.head(head, scene.layer.num_heads);
    const colours = isSeries(scene) ? [] : [theme.negative, theme.positive];
    return sides.map((blocks, n) => ({
      layer,
      head,
      name: names[n] ?? "",
      colour: colours[n] ?? own,
      rows: blocks.weights(layer, head),
      blocks,
    }));
  }
  const colourOf = (layer: number, head: number, i: number) => {
    // A rollout is of a layer, which has no colour.
    if (isRollout(scene)) return theme.head(i, state.compare.length);
    const found = scene.stream.layers.find((each) => each.layer === layer);
    return theme.head(head, found?.num_heads ?? scene.layer.num_heads);
  };
  return state.compare.map(([layer, head], i) => ({
    layer,
    head,
    name: isRollout(scene)
      ? `layer ${layer} · rollout`
      : `layer ${layer} · head ${head}${outMark(scene, layer, head)}`,
    colour: colourOf(layer, head, i),
    out: isOut(scene, layer, head),
    rows: blocks.weights(layer, head),
    blocks,
  }));
}

/** How many attentions stand side by side: pinned heads, or one head of each record. */
export function comparedCount({ state, sides }: Scene): number {
  return sides?.length ?? state.compare.length;
}

/** Whether a difference stands beside them: of a series there are the records alone. */
export const hasDifference = (scene: Scene): boolean =>
  comparedCount(scene) > 1 && !isSeries(scene);

/** What the difference is of: the second, and the first, which is taken away from it. */
export function differenceTerms(scene: Scene): readonly [Series, Series] | null {
  if (!hasDifference(scene)) return null;
  const [a, b] = comparedSeries(scene);
  return a && b ? [b, a] : null;
}

/** Heads and records alike: what is new in the second. */
export const DIFFERENCE = "B − A";
/** What the two signs of it are called. */
export const SIGNS = ["B > A", "A > B"] as const;

export function panelCount(scene: Scene): number {
  return comparedCount(scene) + (hasDifference(scene) ? 1 : 0);
}

export function compareNotes(scene: Scene, level = 0): readonly string[] {
  const length = comparedCount(scene);
  const thinning = scene.state.form === "matrix" ? null : thinningNote(scene, null);
  const { layer, heads } = scene.state;
  const which = `layer ${layer}${isRollout(scene) ? "" : ` · head ${heads[0] ?? 0}`}`;
  const notes = [
    ...(isSeries(scene) ? [`${which} of every record, on one scale`] : []),
    ...(thinning && length > 0 ? [thinning] : []),
    ...shadeNotes(scene, level, differsInCells(scene)),
    ...measureNotes(scene, scaleOf(comparedSeries(scene))),
    ...filterNotes(scene),
  ];
  if (scene.sides) {
    const only = [...scene.queries, ...scene.keys].some(heldBy);
    if (only)
      notes.push(
        isSeries(scene)
          ? "grey labels: not every record has them"
          : "labels in a colour: only that record has them; the difference leaves them out",
      );
  }
  if (scene.state.form === "text" && !onPaper(scene)) {
    notes.push("compared heads stand as lines: a difference is between pairs of tokens");
  }
  if (length > 1 || onPaper(scene)) return notes;
  return ["Pin another head to compare: shift-click one among the heads, or press C.", ...notes];
}

/** Whether the difference of two long heads is made of what each shows in a cell, not pair by pair. */
function differsInCells(scene: Scene): boolean {
  const count = comparedCount(scene);
  return hasDifference(scene) && !comeWhole(scene, count);
}

/** Two scales stand side by side where there is room. */
export function scalesOnOneLine(scene: Scene, width: number): boolean {
  return width >= 560 || !hasDifference(scene);
}

function footerHeight(scene: Scene, width: number): number {
  if (!hasLegend(scene)) return 0;
  const one = scene.state.form === "matrix" ? LEGEND_BAR + 4 : LEGEND_LINE;
  const scales = scalesOnOneLine(scene, width) ? one : 2 * one;
  return 10 + scales + LEGEND_LINE * compareNotes(scene).length;
}

function kindOf(scene: Scene, n: number): number | "difference" {
  // The difference stands right after the two it is of.
  if (!hasDifference(scene)) return n;
  return n === 2 ? "difference" : n < 2 ? n : n - 1;
}

function matrixLayout(scene: Scene, frame: Frame): CompareLayout {
  const { queries, keys } = scene;
  const count = panelCount(scene);
  const series = comparedSeries(scene);
  const footer = footerHeight(scene, frame.width);
  const height = Math.max(LEAST_BODY, frame.height - TOP - footer);
  const still = onPaper(scene) && !isZoomed(scene);
  const size = { width: frame.width, height };
  const margins = matrixMargins(scene, frame.width);
  const request = { count, title: HEAD, minSide: 112, queries, keys, ...size, still, margins };
  const matrices = multiplesLayout(request);
  // A record's name may be long, and is cut in front of the buttons.
  const clear = !still && isSeries(scene);
  const beforeButtons = frame.width - BUTTONS_ROOM;
  const end = TOP + multiplesHeight(matrices, count);
  const panels = Array.from({ length: count }, (_, n): ComparePanel => {
    const { rect, titleTop, firstColumn, firstRow } = pictureAt(matrices, n, TOP - frame.scroll);
    const kind = kindOf(scene, n);
    return {
      kind,
      series: kind === "difference" ? null : (series[kind] ?? null),
      title: { x: rect.x, y: titleTop, width: rect.width, height: HEAD },
      nameWidth: clear && firstRow ? Math.min(rect.width, beforeButtons - rect.x) : rect.width,
      body: rect,
      firstColumn,
      firstRow,
    };
  });
  return {
    panels,
    rowHeight: 0,
    tokenScroll: 0,
    tokenOverflow: 0,
    matrices,
    footerTop: Math.min(end, frame.height - footer),
    contentHeight: Math.ceil(end + footer),
  };
}

/**
 * Links: every panel is a window over the same tokens. Rows are squeezed until all tokens fit; where
 * not even that does, scrolling first moves the tokens, in all panels alike, then the panels.
 */
function linesPanels(scene: Scene, frame: Frame): CompareLayout {
  const count = panelCount(scene);
  const series = comparedSeries(scene);
  const tokens = Math.max(1, scene.queries.length, scene.keys.length);
  const footer = footerHeight(scene, frame.width);
  const least = isSeries(scene) ? MIN_OF_SERIES : undefined;
  const grid = panelGrid(count, frame.width - 2 * SIDE, least);
  const free = frame.height - TOP - footer - grid.rows * HEAD - (grid.rows - 1) * PANEL_GAP;
  const room = Math.max(LEAST_BODY, Math.floor(free / grid.rows));
  const rowHeight = panelRowHeight(tokens, room);
  const body = Math.min(room, Math.ceil(tokens * rowHeight));
  const tokenOverflow = linesOverflow(tokens, rowHeight, body);
  const pageScroll = Math.max(0, frame.scroll - tokenOverflow);
  const used = grid.columns * grid.width + (grid.columns - 1) * PANEL_GAP;
  const left = Math.max(SIDE, Math.floor((frame.width - used) / 2));
  const panels = Array.from({ length: count }, (_, n): ComparePanel => {
    const column = n % grid.columns;
    const row = Math.floor(n / grid.columns);
    const x = left + column * (grid.width + PANEL_GAP);
    const y = TOP - pageScroll + row * (HEAD + body + PANEL_GAP);
    const kind = kindOf(scene, n);
    return {
      kind,
      series: kind === "difference" ? null : (series[kind] ?? null),
      title: { x, y, width: grid.width, height: HEAD },
      nameWidth: grid.width,
      body: { x, y: y + HEAD, width: grid.width, height: body },
      firstColumn: column === 0,
      firstRow: row === 0,
    };
  });
  const end = TOP + grid.rows * (HEAD + body) + (grid.rows - 1) * PANEL_GAP;
  return {
    panels,
    rowHeight,
    tokenScroll: Math.min(frame.scroll, tokenOverflow),
    tokenOverflow,
    matrices: null,
    footerTop: Math.min(end, frame.height - footer),
    contentHeight: Math.ceil(end + footer + tokenOverflow),
  };
}

export function compareLayout(scene: Scene, frame: Frame): CompareLayout {
  return (scene.state.form === "matrix" ? matrixLayout : linesPanels)(scene, frame);
}
