// Head view as lines, one panel a head: the same tokens side by side, under the same pointer.

import {
  drawNotes,
  drawSwatch,
  fittedNotes,
  LEGEND_LINE,
  LEGEND_SIZE,
} from "../../marks/legends/legend.js";
import { LABEL_PAD } from "../../marks/text/tokens.js";
import { groupFilter } from "../../scene/groups.js";
import { hasLegend, onPaper, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import type { ComparePanel } from "../compare/layout.js";
import { drawReading, reading } from "../compare/reading.js";
import {
  columnWidths,
  type LinesRequest,
  linesLayout,
  linesOverflow,
  revealScroll,
} from "../lines/layout.js";
import { drawSharedLegend, sharedLegendWidth } from "../lines/legend.js";
import { drawLines, drawLinesState, hitLines, lineStops, readingSurface } from "../lines/lines.js";
import type { LinesInput } from "../lines/links.js";
import { PANEL_GAP, panelGrid, panelRowHeight } from "../lines/panel-grid.js";
import { drawFailure } from "../shared/failure.js";
import { groupMargin } from "../shared/groups.js";
import { isRollout, isSigned } from "../shared/measure.js";
import { drawPairCard } from "../shared/pair-card.js";
import {
  type Focus,
  focusOf,
  headSeries,
  hoveredPositions,
  isolatedHead,
  pinnedFocus,
  type Series,
  scaleOf,
  seriesError,
} from "../shared/series.js";
import type { Frame, Stop } from "../view.js";
import { headTitle, lineNotes, linkScale } from "./lines.js";

const TOP = 4;
const TITLE = 24;
/** Over the columns of the first row: which is which. */
const AXES = 15;
/** Beside the outermost panels. */
const SIDE = 4;
const LEAST_BODY = 150;
const LABEL_SIZE = 11;
/** Rows lower than this have no room for a number each. */
const NUMBERED_ROW = 12;
/** Over the panels of other heads, while one is singled out. */
const VEIL = 0.75;

/** Whether the lines of several heads are drawn, each in a panel of its own. */
export function hasPanels(scene: Scene): boolean {
  const { state, sides } = scene;
  if (state.form !== "lines" || state.panels !== "one a head" || sides || isRollout(scene)) {
    return false;
  }
  return headSeries(scene, { isolate: false }).length > 1;
}

/** One head's place. */
interface HeadPanel extends Omit<ComparePanel, "series"> {
  readonly series: Series;
  readonly lastColumn: boolean;
}

interface PanelsLayout {
  readonly panels: readonly HeadPanel[];
  readonly rowHeight: number;
  /** How far the tokens are scrolled, and by how much they overflow their window: the first part of the scroll. */
  readonly tokenScroll: number;
  readonly tokenOverflow: number;
  readonly footerTop: number;
  readonly contentHeight: number;
}

/** Heads in the order of their numbers: which was chosen first moves no panel. */
const seriesOf = (scene: Scene): readonly Series[] =>
  [...headSeries(scene, { isolate: false })].sort((a, b) => a.head - b.head);

function footerHeight(scene: Scene, width: number): number {
  if (!hasLegend(scene)) return 0;
  return 8 + LEGEND_LINE * (1 + fittedNotes(lineNotes(scene, null), width).length);
}

/**
 * Rows are squeezed until all tokens fit; where not even that does, scrolling first moves the tokens, in all
 * panels alike, then the panels. Paper has all tokens.
 */
function layoutOf(scene: Scene, frame: Frame): PanelsLayout {
  const all = seriesOf(scene);
  const tokens = Math.max(1, scene.queries.length, scene.keys.length);
  const margins = {
    queries: groupMargin(scene, "queries", frame.width),
    keys: groupMargin(scene, "keys", frame.width),
  };
  const grid = panelGrid(all.length, frame.width - 2 * SIDE - margins.queries - margins.keys);
  const footer = footerHeight(scene, frame.width);
  const heads = grid.rows * TITLE + AXES;
  const free = frame.height - TOP - footer - heads - (grid.rows - 1) * PANEL_GAP;
  const room = Math.max(LEAST_BODY, Math.floor(free / grid.rows));
  const rowHeight = panelRowHeight(tokens, room);
  const whole = Math.ceil(tokens * rowHeight);
  const body = onPaper(scene) ? whole : Math.min(room, whole);
  const tokenOverflow = linesOverflow(tokens, rowHeight, body);
  const scroll = Math.max(0, frame.scroll - tokenOverflow);
  const used = grid.columns * grid.width + (grid.columns - 1) * PANEL_GAP;
  const outer = used + margins.queries + margins.keys;
  const left = Math.max(SIDE, Math.floor((frame.width - outer) / 2)) + margins.queries;
  const panels = all.map((series, n): HeadPanel => {
    const [column, row] = [n % grid.columns, Math.floor(n / grid.columns)];
    const x = left + column * (grid.width + PANEL_GAP);
    const axes = row === 0 ? AXES : 0;
    const y = TOP - scroll + row * (TITLE + body + PANEL_GAP) + (row === 0 ? 0 : AXES);
    return {
      kind: n,
      series,
      title: { x, y, width: grid.width, height: TITLE },
      nameWidth: grid.width,
      body: { x, y: y + TITLE + axes, width: grid.width, height: body },
      firstColumn: column === 0,
      firstRow: row === 0,
      lastColumn: column === grid.columns - 1 || n === all.length - 1,
    };
  });
  const end = TOP + heads + grid.rows * body + (grid.rows - 1) * PANEL_GAP;
  return {
    panels,
    rowHeight,
    tokenScroll: Math.min(frame.scroll, tokenOverflow),
    tokenOverflow,
    footerTop: Math.min(end, frame.height - footer),
    contentHeight: Math.ceil(end + footer + tokenOverflow),
  };
}

/** A column of numbers at either side, where that cuts no label. */
function numbersFor(scene: Scene, request: Omit<LinesRequest, "numbers">): number {
  if (request.rowHeight < NUMBERED_ROW) return 0;
  if (onPaper(scene) && focusOf(scene).about === "all") return 0;
  const [without, beside] = [0, 1].map((numbers) => columnWidths({ ...request, numbers }));
  const same = without?.query === beside?.query && without?.key === beside?.key;
  return same && beside?.numbers.query === 1 ? 1 : 0;
}

function inputOf(
  scene: Scene,
  layout: PanelsLayout,
  panel: HeadPanel,
  focus: Focus,
  width: number,
): LinesInput {
  const { queries, keys, state } = scene;
  const request = {
    rect: panel.body,
    queries,
    keys,
    rowHeight: layout.rowHeight,
    scroll: layout.tokenScroll,
    labelSize: LABEL_SIZE,
  };
  return {
    layout: linesLayout({ ...request, numbers: numbersFor(scene, request) }),
    series: [panel.series],
    pinned: { query: state.query, key: state.key },
    aside: scene.aside,
    thinning: state,
    full: hoveredPositions(scene).query !== null && focus.about === "query",
    // One scale for all panels, or their links could not be compared.
    scale: scaleOf(layout.panels.map(({ series }) => series)),
    signed: isSigned(scene),
    focus,
    pictures: layout.panels.length,
    groups: groupFilter(scene),
    margins: {
      queries: panel.firstColumn ? groupMargin(scene, "queries", width) : 0,
      keys: panel.lastColumn ? groupMargin(scene, "keys", width) : 0,
    },
    drawing: scene.drawing,
  };
}

function drawTitle(surface: Surface, scene: Scene, panel: HeadPanel): void {
  const { title, series } = panel;
  const middle = title.y + 11;
  const swatch = { x: title.x, y: middle - 4.5, width: 9, height: 9 };
  drawSwatch(surface, swatch, series.colour, series.out);
  const style = { fill: scene.theme.text, size: 12, weight: "bold" } as const;
  surface.text(title.x + 14, middle, series.name, { ...style, maxWidth: title.width - 14 });
  const taken = 14 + textWidth(series.name, 12, "sans", "bold") + 10;
  const beside = { ...title, x: title.x + taken, width: title.width - taken };
  const read = reading(scene, { ...panel, title: beside });
  if (read) drawReading(surface, scene, { ...panel, title: beside }, read, middle);
}

/** Labels higher than their rows reach over the first row's edge by so much. */
const overhang = ({ layout }: LinesInput) =>
  Math.max(0, (LABEL_SIZE - layout.queries.axis.rowHeight) / 2);

/** What the columns are, said once: over the first panel's. */
function drawAxes(surface: Surface, scene: Scene, panel: HeadPanel, input: LinesInput): void {
  if (!(scene.drawing?.axes ?? true) || panel.kind !== 0) return;
  const { queries, keys } = input.layout;
  const half = panel.body.width / 2 - 4;
  const style = { fill: scene.theme.muted, size: LEGEND_SIZE, maxWidth: half } as const;
  const y = panel.body.y - overhang(input) - AXES / 2;
  for (const column of [queries, keys]) {
    const atQueries = column.align === "end";
    const text = headTitle(scene, column, atQueries ? "query" : "key");
    const inner = atQueries ? column.x + column.width - LABEL_PAD : column.x + LABEL_PAD;
    const { x, width } = panel.body;
    const fits = textWidth(text, LEGEND_SIZE) <= (atQueries ? inner - x : x + width - inner);
    const outer = atQueries ? x : x + width;
    const anchor = atQueries === fits ? "end" : "start";
    surface.text(fits ? inner : outer, y, text, { ...style, anchor });
  }
}

function drawPanel(
  surface: Surface,
  scene: Scene,
  layout: PanelsLayout,
  panel: HeadPanel,
  width: number,
): void {
  const input = inputOf(scene, layout, panel, focusOf(scene), width);
  const { body, title, series } = panel;
  drawTitle(surface, scene, panel);
  drawAxes(readingSurface(surface, scene, input), scene, panel, input);
  const y = body.y - overhang(input);
  surface.line(body.x, y, body.x + body.width, y, { stroke: scene.theme.rule });
  drawLines(surface, scene, input);
  const bottom = body.y + body.height;
  if (layout.tokenOverflow > 0) {
    surface.line(body.x, bottom, body.x + body.width, bottom, { stroke: scene.theme.rule });
  }
  if (seriesError(scene, [series]) === null) drawLinesState(surface, scene, input, body);
  const alone = isolatedHead(scene);
  if (alone === null || alone === series.head) return;
  const whole = { ...title, height: bottom - title.y };
  surface.rect(whole, { fill: scene.theme.background, opacity: VEIL });
}

function drawFooter(surface: Surface, scene: Scene, frame: Frame, layout: PanelsLayout): void {
  const { theme } = scene;
  const scale = linkScale(scene);
  const y = layout.footerTop + 8 + LEGEND_LINE / 2;
  const x = Math.max(0, (frame.width - sharedLegendWidth(scene, scale)) / 2);
  drawSharedLegend(surface, scene, x, y, scale);
  const [first] = layout.panels;
  const series = layout.panels.map((panel) => panel.series);
  const input = first && {
    ...inputOf(scene, layout, first, focusOf(scene), frame.width),
    series,
  };
  drawNotes(
    surface,
    fittedNotes(lineNotes(scene, input ?? null), frame.width),
    frame.width,
    y + LEGEND_LINE,
    theme,
  );
}

const inFrame = ({ title, body }: HeadPanel, layout: PanelsLayout) =>
  body.y + body.height > 0 && title.y < layout.footerTop;

export function linePanelsHeight(scene: Scene, width: number, height: number): number {
  return layoutOf(scene, { width, height, scroll: 0 }).contentHeight;
}

export function drawLinePanels(surface: Surface, scene: Scene, frame: Frame): void {
  const layout = layoutOf(scene, frame);
  const series = layout.panels.map((panel) => panel.series);
  const area: Rect = { x: 0, y: 0, width: frame.width, height: layout.footerTop };
  const draw = () => {
    for (const panel of layout.panels) {
      if (!inFrame(panel, layout)) continue;
      surface.group(panel.series.name, () => drawPanel(surface, scene, layout, panel, frame.width));
    }
  };
  surface.group("panels", draw, { clip: area });
  // Said once, not in every panel.
  const error = seriesError(scene, series);
  if (error !== null) drawFailure(surface, scene, area, error);
  if (hasLegend(scene)) drawFooter(surface, scene, frame, layout);
  drawPairCard(surface, scene, "head", series, { ...area, height: frame.height });
}

export function hitLinePanels(scene: Scene, frame: Frame, x: number, y: number): Hit | null {
  const layout = layoutOf(scene, frame);
  if (y < 0 || y >= layout.footerTop) return null;
  const focus = pinnedFocus(scene);
  for (const panel of layout.panels) {
    const hit = hitLines(scene, inputOf(scene, layout, panel, focus, frame.width), x, y);
    if (hit) return hit;
  }
  return null;
}

/** Tokens once, at the first panel in sight: the same token in another panel is the same stop. */
const MOST_STOPS = 36;

export function linePanelStops(scene: Scene, frame: Frame): readonly Stop[] {
  const layout = layoutOf(scene, frame);
  const panel = layout.panels.find((one) => inFrame(one, layout));
  if (!panel) return [];
  const input = inputOf(scene, layout, panel, pinnedFocus(scene), frame.width);
  const series = layout.panels.map((one) => one.series);
  return lineStops(scene, { ...input, series }, MOST_STOPS);
}

/** Only tokens that overflow their windows can be out of sight. */
export function revealInLinePanels(
  scene: Scene,
  frame: Frame,
  at: { query?: number; key?: number },
): number | null {
  const layout = layoutOf(scene, frame);
  const [panel] = layout.panels;
  if (!panel || layout.tokenOverflow === 0) return null;
  return revealScroll(inputOf(scene, layout, panel, pinnedFocus(scene), frame.width).layout, at);
}
