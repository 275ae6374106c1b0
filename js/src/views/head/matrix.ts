// Head view as heat maps, one for each head.

import {
  drawDivergingLegend,
  drawNotes,
  drawSequentialLegend,
  drawSwatch,
  LEGEND_BAR,
  LEGEND_LINE,
  LEGEND_SIZE,
} from "../../marks/legends/legend.js";
import { cellAt, cellRect, indicesIn, type MatrixCells } from "../../marks/matrix/cells.js";
import { indexOf } from "../../marks/text/tokens.js";
import type { MapWindow } from "../../protocol/generated.js";
import { filterNotes } from "../../scene/groups.js";
import { hasLegend, onPaper, type Scene } from "../../scene/scene.js";
import type { Gesture, Hit, Point } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth, wrapNote } from "../../surface/text.js";
import {
  drawMapChrome,
  hitMapChrome,
  type MapPlace,
  mapAfter,
  mapRevealing,
  mapStops,
} from "../map/controls.js";
import { type MapScale, mapScale, scaleTitle } from "../map/scale.js";
import { cellsOf, isZoomed } from "../map/window.js";
import { type Multiples, multiplesHeight, multiplesLayout, pictureAt } from "../matrix/layout.js";
import { cellValue, drawHeat, drawHeatLabels, levelOf, shadeNotes } from "../matrix/matrix.js";
import { drawFailure } from "../shared/failure.js";
import { matrixMargins } from "../shared/groups.js";
import { isSigned, measureNotes, measureTitle } from "../shared/measure.js";
import { drawPairCard } from "../shared/pair-card.js";
import {
  headSeries,
  isolatedHead,
  keyName,
  queryName,
  type Series,
  scaleOf,
  seriesError,
} from "../shared/series.js";
import type { Frame, Stop } from "../view.js";

const TOP = 4;
const TITLE = 22;
const MIN_SIDE = 104;

const notes = (scene: Scene, level = 0) => [
  ...shadeNotes(scene, level),
  ...measureNotes(scene, scaleOf(headSeries(scene, { isolate: false }))),
  ...filterNotes(scene),
];

/** More tokens than this are too many to list. */
const MOST_LISTED = 64;

/** Whether tokens are listed that have no label at the edges: of a figure nobody can ask with a pointer. */
function listsTokens(scene: Scene): boolean {
  const { queries, keys, drawing } = scene;
  if (!onPaper(scene) || !hasLegend(scene) || drawing?.panel) return false;
  return Math.max(queries.length, keys.length) <= MOST_LISTED;
}

/** Which token each number at the edges is. */
function listedTokens({ queries, keys }: Scene, width: number): readonly string[] {
  const list = (positions: Scene["keys"]) =>
    positions.map(({ label }, at) => `${indexOf(positions, at)} ${label}`).join("   ");
  const said =
    queries === keys ? [list(keys)] : [`queries: ${list(queries)}`, `keys: ${list(keys)}`];
  return said.flatMap((text) => wrapNote(text, width - 8, LEGEND_SIZE));
}

function footerHeight(scene: Scene, listed: number): number {
  if (!hasLegend(scene)) return 4;
  return 10 + LEGEND_BAR + LEGEND_LINE * (notes(scene).length + listed);
}

/** The lines that list the tokens, as many as there are when that takes nothing from the pictures. */
function listedIn(scene: Scene, width: number, height: number): readonly string[] {
  if (!listsTokens(scene)) return [];
  const { rowsNamed, columnsNamed } = layoutWith(scene, width, height, 0);
  return rowsNamed && columnsNamed ? [] : listedTokens(scene, width);
}

function layoutOf(scene: Scene, width: number, height: number): Multiples {
  return layoutWith(scene, width, height, listedIn(scene, width, height).length);
}

function layoutWith(scene: Scene, width: number, height: number, listed: number): Multiples {
  const { queries, keys, state } = scene;
  const free = height - TOP - footerHeight(scene, listed);
  return multiplesLayout({
    count: state.heads.length,
    title: TITLE,
    minSide: MIN_SIDE,
    queries,
    keys,
    width,
    height: free,
    still: onPaper(scene) && !isZoomed(scene),
    margins: matrixMargins(scene, width),
  });
}

export function headMatrixHeight(scene: Scene, width: number, height: number): number {
  const layout = layoutOf(scene, width, height);
  const listed = listedIn(scene, width, height).length;
  const pictures = multiplesHeight(layout, scene.state.heads.length);
  return Math.ceil(TOP + pictures + footerHeight(scene, listed));
}

interface HeadPicture {
  readonly series: Series;
  readonly place: ReturnType<typeof pictureAt>;
}

