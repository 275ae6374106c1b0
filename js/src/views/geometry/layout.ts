// Places of the planes: a panel a head, on one scale along both axes, the legend below.

import { fittedNotes, LEGEND_LINE } from "../../marks/legends/legend.js";
import { hasLegend, type Scene } from "../../scene/scene.js";
import type { Rect } from "../../surface/surface.js";
import { PANEL_GAP, panelGrid } from "../lines/panel-grid.js";
import type { Frame } from "../view.js";
import { colourLegendHeight, coloursOf, type PointColours } from "./colours.js";
import { type Plane, type PlanePoint, type PlaneResult, planeOf } from "./points.js";

const TITLE = 22;
const CAPTION = 16;
const MOST_WIDE = 560;
const LEAST_WIDE = 200;
const LEAST_HIGH = 130;
/** Of a plane's width, where its height is free. */
const SHAPE = 0.78;
const PAD = 14;
/** Circles and squares: which is which. */
const SIDES = LEGEND_LINE;

export const METHOD =
  "PCA of queries and keys together; keys were moved to the mean of the queries, queries × c, keys ÷ c, so that both spread " +
  "equally: attention stays the same (Yeh et al. 2023)";

/** The same under each of several panels of a figure. */
const METHOD_IN_SHORT = "PCA of both, means at 0, queries × c, keys ÷ c (Yeh et al. 2023)";

export interface PlacedPlane {
  readonly head: number;
  readonly colour: string;
  readonly result: PlaneResult;
  /** Where the points lie. */
  readonly rect: Rect;
  readonly titleTop: number;
  place(point: { readonly x: number; readonly y: number }): {
    readonly x: number;
    readonly y: number;
  };
}

export interface GeometryLayout {
  readonly layer: number;
  readonly planes: readonly PlacedPlane[];
  readonly colours: PointColours;
  readonly notes: readonly string[];
  readonly legendTop: number;
  readonly height: number;
}

export const planeIn = ({ result }: Pick<PlacedPlane, "result">): Plane | null =>
  result && !("error" in result) ? result : null;

/** From the plane to the page: the same number of pixels along both axes, so that distances can be compared. */
function placing(points: readonly PlanePoint[], rect: Rect): PlacedPlane["place"] {
  const ends = (values: readonly number[]) => {
    let [low, high] = [0, 0];
    for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
    return [low, high] as const;
  };
  const [left, right] = ends(points.map(({ x }) => x));
  const [below, above] = ends(points.map(({ y }) => y));
  const across = (rect.width - 2 * PAD) / (right - left || 1);
  const down = (rect.height - 2 * PAD) / (above - below || 1);
  const scale = Math.min(across, down);
  const [x0, y0] = [rect.x + rect.width / 2, rect.y + rect.height / 2];
  return ({ x, y }) => ({
    x: x0 + (x - (left + right) / 2) * scale,
    y: y0 - (y - (above + below) / 2) * scale,
  });
}

/** The planes of the selected heads, as many beside one another as there is room for. */
export function geometryLayout(scene: Scene, frame: Frame): GeometryLayout {
  const { layer, state, theme } = scene;
  const heads = state.heads.filter((head) => head < layer.num_heads);
  const results = heads.map((head) => planeOf(scene, layer.layer, head));
  const known = results.flatMap((result) => planeIn({ result }) ?? []);
  const colours = coloursOf(scene, known);
  const legend = hasLegend(scene);
  const inner = frame.width - 8;
  const said = scene.drawing?.panel ? METHOD_IN_SHORT : METHOD;
  const notes = legend ? fittedNotes([said], inner) : [];
  const below = legend
    ? SIDES + colourLegendHeight(colours, inner) + notes.length * LEGEND_LINE + 6
    : 0;
  const grid = panelGrid(heads.length, frame.width, LEAST_WIDE);
  const free = (frame.width - (grid.columns - 1) * PANEL_GAP) / grid.columns;
  // The frame of the last is not cut by the edge.
  const width = Math.min(MOST_WIDE, Math.floor(free) - 1);
  const title = scene.drawing?.panel ? 0 : TITLE;
  const beside = title + CAPTION;
  const room = (frame.height - below - (grid.rows - 1) * PANEL_GAP) / grid.rows - beside;
  const high = Math.round(Math.max(LEAST_HIGH, Math.min(SHAPE * width, room)));
  const planes = heads.map((head, n): PlacedPlane => {
    const [row, column] = [Math.floor(n / grid.columns), n % grid.columns];
    const titleTop = row * (beside + high + PANEL_GAP) - frame.scroll;
    const rect = { x: column * (width + PANEL_GAP), y: titleTop + title, width, height: high };
    const result = results[n] ?? null;
    const place = placing(planeIn({ result })?.points ?? [], rect);
    return { head, colour: theme.head(head, layer.num_heads), result, rect, titleTop, place };
  });
  const bottom = grid.rows * (beside + high + PANEL_GAP) - PANEL_GAP;
  const height = bottom + below;
  const legendTop = Math.max(Math.min(bottom - frame.scroll, frame.height - below), 0);
  return { layer: layer.layer, planes, colours, notes, legendTop, height };
}
