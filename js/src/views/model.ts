import type { Thumbnails } from "../data/thumbnails.js";
import { letterOf } from "../marks/badge.js";
import { drawBadge, drawHeadOutlines } from "../marks/head-marks.js";
import { drawRamp } from "../marks/ramps.js";
import { drawThumbnailCard } from "../marks/thumbnail-card.js";
import { composeThumbnails, type ThumbnailCell } from "../marks/thumbnails.js";
import type { Theme } from "../styles/theme.js";
import type { Pixels, Surface } from "../surface/surface.js";
import { textWidth } from "../surface/text.js";
import { formatWeight } from "./format.js";
import {
  cellAt,
  cellRect,
  type GridLayout,
  gridLayout,
  HAIRLINE,
  LABEL_SIZE,
  LABELS,
  labelled,
  MARGIN,
  NOTE,
  TITLE,
} from "./model-layout.js";
import { pairTitle } from "./series.js";
import type { Frame, Scene, Stop, View } from "./view.js";

const MAX_STOPS = 80;
/** Middle of the vertical axis title. */
const AXIS_X = 7;

function notes({ thumbnails, options }: Scene): readonly string[] {
  const list: string[] = [];
  if (thumbnails.sampled) list.push("pooled from a sample of the query rows");
  if (options.setSinkAside) list.push("first key set aside, the rest of each row rescaled to 1");
  return list;
}

function layoutOf(scene: Scene, width: number, height: number): GridLayout {
  return gridLayout(scene.stream.layers, { width, height }, notes(scene).length);
}

/** Layers and heads by place in the grid. */
interface Place {
  readonly row: number;
  readonly head: number;
}

function hoveredPlace({ hover, state, stream }: Scene): Place | null {
  if (hover?.head === undefined) return null;
  const number = hover.layer ?? state.layer;
  const row = stream.layers.findIndex((layer) => layer.layer === number);
  const layer = stream.layers[row];
  return layer && hover.head < layer.num_heads ? { row, head: hover.head } : null;
}

interface Picture {
  readonly id: string;
  readonly theme: Theme;
  readonly pixels: Pixels;
}

// The last pictures of each set of thumbnails: hovering redraws the scene, not the thumbnails.
const pictures = new WeakMap<Thumbnails, readonly Picture[]>();

/** The whole grid at `scale` device pixels per CSS pixel. */
function gridPixels(scene: Scene, layout: GridLayout, scale: number): Pixels {
  const { thumbnails, theme, options } = scene;
  const { pitch, gap, columns, layerPitch, layers } = layout;
  const id = `${pitch}/${columns}/${layerPitch}/${scale}/${options.setSinkAside}`;
  const known = pictures.get(thumbnails) ?? [];
  const same = known.find((picture) => picture.id === id && picture.theme === theme);
  if (same) return same.pixels;
  const hairline = pitch < 12 ? 1 : Math.max(1, Math.round(HAIRLINE * scale));
  const cells: ThumbnailCell[] = [];
  layers.forEach(({ layer, num_heads }, row) => {
    for (let head = 0; head < num_heads; head++) {
      const left = (head % columns) * pitch;
      const top = row * layerPitch + Math.floor(head / columns) * pitch;
      const x = Math.round(left * scale) + hairline;
      const y = Math.round(top * scale) + hairline;
      const width = Math.max(1, Math.round((left + pitch - gap + HAIRLINE) * scale) - x);
      const height = Math.max(1, Math.round((top + pitch - gap + HAIRLINE) * scale) - y);
      cells.push({ layer, head, x, y, width, height });
    }
  });
  const width = Math.round((layout.width - HAIRLINE) * scale) + hairline;
  const height = Math.round((layout.height - HAIRLINE) * scale) + hairline;
  const shading = { theme, sinkAside: options.setSinkAside };
  const pixels = composeThumbnails(thumbnails, cells, { width, height, hairline }, shading);
  pictures.set(thumbnails, [{ id, theme, pixels }, ...known].slice(0, 2));
  return pixels;
}