function pictures(scene: Scene, frame: Frame): { layout: Multiples; all: readonly HeadPicture[] } {
  const layout = layoutOf(scene, frame.width, frame.height);
  const top = TOP - frame.scroll;
  const all = headSeries(scene, { isolate: false }).map((series, n) => ({
    series,
    place: pictureAt(layout, n, top),
  }));
  return { layout, all };
}

/** Below the pictures where they end early, at the frame's edge where they scroll. */
function footerTop(scene: Scene, frame: Frame, layout: Multiples): number {
  const end = TOP + multiplesHeight(layout, scene.state.heads.length);
  const listed = listedIn(scene, frame.width, frame.height).length;
  return Math.min(end, frame.height - footerHeight(scene, listed));
}

function drawTitle(surface: Surface, scene: Scene, { series, place }: HeadPicture): void {
  if (scene.drawing?.panel) return;
  const { rect } = place;
  const middle = place.titleTop + TITLE / 2;
  const swatch = { x: rect.x, y: middle - 4.5, width: 9, height: 9 };
  drawSwatch(surface, swatch, series.colour, series.out);
  surface.text(rect.x + 14, middle, series.name, {
    fill: scene.theme.text,
    size: 12,
    weight: "bold",
    maxWidth: rect.width - 14,
  });
}

/** Which axis is which, in the corner between the labels. */
function drawCorner(
  surface: Surface,
  scene: Scene,
  layout: Multiples,
  { rect, titleTop }: HeadPicture["place"],
) {
  const style = { fill: scene.theme.muted, size: 10, anchor: "end" } as const;
  // A cut word would say less than none: rows and columns are the same way round in every picture.
  const say = (text: string, y: number) => {
    if (textWidth(text, style.size) <= rect.x - 6) surface.text(rect.x - 6, y, text, style);
  };
  say("key →", titleTop + TITLE / 2 + 1);
  // Indices stand level, and the first of them reaches over the corner.
  if (layout.columnRoom > 20) say("query ↓", rect.y - (layout.columnsNamed ? 9 : 26));
}

function drawPicture(
  surface: Surface,
  scene: Scene,
  layout: Multiples,
  picture: HeadPicture,
  scale: number | undefined,
): void {
  const { series, place } = picture;
  const { rect } = place;
  const cells = cellsOf(rect, scene);
  drawTitle(surface, scene, picture);
  const named = scene.drawing?.axes ?? true;
  if (named && place.firstColumn && place.firstRow) drawCorner(surface, scene, layout, place);
  drawHeatLabels(surface, scene, cells, layout, place);
  drawHeat(surface, scene, series, cells, { count: scene.state.heads.length, scale });
  const alone = isolatedHead(scene);
  if (alone !== null && alone !== series.head && scene.state.heads.includes(alone)) {
    surface.rect(rect, { fill: scene.theme.background, opacity: 0.75 });
  }
}

/** What the pictures share of the map: its buttons, minimap and markers. */
function mapPlace(
  scene: Scene,
  frame: Frame,
  { layout, all }: ReturnType<typeof pictures>,
): MapPlace | null {
  const first = all[0];
  const last = all[Math.min(all.length, layout.columns) - 1];
  if (!first || !last) return null;
  return {
    first: cellsOf(first.place.rect, scene),
    last: cellsOf(last.place.rect, scene),
    rowRoom: layout.rowRoom,
    columnRoom: layout.columnRoom,
    width: frame.width,
    head: first.series,
  };
}

function drawFooter(
  surface: Surface,
  scene: Scene,
  available: number,
  bottom: number,
  level: number,
  scale: MapScale,
  listed: readonly string[],
): void {
  const title = scaleTitle(measureTitle(scene), scale);
  const width = Math.min(available - 8, 290 + textWidth(title, LEGEND_SIZE));
  const left = Math.max(4, (available - width) / 2);
  const y = bottom + 10;
  const bar = { x: left, y, width, title };
  if (isSigned(scene)) drawDivergingLegend(surface, bar, scale.end ?? 1, scene.theme);
  else drawSequentialLegend(surface, bar, scene.theme, scale);
  const below = y + LEGEND_BAR + LEGEND_LINE / 2 - 2;
  drawNotes(surface, [...notes(scene, level), ...listed], available, below, scene.theme);
}

