// A map's buttons, minimap and markers: drawing, hits, gestures.

import { thumbnailPixels } from "../../marks/heads/thumbnails.js";
import {
  blockRect,
  cellHeight,
  cellWidth,
  type MatrixCells,
  placeAt,
  sideOf,
  wholeCells,
} from "../../marks/matrix/cells.js";
import {
  BUTTON,
  drawButton,
  drawEdgeMarker,
  drawMinimap,
  MARKER_ROOM,
  MARKER_SIZE,
  type Sign,
  type Way,
} from "../../marks/matrix/minimap.js";
import { memo } from "../../marks/memo.js";
import { labelOf } from "../../marks/text/tokens.js";
import type { MapWindow } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import type { Gesture, Hit, Point } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { thumbnailShading } from "../shared/aside.js";
import type { Stop } from "../view.js";
import { afterGesture, centred, isZoomed, LARGEST_CELL, sameSight, windowOf } from "./window.js";

/** A step of a button or a key. */
const STEP = 2;
const GAP = 2;
/** Height of a marker, and the most of its label. */
const MARKER = 15;
const MARKER_WIDTH = 96;
const MINIMAP = { least: 36, most: 110, share: 0.28 } as const;

/** The pictures that carry what belongs to the map: labels at the first, and the last one beside it. */
export interface MapPlace {
  readonly first: MatrixCells;
  readonly last: MatrixCells;
  readonly rowRoom: number;
  readonly columnRoom: number;
  /** Of the frame. */
  readonly width: number;
  /** Whose thumbnail is all of the map. */
  readonly head: { readonly layer: number; readonly head: number } | null;
}

interface Button {
  readonly rect: Rect;
  readonly sign: Sign;
  /** Undefined where it would change nothing. */
  readonly to: MapWindow | null | undefined;
}

const NAMES: Readonly<Record<Sign, string>> = {
  in: "Zoom in",
  out: "Zoom out",
  fit: "Show the whole matrix",
};

const GESTURES: Readonly<Record<Sign, Gesture>> = {
  in: { kind: "zoom", factor: STEP },
  out: { kind: "zoom", factor: 1 / STEP },
  fit: { kind: "fit" },
};

/** The window after a gesture; undefined where it changes nothing. */
export function mapAfter(
  scene: Scene,
  cells: MatrixCells,
  gesture: Gesture,
  at: Point | null,
): MapWindow | null | undefined {
  const sight = afterGesture(cells, gesture, at);
  return sameSight(sight, cells) ? undefined : windowOf(scene, sight);
}

/** In the corner of the panel: over no label. */
function buttons(scene: Scene, { first, width }: MapPlace): readonly Button[] {
  return (["in", "out", "fit"] as const).map((sign, n) => ({
    sign,
    rect: {
      x: width - (3 - n) * (BUTTON + GAP),
      y: GAP,
      width: BUTTON,
      height: BUTTON,
    },
    to:
      sign === "in" && Math.min(cellWidth(first), cellHeight(first)) >= LARGEST_CELL - 0.01
        ? undefined
        : mapAfter(scene, first, GESTURES[sign], null),
  }));
}

/** Beside the last picture where there is room, else in its corner: in a causal one nothing is there. */
function minimapRect({ last, width }: MapPlace): Rect {
  const { rect } = last;
  const most = Math.max(rect.width, rect.height);
  const size = Math.min(rect.width, rect.height) * MINIMAP.share;
  const factor = Math.max(MINIMAP.least, Math.min(MINIMAP.most, size)) / most;
  const wide = Math.max(14, rect.width * factor);
  const high = Math.max(14, rect.height * factor);
  const right = rect.x + rect.width;
  const x = right + 12 + wide + 4 <= width ? right + 12 : right - wide - 8;
  return { x, y: rect.y + 8, width: wide, height: high };
}

interface PinMarker {
  readonly rect: Rect;
  readonly way: Way;
  readonly label: string;
  readonly to: MapWindow | null;
}

/** The pinned positions nearest to the window on either side of it. */
function outside(
  pins: readonly number[],
  sight: readonly [number, number],
): { readonly before: number | null; readonly behind: number | null } {
  const before = pins.filter((pin) => sideOf(sight, pin) < 0);
  const behind = pins.filter((pin) => sideOf(sight, pin) > 0);
  return {
    before: before.length > 0 ? Math.max(...before) : null,
    behind: behind.length > 0 ? Math.min(...behind) : null,
  };
}

