// The form "geometry": the queries and keys of each selected head as points in one plane.

import { drawCard } from "../../marks/card.js";
import { rounded } from "../../marks/format.js";
import { drawNotes, LEGEND_LINE, LEGEND_SIZE } from "../../marks/legends/legend.js";
import { drawNotice } from "../../marks/notice.js";
import { labelOf, quoted } from "../../marks/text/tokens.js";
import { hasLegend, onPaper, type Scene } from "../../scene/scene.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { drawFailure } from "../shared/failure.js";
import { hoveredPositions, pointer } from "../shared/series.js";
import type { Frame, Stop, View } from "../view.js";
import { colourLegendHeight, drawColourLegend, type PointColours } from "./colours.js";
import { type GeometryLayout, geometryLayout, type PlacedPlane, planeIn } from "./layout.js";
import type { PlanePoint } from "./points.js";

/** How near the pointer must come. */
const REACH = 10;
const LABEL = 10;
/** More points than this have no names but those in focus. */
const FEW = 60;
const MOST_STOPS = 80;
const LABEL_ROOM = 90;

/** The more points a panel has for its size, the smaller they are, so that their shape is seen. */
const radiusFor = (count: number, { width, height }: Rect) =>
  Math.max(1.5, Math.min(4, 0.25 * Math.sqrt((width * height) / Math.max(1, count))));

/** A query is a circle, a key is a square. */
function drawPoint(
  surface: Surface,
  side: PlanePoint["side"],
  { x, y }: { readonly x: number; readonly y: number },
  radius: number,
  style: Parameters<Surface["rect"]>[1],
): void {
  if (side === "query") surface.circle(x, y, radius, style);
  else surface.rect({ x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius }, style);
}

/** Which points the reader looks at: pinned, or under the pointer in whatever view. */
function focusIn(scene: Scene): (point: PlanePoint) => "hovered" | "pinned" | null {
  const { state } = scene;
  const hovered = hoveredPositions(scene);
  return ({ side, index }) => {
    if (hovered[side] === index) return "hovered";
    return (side === "query" ? state.queries : state.keys).includes(index) ? "pinned" : null;
  };
}

const nameOf = ({ queries, keys }: Scene, { side, index }: PlanePoint) =>
  labelOf(side === "query" ? queries : keys, index);

const apart = (one: Rect, other: Rect) =>
  one.y >= other.y + other.height ||
  one.y + one.height <= other.y ||
  one.x >= other.x + other.width ||
  one.x + one.width <= other.x;

/** Names beside their points: those in focus always, others where they hide nothing. */
function drawNames(
  surface: Surface,
  scene: Scene,
  plane: PlacedPlane,
  points: readonly PlanePoint[],
  radius: number,
): void {
  const { theme } = scene;
  const { rect } = plane;
  const focus = focusIn(scene);
  const named = points.length <= FEW ? points : points.filter((point) => focus(point));
  const shown = points.length <= FEW ? points : [];
  const squares = shown.map((point) => {
    const { x, y } = plane.place(point);
    const side = 2 * radius;
    return { point, box: { x: x - radius, y: y - radius, width: side, height: side } };
  });
  const taken: Rect[] = [];
  const rank = (point: PlanePoint) => (focus(point) ? 0 : 1);
  for (const point of [...named].sort((a, b) => rank(a) - rank(b))) {
    const inFocus = focus(point) !== null;
    const text = nameOf(scene, point);
    const weight = inFocus ? "bold" : "normal";
    const width = Math.min(LABEL_ROOM, textWidth(text, LABEL, "sans", weight));
    const { x, y } = plane.place(point);
    const gap = radius + (inFocus ? 6 : 4);
    const box = (left: number) => ({ x: left, y: y - LABEL / 2 - 1, width, height: LABEL + 2 });
    const places = [box(x + gap), box(x - gap - width)];
    const inside = places.filter((one) => one.x >= rect.x && one.x + width <= rect.x + rect.width);
    const clear = inside.find(
      (one) =>
        taken.every((other) => apart(one, other)) &&
        squares.every((other) => other.point === point || apart(one, other.box)),
    );
    const found = clear ?? (inFocus ? (inside[0] ?? places[0]) : undefined);
    if (!found) continue;
    taken.push(found);
    surface.text(found.x, y, text, {
      fill: inFocus ? theme.text : theme.muted,
      size: LABEL,
      weight,
      maxWidth: LABEL_ROOM,
    });
  }
}