function drawHeader(surface: Surface, scene: Scene, layout: GridLayout, frame: Frame): void {
  const { theme, state } = scene;
  const { left, columns, pitch, top } = layout;
  const muted = { fill: theme.muted, size: LABEL_SIZE } as const;
  surface.text(left, TITLE / 2, "head", muted);
  const right = Math.min(frame.width - MARGIN, Math.max(left + layout.width, left + 180));
  const ramp = { x: right - 12 - 64, y: TITLE / 2 - 4, width: 64, height: 8 };
  surface.text(right, TITLE / 2, "1", { ...muted, size: 10, anchor: "end" });
  drawRamp(surface, ramp, theme.sequential, theme.rule);
  surface.text(ramp.x - 5, TITLE / 2, "0", { ...muted, size: 10, anchor: "end" });
  surface.text(ramp.x - 16, TITLE / 2, "√weight", { ...muted, size: 10, anchor: "end" });
  notes(scene).forEach((note, index) => {
    const y = TITLE + (index + 0.5) * NOTE;
    surface.text(left, y, note, { ...muted, size: 10, maxWidth: frame.width - left - MARGIN });
  });
  const hovered = hoveredPlace(scene)?.head;
  const bold = [...(hovered === undefined ? [] : [hovered]), ...state.heads];
  const always = bold.map((head) => head % columns);
  const room = textWidth(String(columns), LABEL_SIZE, "sans", "bold") + 5;
  for (const column of labelled(columns, pitch, room, always)) {
    const strong = always.includes(column);
    surface.text(
      left + column * pitch + HAIRLINE + (pitch - layout.gap) / 2,
      top - LABELS / 2,
      String(column),
      {
        fill: strong ? theme.text : theme.muted,
        size: LABEL_SIZE,
        weight: strong ? "bold" : "normal",
        anchor: "middle",
      },
    );
  }
}

/** Layer numbers; in the coordinates of the grid, left of it. */
function drawLayerLabels(surface: Surface, scene: Scene, layout: GridLayout): void {
  const { theme, state } = scene;
  const { layers, layerPitch, pitch, lines, columns } = layout;
  const selected = layers.findIndex((layer) => layer.layer === state.layer);
  const hovered = hoveredPlace(scene)?.row ?? -1;
  for (const row of labelled(layers.length, layerPitch, LABEL_SIZE + 2, [hovered, selected])) {
    const strong = row === selected || row === hovered;
    const y = row * layerPitch + HAIRLINE + (pitch - layout.gap) / 2;
    surface.text(-5, y, String(layers[row]?.layer), {
      fill: strong ? theme.text : theme.muted,
      size: LABEL_SIZE,
      weight: strong ? "bold" : "normal",
      anchor: "end",
    });
    for (let line = 1; line < lines && pitch >= 10; line++) {
      surface.text(-5, y + line * pitch, `+${line * columns}`, {
        fill: theme.muted,
        size: 9,
        anchor: "end",
      });
    }
  }
}

function drawMarks(surface: Surface, scene: Scene, layout: GridLayout): void {
  const { theme, state } = scene;
  const rowOf = (number: number) => layout.layers.findIndex((layer) => layer.layer === number);
  const row = rowOf(state.layer);
  const outlined = state.heads.map((head) => ({
    cell: cellRect(layout, row, head),
    colour: theme.head(head, scene.layer.num_heads),
  }));
  drawHeadOutlines(surface, outlined, theme);
  const hovered = hoveredPlace(scene);
  if (hovered) {
    const { x, y, width, height } = cellRect(layout, hovered.row, hovered.head);
    const rect = { x: x - 0.5, y: y - 0.5, width: width + 1, height: height + 1 };
    surface.rect(rect, { stroke: theme.text, strokeWidth: 1 });
  }
  state.compare.forEach(([layer, head], index) => {
    drawBadge(surface, cellRect(layout, rowOf(layer), head), index, theme);
  });
}

/** Cells lower than this have no row that could be pointed at. */
const LEAST_ROW_MARK = 12;

/** In each thumbnail a line under the newest row of a generation: what is below is not there yet. */
function drawFrontier(
  surface: Surface,
  { stage, queries, theme }: Scene,
  layout: GridLayout,
): void {
  if (!stage || layout.pitch < LEAST_ROW_MARK || stage.numQueries >= queries.length) return;
  layout.layers.forEach(({ num_heads }, row) => {
    for (let head = 0; head < num_heads; head++) {
      const { x, y, width, height } = cellRect(layout, row, head);
      const at = y + (height * stage.numQueries) / queries.length;
      surface.line(x, at, x + width, at, { stroke: theme.accent, opacity: 0.6 });
    }
  });
}

function drawCard(surface: Surface, scene: Scene, layout: GridLayout, frame: Frame): void {
  const { hover, thumbnails, theme, options, keys } = scene;
  const place = hoveredPlace(scene);
  const meta = place && layout.layers[place.row];
  // A head hovered elsewhere is outlined; what it is, the other view says.
  if (!place || !meta || (hover?.source !== "model" && hover?.source !== "keyboard")) return;
  const cell = cellRect(layout, place.row, place.head);
  const point = {
    x: hover.x ?? layout.left + cell.x + cell.width,
    y: hover.y ?? layout.top + cell.y + cell.height - frame.scroll,
  };
  const top = thumbnails.top(meta.layer, place.head);
  const lines = [];
  if (top) {
    // The labels leave room for the number, whatever they are.
    const pair = pairTitle(scene, top.query, top.key, 185);
    lines.push({ text: `top: ${pair} ${formatWeight(top.weight)}`, muted: false });
    if (keys.length > 1) lines.push({ text: "first position left aside", muted: true });
  }
  lines.push({ text: meta.module_path, muted: true });
  const title = `layer ${meta.layer} · head ${place.head}`;
  const shading = { theme, sinkAside: options.setSinkAside };
  const thumbnail = thumbnails.get(meta.layer, place.head);
  drawThumbnailCard(surface, { title, lines, thumbnail, shading }, point, frame);
}

