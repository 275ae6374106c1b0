// Compare view: pinned heads side by side, or one head of two records.

import { cellAt, cellRect, indicesIn } from "../../marks/matrix/cells.js";
import { drawNotice } from "../../marks/notice.js";
import { hasLegend, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { drawGroups, groupsHeight, groupsStops, hitGroups } from "../groups/matrices.js";
import { revealScroll } from "../lines/layout.js";
import { hitLines, lineStops } from "../lines/lines.js";
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
  comparedCount,
  comparedSeries,
  compareLayout,
  DIFFERENCE,
} from "./layout.js";
import { badgeRect, closeRect, drawCompareFooter, drawPanel, panelLines } from "./panels.js";

const HOW_TO_PIN =
  "Heads of different layers: shift-click them among the heads, or press C for each in turn.";
const EMPTY_HEIGHT = 130;
const BUTTON_HEIGHT = 34;

/** "Compare heads 0–3 of layer 2" */
function offerText({ state }: Scene): string {
  const heads = [...state.heads].sort((a, b) => a - b);
  const [first = 0, last = 0] = [heads[0], heads.at(-1)];
  const row = heads.length > 2 && last - first === heads.length - 1;
  const which = row ? `${first}–${last}` : heads.join(", ");
  return `Compare ${heads.length === 1 ? "head" : "heads"} ${which} of layer ${state.layer}`;
}

/** The one button of an empty comparison; a figure has none. */
function offerRect(scene: Scene, width: number): Rect | null {
  if (scene.drawing || scene.state.heads.length === 0) return null;
  const wide = Math.min(
    width - 16,
    Math.ceil(textWidth(offerText(scene), 14, "sans", "bold")) + 40,
  );
  return { x: (width - wide) / 2, y: 24, width: wide, height: BUTTON_HEIGHT };
}

function drawEmpty(surface: Surface, scene: Scene, frame: Frame): void {
  const { theme } = scene;
  const offer = offerRect(scene, frame.width);
  const top = offer ? offer.y + offer.height : 0;
  if (offer) {
    surface.rect(offer, { fill: theme.accent, radius: 5 });
    surface.text(offer.x + offer.width / 2, offer.y + offer.height / 2, offerText(scene), {
      fill: theme.accentText,
      size: 14,
      weight: "bold",
      anchor: "middle",
      maxWidth: offer.width - 8,
    });
  }
  const below = { x: 0, y: top, width: frame.width, height: EMPTY_HEIGHT - top };
  drawNotice(surface, below, HOW_TO_PIN, theme.muted);
}

const inFrame = ({ y, height }: Rect, layout: CompareLayout) =>
  y + height > 0 && y < layout.footerTop;

function panelName({ kind, series }: ComparePanel): string {
  return kind === "difference" ? `difference ${DIFFERENCE}` : (series?.name ?? "head");
}

function hitTitle(panel: ComparePanel, x: number, y: number): Hit | null {
  if (!panel.series) return null;
  const { layer, head } = panel.series;
  if (contains(closeRect(panel), x, y)) return { layer, head, action: "unpin-head" };
  // The first is first already: its badge does nothing.
  if (panel.kind === 0 || !contains(badgeRect(panel), x, y)) return null;
  return { layer, head, action: "make-first" };
}

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

/** Where the map's buttons, minimap and markers stand; null where links are drawn. */
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

