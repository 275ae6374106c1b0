// Figures in which each head has a panel of its own, and the legend that these share.

import {
  drawDivergingLegend,
  drawNotes,
  drawSequentialLegend,
  LEGEND_BAR,
  LEGEND_LINE,
  LEGEND_SIZE,
} from "../marks/legends/legend.js";
import type { FigureGrid } from "../protocol/generated.js";
import type { FigureDrawing, Scene } from "../scene/scene.js";
import type { Surface } from "../surface/surface.js";
import { textWidth } from "../surface/text.js";
import { thinningNote } from "../views/head/lines.js";
import { headView } from "../views/head/view.js";
import { drawSharedLegend, sharedLegendWidth } from "../views/lines/legend.js";
import { type MapScale, mapScale, scaleTitle } from "../views/map/scale.js";
import { isSigned, measureTitle, ofMetric } from "../views/shared/measure.js";
import { headSeries, scaleOf } from "../views/shared/series.js";
import type { FigureBox } from "./boxes.js";

const GAP = 18;
const TITLE = 22;
/** Panels narrower than this show more of labels than of links. */
const NARROWEST = 170;
/** Rows get closer, as far as they can, rather than make a panel higher than this. */
const HIGH = 420;

const OWN_LEGEND: readonly Scene["state"]["form"][] = [
  "image",
  "text",
  "groups",
  "profile",
  "geometry",
  "trace",
];
const ownLegend = ({ form }: Scene["state"]) => OWN_LEGEND.includes(form);

/** The scene of one panel: one head alone, its legend shared with the others. */
function sceneOf(
  scene: Scene,
  drawing: FigureDrawing,
  [number, head]: readonly [number, number],
  oneInk: boolean,
): Scene {
  const layer = scene.stream.layers.find((each) => each.layer === number) ?? scene.layer;
  const state = { ...scene.state, layer: layer.layer, heads: [head] };
  // What a picture's heat means, or the shade of a text, differs from head to head.
  const legend = drawing.legend && ownLegend(state);
  // Of several layers a head's number says little, and a colour by that number less.
  const theme = oneInk ? { ...scene.theme, head: () => scene.theme.accent } : scene.theme;
  return { ...scene, theme, layer, state, drawing: { ...drawing, legend, panel: true } };
}

/** The scale that the maps of all panels share. */
function gridScale(scene: Scene, heads: FigureGrid["heads"]): MapScale {
  const series = heads.flatMap(([number, head]) => {
    const layer = scene.stream.layers.find((each) => each.layer === number) ?? scene.layer;
    const state = { ...scene.state, layer: layer.layer, heads: [head] };
    return headSeries({ ...scene, layer, state }, { isolate: false });
  });
  return mapScale(scene, series, 1);
}

/** Small multiples of the head view, as many in a row as there is room for and evenly filled. */
export function gridBoxes(
  scene: Scene,
  drawing: FigureDrawing,
  { heads, columns: wished }: FigureGrid,
  width: number,
): { readonly boxes: readonly FigureBox[]; readonly height: number } {
  const most = Math.max(1, Math.floor((width + GAP) / (NARROWEST + GAP)));
  const rows = Math.ceil(heads.length / Math.min(most, heads.length));
  const columns = Math.min(heads.length, wished ?? Math.ceil(heads.length / rows));
  const each = Math.floor((width - (columns - 1) * GAP) / columns);
  const matrix = scene.state.form === "matrix";
  const shares = matrix || ofMetric(scene);
  const all = shares ? { ...drawing, end: gridScale(scene, heads).end } : drawing;
  const layers = new Set(heads.map(([layer]) => layer));
  const boxes: FigureBox[] = [];
  let y = 0;
  for (let first = 0; first < heads.length; first += columns) {
    const scenes = heads
      .slice(first, first + columns)
      .map((ref, n) => sceneOf(scene, { ...all, axes: first + n === 0 }, ref, layers.size > 1));
    const height = Math.max(...scenes.map((one) => headView.contentHeight(one, each, HIGH)));
    scenes.forEach((one, column) => {
      const {
        layer,
        heads: [head = 0],
      } = one.state;
      const name = layers.size > 1 ? `layer ${layer} head ${head}` : `head ${head}`;
      const rect = { x: column * (each + GAP), y: y + TITLE, width: each, height };
      const colour = one.theme.head(head, one.layer.num_heads);
      // Also without a title of its own, a figure says which panel is which.
      const text = name.replace(" head", " · head");
      const title = layers.size > 1 ? { text } : { text, colour };
      boxes.push({ id: name, view: headView, scene: one, rect, title });
    });
    y += TITLE + height + GAP;
  }
  return { boxes, height: y - GAP };
}

/** Of a measure of gradients, whose title names the metric, there is more to say. */
const matrixLegendWidth = (scene: Scene, title: string): number =>
  ofMetric(scene) ? 230 + textWidth(title, LEGEND_SIZE) : 330;

/** Height of the legend that the panels share. */
export function gridLegendHeight(scene: Scene): number {
  if (ownLegend(scene.state)) return 0;
  if (scene.state.form === "matrix") return 6 + LEGEND_BAR;
  return 6 + LEGEND_LINE * (thinningNote(scene, null) === null ? 1 : 2);
}

export function drawGridLegend(
  surface: Surface,
  scene: Scene,
  { heads }: FigureGrid,
  width: number,
  y: number,
): void {
  const { theme, state } = scene;
  const matrix = state.form === "matrix";
  const title = measureTitle(scene);
  const end = ofMetric(scene)
    ? gridScale(scene, heads).end
    : scaleOf(headSeries(scene, { isolate: false }));
  const scale = matrix ? gridScale(scene, heads) : undefined;
  const links = { title, end };
  const wide = Math.min(
    width,
    matrix ? matrixLegendWidth(scene, title) : sharedLegendWidth(scene, links),
  );
  const x = (width - wide) / 2;
  if (matrix) {
    const bar = { x, y: y + 6, width: wide, title: scale ? scaleTitle(title, scale) : title };
    if (isSigned(scene)) drawDivergingLegend(surface, bar, scale?.end ?? end ?? 1, theme);
    else drawSequentialLegend(surface, bar, theme, scale);
  } else if (state.form === "lines") {
    drawSharedLegend(surface, scene, x, y + 6 + LEGEND_LINE / 2, links);
    const thinning = thinningNote(scene, null);
    const below = y + 6 + 1.5 * LEGEND_LINE;
    drawNotes(surface, thinning ? [thinning] : [], width, below, theme);
  }
}
