// Logit lens: under each token what the model would predict there if it ended after the layer on show.

import { formatWeight } from "../../marks/format.js";
import { drawRamp } from "../../marks/legends/colour-ramp.js";
import { memo } from "../../marks/memo.js";
import { labelFill, quoted } from "../../marks/text/tokens.js";
import type { Scene } from "../../scene/scene.js";
import { entry } from "../../styles/colours.js";
import { inkOn } from "../../styles/ink.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import type { Frame, Stop, View } from "../view.js";
import { type LensData, lensData, type Predicted, predictions } from "./data.js";
import { BOX, LABEL, type LensLayout, lensLayout, NUMBER, TEXT, WORDS } from "./layout.js";

/** Stops that a keyboard finds among the tokens. */
const MOST_STOPS = 60;
const RAMP = 64;
/** Narrower than this, the first line is for the tokens alone. */
const LEGEND_FROM = 560;

const layoutOf = (data: LensData, width: number): LensLayout =>
  memo(data.meta, `lens layout ${width} ${data.positions.length}`, () => lensLayout(data, width));

const numberOf = ({ probability }: Predicted) =>
  probability === null ? "?" : formatWeight(probability);

/** A token on the shade of its probability, which grows as its square root as weights' does. */
function drawBox(surface: Surface, { theme }: Scene, rect: Rect, predicted: Predicted): void {
  const shade = Math.round(255 * Math.sqrt(Math.max(0, Math.min(1, predicted.probability ?? 0))));
  const fill = entry(theme.sequential, shade);
  surface.rect(rect, { fill, radius: 2 });
  const style = { size: TEXT, anchor: "middle", maxWidth: rect.width - 4 } as const;
  const ink = inkOn(theme.sequential, shade, theme.text);
  const middle = rect.y + rect.height / 2;
  surface.text(rect.x + rect.width / 2, middle, predicted.label, { ...style, fill: ink });
}

function drawLayer(surface: Surface, scene: Scene, data: LensData, layer: number, at: Rect): void {
  const { theme } = scene;
  const [best] = predictions(data, layer, data.row);
  if (!best) return;
  const own = layer === data.layer;
  const middle = at.y + at.height / 2;
  const style = { size: 11, fill: own ? theme.accent : theme.muted } as const;
  const weight = own ? "bold" : "normal";
  surface.text(at.x + NUMBER - 6, middle, String(layer), { ...style, weight, anchor: "end" });
  const box = { ...at, x: at.x + NUMBER, width: at.width - NUMBER };
  drawBox(surface, scene, box, best);
  if (own) surface.rect(box, { stroke: theme.accent, strokeWidth: 1.5, radius: 2 });
}

function drawCell(surface: Surface, scene: Scene, data: LensData, row: number, at: Rect): void {
  const { theme } = scene;
  const position = data.positions[row];
  const [best] = predictions(data, data.layer, row);
  const asked = row === data.row;
  surface.text(at.x + at.width / 2, at.y + LABEL / 2, position?.label ?? "", {
    fill: asked ? theme.accent : labelFill(position, theme),
    size: TEXT,
    weight: asked ? "bold" : "normal",
    anchor: "middle",
    maxWidth: at.width,
  });
  const box = { ...at, y: at.y + LABEL, height: BOX };
  if (best) drawBox(surface, scene, box, best);
  if (asked) surface.rect(box, { stroke: theme.accent, strokeWidth: 1.5, radius: 2 });
}

/** What the shades say, at the right of the first line; returns how much room it takes. */
function drawLegend(surface: Surface, { theme }: Scene, width: number): number {
  if (width < LEGEND_FROM) return 0;
  const y = WORDS / 2 - 2;
  const style = { fill: theme.muted, size: 11, anchor: "end" } as const;
  const ramp = { x: width - 12 - RAMP, y: y - 5, width: RAMP, height: 10 };
  surface.text(width, y, "1", style);
  drawRamp(surface, ramp, theme.sequential, theme.rule);
  surface.text(ramp.x - 5, y, "0", style);
  surface.text(ramp.x - 16, y, "√probability", style);
  return RAMP + 28 + textWidth("√probability", 11) + 16;
}