/** Badges and crosses of every panel in the frame, for the keyboard. */
function titleStops(layout: CompareLayout): readonly Stop[] {
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

/** Tokens once, at the first panel: the same token in another panel is the same stop. */
const MOST_TOKENS = 24;

function tokenStops(scene: Scene, layout: CompareLayout): readonly Stop[] {
  const panel = layout.panels.find(({ body }) => inFrame(body, layout));
  if (!panel) return [];
  if (layout.matrices) {
    const cells = cellsOf(panel.body, scene);
    const { rowRoom } = layout.matrices;
    const [start, stop] = indicesIn(cells.down);
    const count = Math.min(MOST_TOKENS, stop - start);
    return Array.from({ length: count }, (_, n) => {
      const query = start + n;
      const { y, height } = cellRect(cells, query, 0);
      const name = queryName(scene, [], query);
      return { query, name, rect: { x: panel.body.x - rowRoom, y, width: rowRoom, height } };
    });
  }
  const input = panelLines(scene, layout, panel, pinnedFocus(scene));
  return lineStops(scene, { ...input, series: comparedSeries(scene) }, MOST_TOKENS);
}

/** Shares of groups are drawn as matrices, also where the head view has their profile. */
const sharesGroups = ({ state }: Scene) => state.form === "groups" || state.form === "profile";

/** Pinned heads of any layers side by side, on the same tokens and under the same pointer. */
export const compareView: View = {
  name: "compare",

  contentHeight(scene, width, height) {
    if (comparedCount(scene) === 0) return EMPTY_HEIGHT;
    if (sharesGroups(scene)) return groupsHeight(scene, width, height, "compare");
    return compareLayout(scene, { width, height, scroll: 0 }).contentHeight;
  },

  draw(surface, scene, frame) {
    const all = { x: 0, y: 0, width: frame.width, height: frame.height };
    if (comparedCount(scene) === 0) {
      drawEmpty(surface, scene, frame);
      return;
    }
    if (sharesGroups(scene)) {
      drawGroups(surface, scene, frame, "compare");
      return;
    }
    const layout = compareLayout(scene, frame);
    const draw = () => {
      for (const panel of layout.panels) {
        const { title, body } = panel;
        const whole = { ...title, height: body.y + body.height - title.y };
        if (!inFrame(whole, layout)) continue;
        surface.group(panelName(panel), () => drawPanel(surface, scene, layout, panel));
      }
      const place = mapPlace(scene, frame, layout);
      if (place) drawMapChrome(surface, scene, place);
    };
    surface.group("panels", draw, { clip: { ...all, height: layout.footerTop } });
    if (hasLegend(scene)) drawCompareFooter(surface, scene, frame.width, layout);
  },

  hit(scene, frame, x, y) {
    if (comparedCount(scene) === 0) {
      const offer = offerRect(scene, frame.width);
      return offer && contains(offer, x, y) ? { action: "compare-selected" } : null;
    }
    if (sharesGroups(scene)) return hitGroups(scene, frame, x, y, "compare");
    const layout = compareLayout(scene, frame);
    if (y >= layout.footerTop) return null;
    const place = mapPlace(scene, frame, layout);
    const own = place && hitMapChrome(scene, place, x, y);
    if (own) return own;
    for (const panel of layout.panels) {
      if (!scene.sides && contains(panel.title, x, y)) {
        const hit = hitTitle(panel, x, y);
        if (hit) return hit;
      }
      const hit = layout.matrices
        ? hitMatrix(scene, layout, panel, x, y)
        : hitLines(scene, panelLines(scene, layout, panel, pinnedFocus(scene)), x, y);
      if (hit) return hit;
    }
    return null;
  },

  reveal(scene, frame, at) {
    if (comparedCount(scene) === 0 || scene.state.form === "matrix") return null;
    if (sharesGroups(scene)) return null;
    return revealToken(scene, frame, at);
  },

  revealOnMap(scene, frame, at) {
    if (comparedCount(scene) === 0 || sharesGroups(scene)) return undefined;
    const place = mapPlace(scene, frame, compareLayout(scene, frame));
    return place ? mapRevealing(scene, place.first, at) : undefined;
  },

  gesture(scene, frame, at, gesture) {
    if (comparedCount(scene) === 0 || sharesGroups(scene)) return undefined;
    const layout = compareLayout(scene, frame);
    if (!layout.matrices || (at && at.y >= layout.footerTop)) return undefined;
    const under = at
      ? layout.panels.find(({ body }) => contains(body, at.x, at.y))
      : layout.panels[0];
    return under && mapAfter(scene, cellsOf(under.body, scene), gesture, at);
  },

  stops(scene, frame) {
    if (comparedCount(scene) === 0) {
      const rect = offerRect(scene, frame.width);
      return rect ? [{ rect, action: "compare-selected", name: offerText(scene) }] : [];
    }
    if (sharesGroups(scene)) return groupsStops(scene, frame, "compare");
    const layout = compareLayout(scene, frame);
    const place = mapPlace(scene, frame, layout);
    return [
      ...(scene.sides ? [] : titleStops(layout)),
      ...(place ? mapStops(scene, place) : []),
      ...tokenStops(scene, layout),
    ];
  },
};

/** Only tokens that overflow their windows can be out of sight. */
function revealToken(scene: Scene, frame: Frame, at: { query?: number; key?: number }) {
  const layout = compareLayout(scene, frame);
  const panel = layout.panels[0];
  if (!panel || layout.tokenOverflow === 0) return null;
  return revealScroll(panelLines(scene, layout, panel, pinnedFocus(scene)).layout, at);
}