function markers(scene: Scene, place: MapPlace): readonly PinMarker[] {
  const { first, rowRoom } = place;
  const { state, queries, keys } = scene;
  const { x, y, width, height } = first.rect;
  const found: PinMarker[] = [];
  const rows = outside(state.queries, first.down);
  const row = (way: Way, query: number | null, top: number) => {
    if (query === null) return;
    const rect = { x: x - rowRoom, y: top, width: rowRoom - 2, height: MARKER };
    const to = windowOf(scene, centred(first, { query }));
    found.push({ rect, way, label: labelOf(queries, query), to });
  };
  row("up", rows.before, y);
  row("down", rows.behind, y + height - MARKER);
  const columns = outside(state.keys, first.across);
  const most = Math.min(MARKER_WIDTH, width / 2 - 2);
  const column = (way: Way, key: number | null) => {
    if (key === null) return;
    const label = labelOf(keys, key);
    const wide = Math.min(most, textWidth(label, MARKER_SIZE) + MARKER_ROOM);
    const left = way === "left" ? x : x + width - wide;
    const rect = { x: left, y: y - MARKER - 2, width: wide, height: MARKER };
    found.push({ rect, way, label, to: windowOf(scene, centred(first, { key })) });
  };
  column("left", columns.before);
  column("right", columns.behind);
  return found;
}

/** Buttons, minimap and markers; a figure has none of them. */
export function drawMapChrome(surface: Surface, scene: Scene, place: MapPlace): void {
  if (scene.drawing) return;
  const { theme, thumbnails } = scene;
  for (const { rect, sign, to } of buttons(scene, place)) {
    drawButton(surface, rect, sign, to !== undefined, theme);
  }
  if (!isZoomed(scene)) return;
  for (const { rect, way, label } of markers(scene, place)) {
    drawEdgeMarker(surface, rect, way, label, theme);
  }
  const rect = minimapRect(place);
  const { first, head } = place;
  const thumbnail = head && !scene.together ? thumbnails.get(head.layer, head.head) : null;
  const { aside } = scene;
  const pixels =
    thumbnail &&
    memo(thumbnails, `minimap ${head?.layer}.${head?.head} ${aside.id} ${theme.id}`, () =>
      thumbnailPixels(thumbnail, thumbnailShading(scene)),
    );
  const sight = blockRect(wholeCells(rect, first.rows, first.columns), first.down, first.across);
  drawMinimap(surface, rect, pixels, sight, theme);
}

/** What of the map's own is under a point. */
export function hitMapChrome(scene: Scene, place: MapPlace, x: number, y: number): Hit | null {
  if (scene.drawing) return null;
  for (const { rect, to } of buttons(scene, place)) {
    if (contains(rect, x, y)) return to === undefined ? {} : { map: to };
  }
  if (!isZoomed(scene)) return null;
  const rect = minimapRect(place);
  if (contains(rect, x, y)) {
    const { first } = place;
    const at = placeAt(wholeCells(rect, first.rows, first.columns), x, y);
    return { map: windowOf(scene, centred(first, { query: at.row, key: at.column })), drags: true };
  }
  for (const { rect: marker, to } of markers(scene, place)) {
    if (contains(marker, x, y)) return { map: to };
  }
  return null;
}

export function mapStops(scene: Scene, place: MapPlace): readonly Stop[] {
  const named = buttons(scene, place).flatMap(({ rect, sign, to }) =>
    to === undefined ? [] : [{ rect, name: NAMES[sign], map: to }],
  );
  if (!isZoomed(scene)) return named;
  const jumps = markers(scene, place).map(({ rect, way, label, to }) => ({
    rect,
    map: to,
    name: `Jump ${way} to “${label}”`,
  }));
  return [...named, ...jumps];
}

/** The window that shows positions set elsewhere; undefined where they are in sight. */
export function mapRevealing(
  scene: Scene,
  cells: MatrixCells,
  at: { query?: number; key?: number },
): MapWindow | null | undefined {
  if (!isZoomed(scene)) return undefined;
  const out = (index: number | undefined, sight: readonly [number, number]) =>
    index !== undefined && sideOf(sight, index) !== 0 ? index : null;
  const [query, key] = [out(at.query, cells.down), out(at.key, cells.across)];
  if (query === null && key === null) return undefined;
  return windowOf(scene, centred(cells, { query, key }));
}
