// Compare view's panels of links, and its panels of matrices.

import { cellAt, cellRect, indicesIn } from "../../marks/matrix/cells.js";
import { hasLegend, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { revealScroll } from "../lines/layout.js";
import { hitLines, lineStops } from "../lines/lines.js";
import type { LinesInput } from "../lines/links.js";
import {
  drawMapChrome,
  hitMapChrome,
  type MapPlace,
  mapAfter,
  mapRevealing,
  mapStops,
} from "../map/controls.js";
import { cellsOf } from "../map/window.js";
import { pinnedFocus, queryName } from "../shared/series.js";
import type { Frame, Stop, View } from "../view.js";
import {
  type CompareLayout,
  type ComparePanel,
  comparedSeries,
  compareLayout,
  DIFFERENCE,
} from "./layout.js";
import { badgeRect, closeRect, drawCompareFooter, drawPanel, panelLines } from "./panels.js";

type Form = Omit<View, "name">;

/** Tokens once, at the first panel: the same token in another panel is the same stop. */
const MOST_TOKENS = 24;

const inFrame = ({ y, height }: Rect, layout: CompareLayout) =>
  y + height > 0 && y < layout.footerTop;

const contentHeight: Form["contentHeight"] = (scene, width, height) =>
  compareLayout(scene, { width, height, scroll: 0 }).contentHeight;

function panelName({ kind, series }: ComparePanel): string {
  return kind === "difference" ? `difference ${DIFFERENCE}` : (series?.name ?? "head");
}

/** The panels in the frame, what belongs to all of them, and the footer below. */
function drawPanels(
  surface: Surface,
  scene: Scene,
  frame: Frame,
  layout: CompareLayout,
  chrome?: () => void,
): void {
  const draw = () => {
    for (const panel of layout.panels) {
      const { title, body } = panel;
      const whole = { ...title, height: body.y + body.height - title.y };
      if (!inFrame(whole, layout)) continue;
      surface.group(panelName(panel), () => drawPanel(surface, scene, layout, panel));
    }
    chrome?.();
  };
  const clip = { x: 0, y: 0, width: frame.width, height: layout.footerTop };
  surface.group("panels", draw, { clip });
  if (hasLegend(scene)) drawCompareFooter(surface, scene, frame.width, layout);
}

function hitTitle(panel: ComparePanel, x: number, y: number): Hit | null {
  if (!panel.series || !contains(panel.title, x, y)) return null;
  const { layer, head } = panel.series;
  if (contains(closeRect(panel), x, y)) return { layer, head, action: "unpin-head" };
  // The first is first already: its badge does nothing.
  if (panel.kind === 0 || !contains(badgeRect(panel), x, y)) return null;
  return { layer, head, action: "make-first" };
}

/** What lies at a point of the panels: in their titles, or in what is drawn below. */
function hitPanels(
  scene: Scene,
  { panels }: CompareLayout,
  x: number,
  y: number,
  hitBody: (panel: ComparePanel) => Hit | null,
): Hit | null {
  for (const panel of panels) {
    const hit = (scene.sides ? null : hitTitle(panel, x, y)) ?? hitBody(panel);
    if (hit) return hit;
  }
  return null;
}

/** Badges and crosses of every panel in the frame, for the keyboard; of two records there are none. */
function titleStops({ sides }: Scene, layout: CompareLayout): readonly Stop[] {
  if (sides) return [];
  return layout.panels.flatMap((panel): readonly Stop[] => {
    if (!panel.series || !inFrame(panel.title, layout)) return [];
    const { layer, head, name } = panel.series;
    const unpin = { layer, head, action: "unpin-head", rect: closeRect(panel) } as const;
    const first = { layer, head, action: "make-first", rect: badgeRect(panel) } as const;
    return [
      ...(panel.kind === 0 ? [] : [{ ...first, name: `Make ${name} the first` }]),
      { ...unpin, name: `Unpin ${name}` },
    ];
  });
}

/** A panel's links as they are hit and named: what the pointer is on changes nothing in that. */
function restingLines(scene: Scene, layout: CompareLayout, panel: ComparePanel): LinesInput {
  return panelLines(scene, layout, panel, pinnedFocus(scene));
}

/** Pinned heads as links, side by side. */
export const linesForm: Form = {
  contentHeight,

  draw(surface, scene, frame) {
    drawPanels(surface, scene, frame, compareLayout(scene, frame));
  },

  hit(scene, frame, x, y) {
    const layout = compareLayout(scene, frame);
    if (y >= layout.footerTop) return null;
    return hitPanels(scene, layout, x, y, (panel) =>
      hitLines(scene, restingLines(scene, layout, panel), x, y),
    );
  },

  reveal(scene, frame, at) {
    const layout = compareLayout(scene, frame);
    const panel = layout.panels[0];
    // Only tokens that overflow their windows can be out of sight.
    if (!panel || layout.tokenOverflow === 0) return null;
    return revealScroll(restingLines(scene, layout, panel).layout, at);
  },

  stops(scene, frame) {
    const layout = compareLayout(scene, frame);
    const titles = titleStops(scene, layout);
    const panel = layout.panels.find(({ body }) => inFrame(body, layout));
    if (!panel) return titles;
    const input = { ...restingLines(scene, layout, panel), series: comparedSeries(scene) };
    return [...titles, ...lineStops(scene, input, MOST_TOKENS)];
  },
};

function hitMatrix(scene: Scene, layout: CompareLayout, panel: ComparePanel, x: number, y: number) {
  const { body, series } = panel;
  const cells = cellsOf(body, scene);
  const cell = cellAt(cells, x, y);
  if (cell) {
    const owner = series ? { layer: series.layer, head: series.head } : {};
    return { ...owner, query: cell.row, key: cell.column };
  }
  const { rowRoom = 0, columnRoom = 0 } = layout.matrices ?? {};
  if (panel.firstColumn && contains({ ...body, x: body.x - rowRoom, width: rowRoom }, x, y)) {
    const row = cellAt(cells, body.x, y);
    return row ? { query: row.row } : null;
  }
  if (panel.firstRow && contains({ ...body, y: body.y - columnRoom, height: columnRoom }, x, y)) {
    const column = cellAt(cells, x, body.y);
    return column ? { key: column.column } : null;
  }
  return null;
}

/** Where the map's buttons, minimap and markers stand. */
function mapPlace(scene: Scene, frame: Frame, layout: CompareLayout): MapPlace | null {
  const { matrices, panels } = layout;
  const [first] = panels;
  const last = panels[Math.min(panels.length, matrices?.columns ?? 1) - 1];
  if (!matrices || !first || !last) return null;
  return {
    first: cellsOf(first.body, scene),
    last: cellsOf(last.body, scene),
    rowRoom: matrices.rowRoom,
    columnRoom: matrices.columnRoom,
    width: frame.width,
    head: first.series,
  };
}

function rowStops(scene: Scene, layout: CompareLayout): readonly Stop[] {
  const panel = layout.panels.find(({ body }) => inFrame(body, layout));
  if (!panel) return [];
  const cells = cellsOf(panel.body, scene);
  const { rowRoom = 0 } = layout.matrices ?? {};
  const [start, stop] = indicesIn(cells.down);
  const count = Math.min(MOST_TOKENS, stop - start);
  return Array.from({ length: count }, (_, n) => {
    const query = start + n;
    const { y, height } = cellRect(cells, query, 0);
    const name = queryName(scene, [], query);
    return { query, name, rect: { x: panel.body.x - rowRoom, y, width: rowRoom, height } };
  });
}

/** Pinned heads as matrices, side by side under one map. */
export const matrixForm: Form = {
  contentHeight,

  draw(surface, scene, frame) {
    const layout = compareLayout(scene, frame);
    const place = mapPlace(scene, frame, layout);
    drawPanels(surface, scene, frame, layout, () => place && drawMapChrome(surface, scene, place));
  },

  hit(scene, frame, x, y) {
    const layout = compareLayout(scene, frame);
    if (y >= layout.footerTop) return null;
    const place = mapPlace(scene, frame, layout);
    const own = place && hitMapChrome(scene, place, x, y);
    if (own) return own;
    return hitPanels(scene, layout, x, y, (panel) => hitMatrix(scene, layout, panel, x, y));
  },

  revealOnMap(scene, frame, at) {
    const place = mapPlace(scene, frame, compareLayout(scene, frame));
    return place ? mapRevealing(scene, place.first, at) : undefined;
  },

  gesture(scene, frame, at, gesture) {
    const layout = compareLayout(scene, frame);
    if (at && at.y >= layout.footerTop) return undefined;
    const under = at
      ? layout.panels.find(({ body }) => contains(body, at.x, at.y))
      : layout.panels[0];
    return under && mapAfter(scene, cellsOf(under.body, scene), gesture, at);
  },

  stops(scene, frame) {
    const layout = compareLayout(scene, frame);
    const place = mapPlace(scene, frame, layout);
    const map = place ? mapStops(scene, place) : [];
    return [...titleStops(scene, layout), ...map, ...rowStops(scene, layout)];
  },
};