function drawPoints(
  surface: Surface,
  scene: Scene,
  plane: PlacedPlane,
  points: readonly PlanePoint[],
  colours: PointColours,
): void {
  const { theme } = scene;
  const radius = radiusFor(points.length, plane.rect);
  const focus = focusIn(scene);
  const focused = points.filter((point) => focus(point));
  const opacity = focused.length > 0 ? 0.55 : 0.85;
  for (const point of points) {
    const style = { fill: colours.colour(point), opacity };
    drawPoint(surface, point.side, plane.place(point), radius, style);
  }
  for (const point of focused) {
    const at = plane.place(point);
    const ring = focus(point) === "hovered" ? theme.text : theme.accent;
    drawPoint(surface, point.side, at, radius + 1, { fill: colours.colour(point) });
    drawPoint(surface, point.side, at, radius + 3, { stroke: ring, strokeWidth: 1.5 });
  }
  drawNames(surface, scene, plane, points, radius);
}

const percent = (share: number) => `${Math.round(100 * share)} %`;

function drawPlane(surface: Surface, scene: Scene, plane: PlacedPlane, colours: PointColours) {
  const { theme, drawing } = scene;
  const { rect, titleTop, head } = plane;
  if (!drawing?.panel) {
    const middle = titleTop + 10;
    surface.rect(
      { x: rect.x, y: middle - 4.5, width: 9, height: 9 },
      { fill: plane.colour, radius: 1.5 },
    );
    const style = {
      fill: theme.text,
      size: 12,
      weight: "bold",
      maxWidth: rect.width - 14,
    } as const;
    surface.text(rect.x + 14, middle, `head ${head}`, style);
  }
  surface.rect(rect, { stroke: theme.rule });
  const found = planeIn(plane);
  if (!found) {
    if (!plane.result) drawNotice(surface, rect, "loading", theme.muted);
    return;
  }
  // Where both means lie.
  const origin = plane.place({ x: 0, y: 0 });
  surface.line(rect.x, origin.y, rect.x + rect.width, origin.y, { stroke: theme.rule });
  surface.line(origin.x, rect.y, origin.x, rect.y + rect.height, { stroke: theme.rule });
  surface.group(
    `points of head ${head}`,
    () => drawPoints(surface, scene, plane, found.points, colours),
    {
      clip: rect,
    },
  );
  const [x, y] = found.shares;
  const number = `c = ${rounded(found.scale, 3)}`;
  const long = `across ${percent(x)}, up ${percent(y)} of the variance · ${number}`;
  const short = `${percent(x)} and ${percent(y)} of variance · ${number}`;
  const said = textWidth(long, LABEL) <= rect.width ? long : short;
  surface.text(rect.x + rect.width / 2, rect.y + rect.height + 9, said, {
    fill: theme.muted,
    size: LABEL,
    anchor: "middle",
    maxWidth: rect.width,
  });
}

function drawLegend(surface: Surface, scene: Scene, layout: GeometryLayout, width: number): void {
  const { theme } = scene;
  const inner = width - 8;
  const middle = layout.legendTop + LEGEND_LINE / 2 + 2;
  let x = 4;
  for (const [side, label] of [
    ["query", "query"],
    ["key", "key"],
  ] as const) {
    drawPoint(surface, side, { x: x + 4, y: middle }, 4, { fill: theme.muted });
    surface.text(x + 14, middle, label, { fill: theme.text, size: LEGEND_SIZE });
    x += 14 + textWidth(label, LEGEND_SIZE) + 14;
  }
  const y = layout.legendTop + LEGEND_LINE + 2;
  drawColourLegend(surface, scene, layout.colours, { x: 4, y, width: inner });
  const notes = y + colourLegendHeight(layout.colours, inner) + LEGEND_LINE / 2;
  drawNotes(surface, layout.notes, width, notes, theme);
}