function stopName(scene: Scene, layer: number, head: number): string {
  const { thumbnails, queries, keys, state } = scene;
  const parts = [`layer ${layer} head ${head}`];
  const top = thumbnails.top(layer, head);
  if (top) {
    const [from, to] = [queries[top.query]?.label, keys[top.key]?.label];
    parts.push(`top link ${from} to ${to} ${formatWeight(top.weight)}`);
  }
  if (layer === state.layer && state.heads.includes(head)) parts.push("selected");
  const index = state.compare.findIndex(([l, h]) => l === layer && h === head);
  if (index >= 0) parts.push(`compared as ${letterOf(index)}`);
  return parts.join(", ");
}

/** Every head that is in the frame. */
function visiblePlaces(layout: GridLayout, frame: Frame): readonly Place[] {
  const places: Place[] = [];
  layout.layers.forEach(({ num_heads }, row) => {
    for (let head = 0; head < num_heads; head++) {
      const { y, height } = cellRect(layout, row, head);
      const top = y - frame.scroll;
      if (top >= 0 && layout.top + top + height <= frame.height) places.push({ row, head });
    }
  });
  return places;
}

/** Of too many heads, those in the selected layer's row and in the selected head's column. */
function nearest(places: readonly Place[], selected: Place): readonly Place[] {
  const rows = places.map((place) => place.row);
  const row = Math.max(Math.min(...rows), Math.min(selected.row, Math.max(...rows)));
  const distance = (place: Place) =>
    Math.abs(place.row - row) + Math.abs(place.head - selected.head);
  return places
    .filter((place) => place.row === row || place.head === selected.head)
    .sort((a, b) => distance(a) - distance(b))
    .slice(0, MAX_STOPS)
    .sort((a, b) => a.row - b.row || a.head - b.head);
}

/** Every layer × head as a thumbnail: which of them is worth a look? */
export const modelView: View = {
  name: "model",

  contentHeight(scene, width, height) {
    const layout = layoutOf(scene, width, height);
    return layout.top + layout.height + MARGIN;
  },

  draw(surface, scene, frame) {
    const layout = layoutOf(scene, frame.width, frame.height);
    const { left, top } = layout;
    const pixels = gridPixels(scene, layout, surface.scale);
    const shown = Math.min(frame.height - top, layout.height);
    surface.group("header", () => drawHeader(surface, scene, layout, frame));
    surface.text(AXIS_X, top + shown / 2, "layer", {
      fill: scene.theme.muted,
      size: LABEL_SIZE,
      anchor: "middle",
      rotate: -90,
    });
    const clip = { x: 0, y: top - 4, width: frame.width, height: frame.height - top + 4 };
    surface.group(
      "heads",
      () => {
        const { scale } = surface;
        const size = { width: pixels.width / scale, height: pixels.height / scale };
        surface.image({ x: 0, y: 0, ...size }, pixels, false);
        drawLayerLabels(surface, scene, layout);
        drawFrontier(surface, scene, layout);
        drawMarks(surface, scene, layout);
      },
      { clip, x: left, y: top - frame.scroll },
    );
    drawCard(surface, scene, layout, frame);
  },

  hit(scene, frame, x, y) {
    const layout = layoutOf(scene, frame.width, frame.height);
    if (y < layout.top || y >= frame.height || x >= frame.width) return null;
    const place = cellAt(layout, x - layout.left, y - layout.top + frame.scroll);
    const layer = place && layout.layers[place.row];
    return layer ? { layer: layer.layer, head: place.head } : null;
  },

  stops(scene, frame) {
    const layout = layoutOf(scene, frame.width, frame.height);
    const all = visiblePlaces(layout, frame);
    const row = layout.layers.findIndex((layer) => layer.layer === scene.state.layer);
    const places =
      all.length <= MAX_STOPS ? all : nearest(all, { row, head: scene.state.heads[0] ?? 0 });
    return places.map(({ row, head }): Stop => {
      const { x, y, width, height } = cellRect(layout, row, head);
      const layer = layout.layers[row]?.layer ?? 0;
      const rect = { x: x + layout.left, y: y + layout.top - frame.scroll, width, height };
      return { layer, head, rect, name: stopName(scene, layer, head) };
    });
  },
};