export function drawHeadMatrix(surface: Surface, scene: Scene, frame: Frame): void {
  const found = pictures(scene, frame);
  const { layout, all } = found;
  const bottom = footerTop(scene, frame, layout);
  const body: Rect = { x: 0, y: 0, width: frame.width, height: bottom };
  const place = mapPlace(scene, frame, found);
  const level = place ? levelOf(scene, place.first, surface.scale) : 0;
  const heads = all.map(({ series }) => series);
  const error = seriesError(scene, heads);
  const scale = mapScale(scene, heads, scene.state.heads.length);
  const draw = () => {
    for (const picture of all) {
      const { rect } = picture.place;
      // A title and the labels stand above the picture.
      const above = rect.y - layout.columnRoom - (layout.margins?.column ?? 0) - 30;
      if (above < bottom && rect.y + rect.height > 0) {
        surface.group(picture.series.name, () =>
          drawPicture(surface, scene, layout, picture, scale.end),
        );
      }
    }
    if (place) drawMapChrome(surface, scene, place);
  };
  // A pixel more: half of the last frame's line lies beyond its edge.
  surface.group("matrices", draw, { clip: { ...body, height: bottom + 1 } });
  if (error !== null) drawFailure(surface, scene, body, error);
  if (hasLegend(scene)) {
    const listed = listedIn(scene, frame.width, frame.height);
    drawFooter(surface, scene, frame.width, bottom, level, scale, listed);
  }
  const bounds = { x: 0, y: 0, width: frame.width, height: frame.height };
  drawPairCard(surface, scene, "head", heads, bounds, {
    level,
    value: (series, query, key) =>
      cellValue(scene, series, level, { query, key, count: scene.state.heads.length }),
  });
}

export function hitHeadMatrix(scene: Scene, frame: Frame, x: number, y: number): Hit | null {
  const found = pictures(scene, frame);
  const { layout, all } = found;
  if (y < 0 || y >= footerTop(scene, frame, layout)) return null;
  const own = mapPlace(scene, frame, found);
  const hit = own && hitMapChrome(scene, own, x, y);
  if (hit) return hit;
  for (const { series, place } of all) {
    const cells = cellsOf(place.rect, scene);
    const cell = cellAt(cells, x, y);
    if (cell) return { layer: series.layer, head: series.head, query: cell.row, key: cell.column };
    const { rect } = place;
    // Labels answer like the row or the column they name.
    if (place.firstColumn && x >= rect.x - layout.rowRoom && x < rect.x) {
      const row = cellAt(cells, rect.x, y);
      if (row) return { query: row.row };
    }
    if (place.firstRow && y >= rect.y - layout.columnRoom && y < rect.y) {
      const column = cellAt(cells, x, rect.y);
      if (column) return { key: column.column };
    }
  }
  return null;
}

/** The first picture's cells, of which all the others are as many and as large. */
function firstCells(scene: Scene, frame: Frame): MatrixCells | null {
  return mapPlace(scene, frame, pictures(scene, frame))?.first ?? null;
}

export function gestureOnHeadMatrix(
  scene: Scene,
  frame: Frame,
  at: Point | null,
  gesture: Gesture,
): MapWindow | null | undefined {
  const { layout, all } = pictures(scene, frame);
  if (at && at.y >= footerTop(scene, frame, layout)) return undefined;
  const under = at ? all.find(({ place }) => contains(place.rect, at.x, at.y)) : all[0];
  return under && mapAfter(scene, cellsOf(under.place.rect, scene), gesture, at);
}

export function revealOnHeadMatrix(
  scene: Scene,
  frame: Frame,
  at: { query?: number; key?: number },
): MapWindow | null | undefined {
  const cells = firstCells(scene, frame);
  return cells ? mapRevealing(scene, cells, at) : undefined;
}

/** So many queries and keys in sight once, at the first picture; with more, arrows and pins are quicker. */
const MOST_STOPS = 36;
/** From this many pairs on a query's name says nothing of where it looks: its row may not be here. */
const NAMED_PAIRS = 1 << 20;

export function headMatrixStops(scene: Scene, frame: Frame): readonly Stop[] {
  const found = pictures(scene, frame);
  const { layout, all } = found;
  const place = mapPlace(scene, frame, found);
  if (!place) return [];
  const cells = place.first;
  const { rect } = cells;
  const named = scene.queries.length * scene.keys.length <= NAMED_PAIRS;
  const inSight = (sight: readonly [number, number]) => {
    const [start, stop] = indicesIn(sight);
    return Array.from({ length: Math.min(MOST_STOPS, stop - start) }, (_, n) => start + n);
  };
  const queries = inSight(cells.down).map((query) => {
    const { y, height } = cellRect(cells, query, 0);
    return {
      query,
      name: queryName(scene, named ? all.map(({ series }) => series) : [], query),
      rect: { x: rect.x - layout.rowRoom, y, width: layout.rowRoom, height },
    };
  });
  const keys = inSight(cells.across).map((key) => {
    const { x, width } = cellRect(cells, 0, key);
    const name = keyName(scene, key);
    return {
      key,
      name,
      rect: { x, y: rect.y - layout.columnRoom, width, height: layout.columnRoom },
    };
  });
  const tokens = [...queries, ...keys].filter(
    ({ rect: { x, width } }) => x + width / 2 >= 0 && x + width / 2 <= rect.x + rect.width,
  );
  return [...mapStops(scene, place), ...tokens].filter(
    ({ rect: { y, height } }) => y >= 0 && y + height <= frame.height,
  );
}