/** The nearest point to a place, of whichever plane it is in. */
function nearest(layout: GeometryLayout, x: number, y: number) {
  const plane = layout.planes.find(({ rect }) => contains(rect, x, y));
  const points = plane && planeIn(plane)?.points;
  if (!plane || !points) return null;
  let best: PlanePoint | null = null;
  let least = REACH;
  for (const point of points) {
    const at = plane.place(point);
    const distance = Math.hypot(at.x - x, at.y - y);
    // Of equals the query, which is drawn last.
    if (distance <= least) [best, least] = [point, distance];
  }
  return best && { plane, point: best };
}

function drawPointCard(surface: Surface, scene: Scene, layout: GeometryLayout, frame: Frame) {
  const at = pointer(scene.hover, "head");
  const found = at && nearest(layout, at.x, at.y);
  if (!found) return;
  const { plane, point } = found;
  const { queries, keys } = scene;
  const { side, index } = point;
  const positions = side === "query" ? queries : keys;
  const row = { label: `head ${plane.head}, length`, note: "", value: rounded(point.norm, 3) };
  const title = `${side} ${index} ${quoted(positions, index, 200)}`;
  const card = { title, rows: [{ ...row, colour: layout.colours.colour(point) }] };
  const bounds = { x: 0, y: 0, width: frame.width, height: frame.height };
  drawCard(surface, card, at, bounds, scene.theme);
}

/** Queries and keys in one plane, a panel a head. */
export const geometryForm: Omit<View, "name"> = {
  contentHeight: (scene, width, height) =>
    geometryLayout(scene, { width, height, scroll: 0 }).height,

  draw(surface, scene, frame) {
    const layout = geometryLayout(scene, frame);
    const area = { x: 0, y: 0, width: frame.width, height: layout.legendTop };
    const draw = () => {
      for (const plane of layout.planes) drawPlane(surface, scene, plane, layout.colours);
    };
    surface.group("geometry", draw, { clip: area });
    const failed = layout.planes.flatMap(({ result }) =>
      result && "error" in result ? [result.error] : [],
    );
    if (failed[0]) drawFailure(surface, scene, area, failed[0]);
    if (hasLegend(scene)) drawLegend(surface, scene, layout, frame.width);
    drawPointCard(surface, scene, layout, frame);
  },

  hit(scene, frame, x, y) {
    const layout = geometryLayout(scene, frame);
    if (y >= layout.legendTop) return null;
    const found = nearest(layout, x, y);
    if (!found) return null;
    const { plane, point } = found;
    const at = { layer: layout.layer, head: plane.head };
    return point.side === "query" ? { ...at, query: point.index } : { ...at, key: point.index };
  },

  stops(scene, frame) {
    if (onPaper(scene)) return [];
    const layout = geometryLayout(scene, frame);
    const [first] = layout.planes;
    const points = (first && planeIn(first)?.points) ?? [];
    if (!first) return [];
    const focus = focusIn({ ...scene, hover: null });
    const order = (point: PlanePoint) => (focus(point) ? 0 : 1);
    return [...points]
      .sort((a, b) => order(a) - order(b) || a.index - b.index)
      .slice(0, MOST_STOPS)
      .map((point): Stop => {
        const { x, y } = first.place(point);
        const rect = { x: x - 5, y: y - 5, width: 10, height: 10 };
        const { side, index, norm } = point;
        const name = `${side} ${index} “${nameOf(scene, point)}”, length ${rounded(norm, 3)}`;
        const at = { layer: layout.layer, head: first.head, rect, name };
        return side === "query" ? { ...at, query: index } : { ...at, key: index };
      })
      .filter(({ rect }) => rect.y >= 0 && rect.y + rect.height <= layout.legendTop);
  },
};
