import type { Thumbnails } from "../data/thumbnails.js";
import { drawBadge, drawHeadOutlines } from "../marks/head-marks.js";
import { drawRamp } from "../marks/ramps.js";
import { type CellScore, composeThumbnails, type ThumbnailCell } from "../marks/thumbnails.js";
import { bare } from "../state/scene.js";
import type { Theme } from "../styles/theme.js";
import type { Pixels, Surface } from "../surface/surface.js";
import { textWidth } from "../surface/text.js";
import { rounded } from "./format.js";
import { MEASURES } from "./measure.js";
import { drawHeadCard, headName, hoveredHead } from "./model-card.js";
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
  placeOf,
  TITLE,
} from "./model-layout.js";
import { drawScoreLegend, NOTE, scoreNotes } from "./model-legend.js";
import { drawTag, labelText } from "./model-tags.js";
import { type Board, boardOf, type Placed, placedHeads } from "./scoring.js";
import { type Frame, hasLegend, type Scene, type Stop, type View } from "./view.js";

export const MAX_STOPS = 80;
/** Middle of the vertical axis title. */
const AXIS_X = 7;

function notes(scene: Scene, board: Board | null): readonly string[] {
  const { thumbnails, options } = scene;
  const list = [...scoreNotes(scene, board), ...thumbnails.about.notes];
  if (thumbnails.sampled) list.push("pooled from a sample of the query rows");
  if (options.setSinkAside) list.push("first key set aside, the rest of each row rescaled to 1");
  return list;
}

/** The grid, and what stands in it. */
interface Grid extends GridLayout {
  readonly board: Board | null;
  readonly notes: readonly string[];
}

function gridOf(scene: Scene, width: number, height: number): Grid {
  const board = boardOf(scene);
  const lines = notes(scene, board);
  const { layers } = scene.stream;
  const sorted = board !== null && scene.state.arrange === "rank_by_layer";
  const order = sorted
    ? layers.map((_, row) => board.order.filter((head) => head.row === row).map(({ head }) => head))
    : undefined;
  const size = { width, height };
  const layout = gridLayout(layers, size, lines.length + (board ? 1 : 0), order);
  return { ...layout, board, notes: lines };
}

interface Picture {
  readonly id: string;
  readonly theme: Theme;
  readonly values: Float32Array | undefined;
  readonly pixels: Pixels;
}

// The last pictures of each set of thumbnails: hovering redraws the scene, not the thumbnails.
const pictures = new WeakMap<Thumbnails, readonly Picture[]>();

/** From this cell size on a thumbnail is worth its place; smaller cells are filled with the score. */
const FRAMED = 28;

/** How a head's score is shown in a cell: around the thumbnail, or instead of it. */
export function cellScore(
  scene: Scene,
  board: Board,
  index: number,
  pitch: number,
  scale: number,
): CellScore {
  const frame = pitch < FRAMED || bare(scene) ? 0 : Math.round(Math.max(3, pitch / 10) * scale);
  return { shade: board.shade(index), frame, out: board.isOut(index) };
}

/** The whole grid at `scale` device pixels per CSS pixel. */
function gridPixels(scene: Scene, layout: Grid, scale: number): Pixels {
  const { thumbnails, theme, options } = scene;
  const { pitch, gap, columns, layerPitch, layers, board, order } = layout;
  const id = `${pitch}/${columns}/${layerPitch}/${scale}/${options.setSinkAside}/${board?.id}/${order !== undefined}`;
  const known = pictures.get(thumbnails) ?? [];
  const same = known.find(
    (one) => one.id === id && one.theme === theme && one.values === board?.values,
  );
  if (same) return same.pixels;
  const hairline = pitch < 12 ? 1 : Math.max(1, Math.round(HAIRLINE * scale));
  const cells: ThumbnailCell[] = [];
  let index = 0;
  layers.forEach(({ layer, num_heads }, row) => {
    for (let head = 0; head < num_heads; head++, index++) {
      const place = placeOf(layout, row, head);
      const left = (place % columns) * pitch;
      const top = row * layerPitch + Math.floor(place / columns) * pitch;
      const x = Math.round(left * scale) + hairline;
      const y = Math.round(top * scale) + hairline;
      const width = Math.max(1, Math.round((left + pitch - gap + HAIRLINE) * scale) - x);
      const height = Math.max(1, Math.round((top + pitch - gap + HAIRLINE) * scale) - y);
      const score = board && { score: cellScore(scene, board, index, pitch, scale) };
      cells.push({ layer, head, x, y, width, height, ...score });
    }
  });
  const width = Math.round((layout.width - HAIRLINE) * scale) + hairline;
  const height = Math.round((layout.height - HAIRLINE) * scale) + hairline;
  const shading = { theme, sinkAside: options.setSinkAside };
  const pixels = composeThumbnails(thumbnails, cells, { width, height, hairline }, shading);
  const values = board?.values;
  pictures.set(thumbnails, [{ id, theme, values, pixels }, ...known].slice(0, 2));
  return pixels;
}

