// Compare view: one panel's title, links or matrix.

import { NOTHING_ASIDE } from "../../data/aside.js";
import { heldBy, sideOf } from "../../data/sides.js";
import { BADGE, drawBadge, drawClose, letterOf } from "../../marks/heads/badge.js";
import {
  colourKeyWidth,
  drawColourKey,
  drawDivergingLegend,
  drawLinkLegend,
  drawNotes,
  drawSequentialLegend,
  drawSwatch,
  LEGEND_BAR,
  LEGEND_LINE,
  linkLegendWidth,
  signKey,
} from "../../marks/legends/legend.js";
import { groupFilter } from "../../scene/groups.js";
import { onPaper, type Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { linesLayout } from "../lines/layout.js";
import { drawLines, drawLinesState } from "../lines/lines.js";
import type { LinesInput } from "../lines/links.js";
import { mapScale, scaleTitle } from "../map/scale.js";
import { differenceSource, largestIn, type TileSource } from "../map/tile-source.js";
import { cellsOf } from "../map/window.js";
import { drawDifference, drawHeat, drawHeatLabels, levelOf } from "../matrix/matrix.js";
import { type Common, signedSeries } from "../shared/difference.js";
import { drawFailure } from "../shared/failure.js";
import { isRollout, isSigned, measureTitle } from "../shared/measure.js";
import {
  type Focus,
  focusOf,
  hoveredPositions,
  type Series,
  scaleOf,
  seriesError,
} from "../shared/series.js";
import {
  type CompareLayout,
  type ComparePanel,
  comparedCount,
  comparedSeries,
  compareNotes,
  DIFFERENCE,
  differenceTerms,
  hasDifference,
  SIGNS,
  scalesOnOneLine,
} from "./layout.js";
import { drawReading, reading } from "./reading.js";
import { isSeries } from "./steps.js";

const LABEL_SIZE = 11;

export function badgeRect({ title }: ComparePanel): Rect {
  return { x: title.x, y: title.y + 3, width: BADGE, height: BADGE };
}

export function closeRect({ title }: ComparePanel): Rect {
  return { x: title.x + title.width - 18, y: title.y + 2, width: 18, height: 18 };
}

/** Of two records: whether a place of the common axes is one that both have. */
function inBoth({ queries, keys, sides }: Scene): Common | undefined {
  if (!sides) return undefined;
  return {
    query: (query) => queries[query]?.only === undefined,
    key: (key) => keys[key]?.only === undefined,
  };
}

/** Positions that the panel's record has not are faint. */
function absentIn({ sides }: Scene, { kind }: ComparePanel): LinesInput["absent"] {
  if (!sides || kind === "difference") return undefined;
  const own = sideOf(kind);
  return (position) => heldBy(position)?.includes(own) === false;
}

/** The panel's links, in the colours of its head or of the two signs. */
export function panelLines(
  scene: Scene,
  layout: CompareLayout,
  panel: ComparePanel,
  focus: Focus,
): LinesInput {
  const { queries, keys, state, theme } = scene;
  const two = panel.kind === "difference" ? differenceTerms(scene) : null;
  const own = panel.series ? [panel.series] : [];
  return {
    layout: linesLayout({
      rect: panel.body,
      queries,
      keys,
      rowHeight: layout.rowHeight,
      scroll: layout.tokenScroll,
      numbers: 0,
      labelSize: LABEL_SIZE,
    }),
    series: two ? signedSeries(...two, scene.aside, theme, SIGNS, inBoth(scene)) : own,
    absent: absentIn(scene, panel),
    pinned: { query: state.query, key: state.key },
    // A difference has it set aside in both its terms already.
    aside: two === null ? scene.aside : NOTHING_ASIDE,
    thinning: state,
    full: hoveredPositions(scene).query !== null && focus.about === "query",
    scale: scaleOf(comparedSeries(scene)),
    signed: two === null && isSigned(scene),
    focus,
    pictures: layout.panels.length,
    groups: groupFilter(scene),
    drawing: scene.drawing,
  };
}

function nameWithin({ name, layer, head, out = false }: Series, width: number): string {
  const short = `L${layer} · H${head}${out ? " · out" : ""}`;
  return textWidth(name, 12, "sans", "bold") <= width ? name : short;
}

function drawTitle(surface: Surface, scene: Scene, panel: ComparePanel): void {
  const { theme } = scene;
  const { title, kind, series, nameWidth } = panel;
  const middle = title.y + 11;
  const bold = { fill: theme.text, size: 12, weight: "bold" } as const;
  if (kind === "difference") {
    const { layer, heads } = scene.state;
    const of = scene.sides
      ? ` · layer ${layer}${isRollout(scene) ? "" : ` · head ${heads[0]}`}`
      : "";
    const words = DIFFERENCE + of;
    surface.text(title.x, middle, words, { ...bold, maxWidth: nameWidth });
  } else {
    const x = title.x + BADGE + 7;
    const same = isSeries(scene);
    drawBadge(surface, badgeRect(panel), letterOf(kind), same || kind < 2, theme);
    // In a series all are of one colour, which tells nothing.
    const swatch = same ? 0 : 14;
    const square = { x, y: middle - 4.5, width: 9, height: 9 };
    if (!same) drawSwatch(surface, square, series?.colour ?? theme.muted, series?.out);
    const closes = !scene.sides && !onPaper(scene);
    const maxWidth = nameWidth - BADGE - 7 - swatch - (closes ? 20 : 0);
    const name = scene.sides ? series?.name : series && nameWithin(series, maxWidth);
    surface.text(x + swatch, middle, name ?? "", { ...bold, maxWidth });
    if (closes) drawClose(surface, closeRect(panel), theme);
  }
  const read = reading(scene, panel);
  if (read) drawReading(surface, scene, panel, read);
}

function drawLinesBody(surface: Surface, scene: Scene, layout: CompareLayout, panel: ComparePanel) {
  const input = panelLines(scene, layout, panel, focusOf(scene));
  const { x, width } = panel.body;
  // Labels higher than their rows reach over the first row's edge.
  const y = panel.body.y - Math.max(0, (LABEL_SIZE - layout.rowHeight) / 2);
  surface.line(x, y, x + width, y, { stroke: scene.theme.rule });
  drawLines(surface, scene, input);
  drawLinesState(surface, scene, input, panel.body);
}

/** The difference as a map, and the end of its scale. */
function differenceOf(scene: Scene): { source: TileSource; max: number } | null {
  const two = differenceTerms(scene);
  if (!two) return null;
  const source = differenceSource(scene, two, comparedCount(scene), inBoth(scene));
  const max = largestIn(source);
  return max === null ? null : { source, max };
}

const comparedScale = (scene: Scene) =>
  mapScale(scene, comparedSeries(scene), comparedCount(scene));

function drawMatrixBody(
  surface: Surface,
  scene: Scene,
  layout: CompareLayout,
  panel: ComparePanel,
) {
  const cells = cellsOf(panel.body, scene);
  const { theme } = scene;
  if (layout.matrices) drawHeatLabels(surface, scene, cells, layout.matrices, panel);
  if (panel.series) {
    const of = { count: comparedCount(scene), scale: comparedScale(scene).end };
    drawHeat(surface, scene, panel.series, cells, of);
    const error = seriesError(scene, [panel.series]);
    if (error !== null) drawFailure(surface, scene, panel.body, error);
    return;
  }
  const difference = differenceOf(scene);
  if (!difference) {
    surface.rect(panel.body, { stroke: theme.rule });
    return;
  }
  drawDifference(surface, scene, difference.source, cells, difference.max);
}

export function drawPanel(
  surface: Surface,
  scene: Scene,
  layout: CompareLayout,
  panel: ComparePanel,
): void {
  drawTitle(surface, scene, panel);
  (layout.matrices ? drawMatrixBody : drawLinesBody)(surface, scene, layout, panel);
}

function drawMatrixScales(surface: Surface, scene: Scene, width: number, y: number): number {
  const single = scalesOnOneLine(scene, width);
  const both = hasDifference(scene);
  const bar = Math.min(320, single && both ? width / 2 - 12 : width - 8);
  const left = Math.max(0, (width - (single && both ? 2 * bar + 24 : bar)) / 2);
  const scale = comparedScale(scene);
  const weights = { x: left, y, width: bar, title: scaleTitle(measureTitle(scene), scale) };
  if (isSigned(scene)) drawDivergingLegend(surface, weights, scale.end ?? 1, scene.theme);
  else drawSequentialLegend(surface, weights, scene.theme, scale);
  const difference = differenceOf(scene);
  if (difference) {
    const x = single ? left + bar + 24 : left;
    const top = single ? y : y + LEGEND_BAR + 4;
    const title = { x, y: top, width: bar, title: DIFFERENCE };
    drawDivergingLegend(surface, title, difference.max, scene.theme);
  }
  return (LEGEND_BAR + 4) * (single ? 1 : 2);
}

function drawLinesScales(surface: Surface, scene: Scene, width: number, y: number): number {
  const { theme } = scene;
  const single = scalesOnOneLine(scene, width);
  const signs = hasDifference(scene) ? signKey(...SIGNS, theme) : [];
  const name = measureTitle(scene);
  const title = signs.length > 0 ? `${name} or difference` : name;
  const end = scaleOf(comparedSeries(scene));
  const scale = linkLegendWidth({ title, end });
  const key = signs.length > 0 ? colourKeyWidth(signs) : 0;
  const middle = y + LEGEND_LINE / 2;
  const used = single && key > 0 ? scale + 24 + key : Math.min(width, scale);
  const left = Math.max(0, (width - used) / 2);
  drawLinkLegend(surface, left, middle, { title, end }, theme.text, theme);
  if (key > 0) {
    const x = single ? left + scale + 24 : Math.max(0, (width - key) / 2);
    drawColourKey(surface, x, single ? middle : middle + LEGEND_LINE, key + 1, signs, theme);
  }
  return LEGEND_LINE * (single ? 1 : 2);
}

export function drawCompareFooter(
  surface: Surface,
  scene: Scene,
  width: number,
  layout: CompareLayout,
): void {
  const scales = layout.matrices ? drawMatrixScales : drawLinesScales;
  const top = layout.footerTop + 10;
  const y = top + scales(surface, scene, width, top) + LEGEND_LINE / 2;
  const body = layout.matrices && layout.panels[0]?.body;
  const level = body ? levelOf(scene, cellsOf(body, scene), surface.scale) : 0;
  drawNotes(surface, compareNotes(scene, level), width, y, scene.theme);
}