/** The likeliest tokens after the layer on show, in one line. */
function drawWords(surface: Surface, scene: Scene, data: LensData, width: number): void {
  const { theme } = scene;
  const list = predictions(data, data.layer, data.row);
  const after = quoted(data.positions, data.row);
  const said = list.map((one) => `${one.label} ${numberOf(one)}`).join(" · ");
  const words = `after ${after}, layer ${data.layer}: ${said}`;
  const room = width - drawLegend(surface, scene, width);
  surface.text(0, WORDS / 2 - 2, words, { fill: theme.muted, size: TEXT, maxWidth: room });
}

export const hasLens = (scene: Scene): boolean => lensData(scene) !== null;

/** What stands over the strip: which layer's predictions are under the tokens. */
export function lensTitle(scene: Scene): string {
  const data = lensData(scene);
  return data ? `What layer ${data.layer} would predict` : "What each layer would predict";
}

const moved = (rect: Rect, { scroll }: Frame): Rect => ({ ...rect, y: rect.y - scroll });
const inFrame = (rect: Rect, { height }: Frame): boolean =>
  rect.y + rect.height > 0 && rect.y < height;

export const lensView: View = {
  name: "lens",

  contentHeight(scene, width) {
    const data = lensData(scene);
    return data ? Math.ceil(layoutOf(data, width).height) : 0;
  },

  draw(surface, scene, frame) {
    const data = lensData(scene);
    if (!data) return;
    const { layers, cells } = layoutOf(data, frame.width);
    const draw = () => {
      if (frame.scroll < WORDS) {
        const words = () => drawWords(surface, scene, data, frame.width);
        surface.group("words", words, { y: -frame.scroll });
      }
      const first = layers[0] && moved(layers[0], frame);
      if (first && inFrame(first, frame)) {
        const style = { fill: scene.theme.muted, size: 11 };
        surface.text(0, first.y + BOX / 2, "layer", style);
      }
      layers.forEach((rect, layer) => {
        const at = moved(rect, frame);
        if (inFrame(at, frame)) drawLayer(surface, scene, data, layer, at);
      });
      cells.forEach((rect, row) => {
        const at = moved(rect, frame);
        if (inFrame(at, frame)) drawCell(surface, scene, data, row, at);
      });
    };
    const { width, height } = frame;
    surface.group("lens", draw, { clip: { x: 0, y: 0, width, height } });
  },

  hit(scene, frame, x, y) {
    const data = lensData(scene);
    if (!data?.pins) return null;
    const { layers, cells } = layoutOf(data, frame.width);
    const layer = layers.findIndex((rect) => contains(moved(rect, frame), x, y));
    if (layer >= 0) return { layer, action: "open-layer" };
    const row = cells.findIndex((rect) => contains(moved(rect, frame), x, y));
    return row < 0 ? null : { query: row + data.meta.first };
  },

  reveal(scene, frame, { query }) {
    const data = lensData(scene);
    if (!data?.pins || query === undefined) return null;
    const cell = layoutOf(data, frame.width).cells[query - data.meta.first];
    if (!cell || inFrame(moved(cell, frame), { ...frame, height: frame.height - BOX })) return null;
    return Math.max(0, Math.round(cell.y - frame.height / 2));
  },

  stops(scene, frame) {
    const data = lensData(scene);
    if (!data?.pins) return [];
    const { layers, cells } = layoutOf(data, frame.width);
    const found: Stop[] = [];
    layers.forEach((rect, layer) => {
      const at = moved(rect, frame);
      const [best] = predictions(data, layer, data.row);
      if (!best || !inFrame(at, frame) || found.length >= MOST_STOPS / 2) return;
      const name = `layer ${layer} predicts “${best.label}” ${numberOf(best)} after ${quoted(data.positions, data.row)}`;
      found.push({ rect: at, layer, action: "open-layer", name });
    });
    cells.forEach((rect, row) => {
      const at = moved(rect, frame);
      const [best] = predictions(data, data.layer, row);
      if (!best || !inFrame(at, frame) || found.length >= MOST_STOPS) return;
      const name = `after ${quoted(data.positions, row)}, layer ${data.layer} predicts “${best.label}” ${numberOf(best)}`;
      found.push({ rect: at, query: row + data.meta.first, name });
    });
    return found;
  },
};