/** The thumbnails' own colours. */
function drawWeightRamp(surface: Surface, scene: Scene, frame: Frame, layout: Grid): void {
  const { theme, thumbnails, state } = scene;
  const { left } = layout;
  const end = rounded(thumbnails.about.scale, 3);
  const { short } = MEASURES[state.measure];
  const label = { fill: theme.muted, size: 10, anchor: "end" } as const;
  const right = Math.min(frame.width - MARGIN, Math.max(left + layout.width, left + 180));
  const x = right - textWidth(end, label.size) - 6 - 64;
  const ramp = { x, y: TITLE / 2 - 4, width: 64, height: 8 };
  surface.text(right, TITLE / 2, end, label);
  drawRamp(surface, ramp, theme.sequential, theme.rule);
  surface.text(ramp.x - 5, TITLE / 2, "0", label);
  surface.text(ramp.x - 16, TITLE / 2, `√${scene.sides ? `|Δ ${short}|` : short}`, label);
}

function drawHeader(surface: Surface, scene: Scene, layout: Grid, frame: Frame): void {
  const { theme, state } = scene;
  const { left, columns, pitch, top } = layout;
  const muted = { fill: theme.muted, size: LABEL_SIZE } as const;
  const { board, order } = layout;
  surface.text(left, TITLE / 2, order ? "rank in the layer" : "head", muted);
  if (hasLegend(scene) && !bare(scene) && (!board || pitch >= FRAMED))
    drawWeightRamp(surface, scene, frame, layout);
  if (board) {
    const line = { x: left, y: TITLE + 0.5 * NOTE, width: frame.width - left - MARGIN };
    drawScoreLegend(surface, scene, board, line);
  }
  layout.notes.forEach((note, index) => {
    const y = TITLE + (index + (board ? 1.5 : 0.5)) * NOTE;
    surface.text(left, y, note, { ...muted, size: 10, maxWidth: frame.width - left - MARGIN });
  });
  const hovered = hoveredHead(scene);
  const row = layout.layers.findIndex((layer) => layer.layer === state.layer);
  const bold = state.heads.map((head) => placeOf(layout, row, head));
  if (hovered) bold.unshift(placeOf(layout, hovered.row, hovered.head));
  const always = bold.map((place) => place % columns);
  const room = textWidth(String(columns), LABEL_SIZE, "sans", "bold") + 5;
  for (const column of labelled(columns, pitch, room, always)) {
    const strong = always.includes(column);
    surface.text(
      left + column * pitch + HAIRLINE + (pitch - layout.gap) / 2,
      top - LABELS / 2,
      String(order ? column + 1 : column),
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
function drawLayerLabels(surface: Surface, scene: Scene, layout: Grid): void {
  const { theme, state } = scene;
  const { layers, layerPitch, pitch, lines, columns } = layout;
  const selected = layers.findIndex((layer) => layer.layer === state.layer);
  const hovered = hoveredHead(scene)?.row ?? -1;
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

function drawMarks(surface: Surface, scene: Scene, layout: Grid): void {
  const { theme, state } = scene;
  const rowOf = (number: number) => layout.layers.findIndex((layer) => layer.layer === number);
  const row = rowOf(state.layer);
  const outlined = state.heads.map((head) => ({
    cell: cellRect(layout, row, head),
    colour: theme.head(head, scene.layer.num_heads),
  }));
  drawHeadOutlines(surface, outlined, theme);
  const hovered = hoveredHead(scene);
  if (hovered) {
    const { x, y, width, height } = cellRect(layout, hovered.row, hovered.head);
    const rect = { x: x - 0.5, y: y - 0.5, width: width + 1, height: height + 1 };
    surface.rect(rect, { stroke: theme.text, strokeWidth: 1 });
  }
  state.compare.forEach(([layer, head], index) => {
    drawBadge(surface, cellRect(layout, rowOf(layer), head), index, theme);
  });
}

/** Cells of this size have room for a word; narrower ones for a head's number. */
const WORDY = 48;
const NUMBERED = 24;

/** At most one label on each head, and which head it is where its column does not tell. */
function drawCellTexts(surface: Surface, { theme }: Scene, layout: Grid): void {
  const { board, pitch, order } = layout;
  if (!board || pitch < (order ? NUMBERED : WORDY)) return;
  for (const { index, row, head } of board.heads) {
    const cell = cellRect(layout, row, head);
    const faint = board.isOut(index);
    if (order) drawTag(surface, cell, String(head), "top", faint, theme);
    const label = pitch < WORDY || faint ? null : board.label(index);
    if (label) drawTag(surface, cell, labelText(label, cell.width), "bottom", false, theme);
  }
}

/** Cells lower than this have no row that could be pointed at. */
const LEAST_ROW_MARK = 12;

/** In each thumbnail a line under the newest row of a generation: what is below is not there yet. */
function drawFrontier(surface: Surface, { stage, queries, theme }: Scene, layout: Grid): void {
  if (!stage || layout.pitch < LEAST_ROW_MARK || stage.numQueries >= queries.length) return;
  layout.layers.forEach(({ num_heads }, row) => {
    for (let head = 0; head < num_heads; head++) {
      const { x, y, width, height } = cellRect(layout, row, head);
      const at = y + (height * stage.numQueries) / queries.length;
      surface.line(x, at, x + width, at, { stroke: theme.accent, opacity: 0.6 });
    }
  });
}

/** Every head that is in the frame. */
function visibleHeads(scene: Scene, layout: Grid, frame: Frame): readonly Placed[] {
  return placedHeads(scene.stream).filter(({ row, head }) => {
    const { y, height } = cellRect(layout, row, head);
    const top = y - frame.scroll;
    return top >= 0 && layout.top + top + height <= frame.height;
  });
}

/** Of too many heads, those in the selected layer's row and in the selected head's column. */
function nearest(
  heads: readonly Placed[],
  selected: Pick<Placed, "row" | "head">,
): readonly Placed[] {
  const rows = heads.map(({ row }) => row);
  const row = Math.max(Math.min(...rows), Math.min(selected.row, Math.max(...rows)));
  const distance = (one: Placed) => Math.abs(one.row - row) + Math.abs(one.head - selected.head);
  return heads
    .filter((one) => one.row === row || one.head === selected.head)
    .sort((a, b) => distance(a) - distance(b))
    .slice(0, MAX_STOPS)
    .sort((a, b) => a.row - b.row || a.head - b.head);
}

/** Every layer × head as a thumbnail, as the model has them or each layer's in a ranking. */
export const gridForm: Omit<View, "name"> = {
  contentHeight(scene, width, height) {
    const layout = gridOf(scene, width, height);
    return layout.top + layout.height + MARGIN;
  },

  draw(surface, scene, frame) {
    const layout = gridOf(scene, frame.width, frame.height);
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
        drawCellTexts(surface, scene, layout);
        drawMarks(surface, scene, layout);
      },
      { clip, x: left, y: top - frame.scroll },
    );
    const hovered = hoveredHead(scene);
    if (!hovered) return;
    const cell = cellRect(layout, hovered.row, hovered.head);
    const beside = { x: left + cell.x + cell.width, y: top + cell.y + cell.height - frame.scroll };
    drawHeadCard(surface, scene, hovered, beside, frame);
  },

  hit(scene, frame, x, y) {
    const layout = gridOf(scene, frame.width, frame.height);
    if (y < layout.top || y >= frame.height || x >= frame.width) return null;
    const place = cellAt(layout, x - layout.left, y - layout.top + frame.scroll);
    const layer = place && layout.layers[place.row];
    return layer ? { layer: layer.layer, head: place.head } : null;
  },

  stops(scene, frame) {
    const layout = gridOf(scene, frame.width, frame.height);
    const all = visibleHeads(scene, layout, frame);
    const row = layout.layers.findIndex((layer) => layer.layer === scene.state.layer);
    const heads =
      all.length <= MAX_STOPS ? all : nearest(all, { row, head: scene.state.heads[0] ?? 0 });
    return heads.map((one): Stop => {
      const { layer, head } = one;
      const { x, y, width, height } = cellRect(layout, one.row, head);
      const rect = { x: x + layout.left, y: y + layout.top - frame.scroll, width, height };
      return { layer, head, rect, name: headName(scene, layout.board, one) };
    });
  },
};
