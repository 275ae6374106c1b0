// Model view as a grid: layer × head thumbnails.

import { drawCornerBadge, drawHeadOutlines } from "../../marks/heads/head-outlines.js";
import { onPaper, type Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import type { Frame, Stop, View } from "../view.js";
import { drawHeadCard, headName, hoveredHead } from "./card.js";
import { boardOf } from "./head-scores.js";
import {
  drawHeader,
  drawHeadNumbers,
  drawLayerLabels,
  drawLayerTitle,
  flatNote,
  gridNotes,
} from "./header.js";
import { type Placed, shownHeads } from "./heads.js";
import { type Grid, gridLayout, headAt, headRect, MARGIN, placeRect } from "./layout.js";
import { gridPixels, PICTURED } from "./picture.js";
import { shownRows } from "./rows.js";
import { drawTag, labelText } from "./tags.js";

export const MAX_STOPS = 80;
/** Of them, at least so many for other layers. */
const COLUMN_STOPS = 16;

/** Place of the selected layer among those on show, or of the one that would be next to it. */
function placeAt(rows: readonly { layer: { layer: number } }[], number: number): number {
  const place = rows.findIndex(({ layer }) => layer.layer >= number);
  return place < 0 ? Math.max(0, rows.length - 1) : place;
}

function gridOf(scene: Scene, width: number, height: number): Grid {
  const board = boardOf(scene);
  const notes = [...gridNotes(scene, board)];
  const { rows, id, numbered } = shownRows(scene, board);
  const { layer, arrange } = scene.state;
  // A figure of nothing in particular, or for paper, is as high as it gets.
  const at = onPaper(scene) || layer < 0 ? undefined : placeAt(rows, layer);
  let lines = notes.length + (board ? 1 : 0);
  const size = { width, height };
  let layout = gridLayout(rows, size, { notes: lines, at, numbered });
  const flat = layout.cells.down < PICTURED && !board;
  if (flat) {
    notes.push(flatNote(scene));
    layout = gridLayout(rows, size, { notes: ++lines, at, numbered });
  }
  const page = layout.rows.findIndex(({ opened }) => opened);
  const ranked = board !== null && arrange === "rank_by_layer";
  return {
    ...layout,
    board,
    notes,
    numbered,
    ranked,
    id: `${id}/${width}/${height}/${lines}/${page}`,
  };
}

function drawMarks(surface: Surface, scene: Scene, layout: Grid): void {
  const { theme, state, stream } = scene;
  const rowOf = (number: number) => stream.layers.findIndex(({ layer }) => layer === number);
  const row = rowOf(state.layer);
  const outlined = state.heads.flatMap((head) => {
    const cell = headRect(layout, row, head);
    return cell ? [{ cell, colour: theme.head(head, scene.layer.num_heads) }] : [];
  });
  drawHeadOutlines(surface, outlined, theme);
  const hovered = hoveredHead(scene);
  const cell = hovered && headRect(layout, hovered.row, hovered.head);
  if (cell) {
    const { x, y, width, height } = cell;
    const rect = { x: x - 0.5, y: y - 0.5, width: width + 1, height: height + 1 };
    surface.rect(rect, { stroke: theme.text, strokeWidth: 1 });
  }
  state.compare.forEach(([layer, head], index) => {
    const compared = headRect(layout, rowOf(layer), head);
    if (compared) drawCornerBadge(surface, compared, index, theme);
  });
}

/** Cells of this size have room for a word; narrower ones for a head's number. */
const WORDY = 48;
const NUMBERED = 24;

/** At most one label on each head, and which head it is where its column does not tell. */
function drawCellTexts(surface: Surface, { theme }: Scene, layout: Grid): void {
  const { board, rows, numbered, cells } = layout;
  if (!board || layout.bent || cells.across < (numbered ? WORDY : NUMBERED)) return;
  for (const row of rows) {
    row.heads.forEach((head, place) => {
      const cell = placeRect(row, place);
      const faint = board.isOut(row.first + head);
      if (!numbered) drawTag(surface, cell, String(head), "top", faint, theme);
      const label = cell.width < WORDY - 4 || faint ? null : board.label(row.first + head);
      if (label) drawTag(surface, cell, labelText(label, cell.width), "bottom", false, theme);
    });
  }
}

/** Cells lower than this have no row that could be pointed at. */
const LEAST_ROW_MARK = 12;

/** In each thumbnail a line under the newest row of a generation: what is below is not there yet. */
function drawFrontier(
  surface: Surface,
  { generationStep, queries, theme }: Scene,
  layout: Grid,
): void {
  if (!generationStep || generationStep.numQueries >= queries.length) return;
  for (const row of layout.rows) {
    if (row.cells.down < LEAST_ROW_MARK) continue;
    row.heads.forEach((_, place) => {
      const { x, y, width, height } = placeRect(row, place);
      const at = y + (height * generationStep.numQueries) / queries.length;
      surface.line(x, at, x + width, at, { stroke: theme.accent, opacity: 0.6 });
    });
  }
}

/** A cell in the frame's coordinates; null where it is not wholly in the frame. */
function inFrame(layout: Grid, cell: Rect | null, frame: Frame): Rect | null {
  if (!cell) return null;
  const top = cell.y - frame.scroll;
  if (top < 0 || layout.top + top + cell.height > frame.height) return null;
  return { ...cell, x: cell.x + layout.left, y: top + layout.top };
}

/** Of too many heads, those in the selected layer's row and in the selected head's column. */
function nearest(
  heads: readonly Placed[],
  selected: Pick<Placed, "row" | "head">,
): readonly Placed[] {
  const rows = heads.map(({ row }) => row);
  const row = Math.max(Math.min(...rows), Math.min(selected.row, Math.max(...rows)));
  const distance = (one: Placed) => Math.abs(one.row - row) + Math.abs(one.head - selected.head);
  const closest = (list: readonly Placed[], count: number) =>
    [...list].sort((a, b) => distance(a) - distance(b)).slice(0, count);
  const beside = closest(
    heads.filter((one) => one.row === row),
    MAX_STOPS - COLUMN_STOPS,
  );
  const column = heads.filter((one) => one.head === selected.head && one.row !== row);
  return [...beside, ...closest(column, MAX_STOPS - beside.length)].sort(
    (a, b) => a.row - b.row || a.head - b.head,
  );
}

/** Every layer × head as a thumbnail, as the model has them or each layer's in a ranking. */
export const gridForm: Omit<View, "name"> = {
  contentHeight(scene, width, height) {
    const layout = gridOf(scene, width, height);
    return layout.top + layout.height + MARGIN;
  },

  draw(surface, scene, frame) {
    const layout = gridOf(scene, frame.width, frame.height);
    const { left, top, board } = layout;
    surface.group("header", () => drawHeader(surface, scene, layout, frame));
    drawLayerTitle(surface, scene, layout, frame);
    const clip = { x: 0, y: top - 4, width: frame.width, height: frame.height - top + 4 };
    surface.group(
      "heads",
      () => {
        const { scale } = surface;
        const pixels = gridPixels(scene, layout, board, layout.id, scale);
        const size = { width: pixels.width / scale, height: pixels.height / scale };
        surface.image({ x: 0, y: 0, ...size }, pixels, false);
        drawLayerLabels(surface, scene, layout);
        for (const row of layout.rows) drawHeadNumbers(surface, scene, row);
        drawFrontier(surface, scene, layout);
        drawCellTexts(surface, scene, layout);
        drawMarks(surface, scene, layout);
      },
      { clip, x: left, y: top - frame.scroll },
    );
    const hovered = hoveredHead(scene);
    const cell = hovered && headRect(layout, hovered.row, hovered.head);
    if (!cell) return;
    const beside = { x: left + cell.x + cell.width, y: top + cell.y + cell.height - frame.scroll };
    drawHeadCard(surface, scene, hovered, beside, frame);
  },

  hit(scene, frame, x, y) {
    const layout = gridOf(scene, frame.width, frame.height);
    if (y < layout.top || y >= frame.height || x >= frame.width) return null;
    const place = headAt(layout, x - layout.left, y - layout.top + frame.scroll);
    const layer = place && scene.stream.layers[place.row];
    return layer ? { layer: layer.layer, head: place.head } : null;
  },

  reveal(scene, frame, { layer, head }) {
    const layout = gridOf(scene, frame.width, frame.height);
    const row = scene.stream.layers.findIndex((each) => each.layer === layer);
    const cell = headRect(layout, row, head ?? 0);
    if (!cell || inFrame(layout, cell, frame)) return null;
    const middle = cell.y + cell.height / 2 - (frame.height - layout.top) / 2;
    return Math.max(0, Math.round(middle));
  },

  stops(scene, frame) {
    const layout = gridOf(scene, frame.width, frame.height);
    const all = shownHeads(scene).filter(({ row, head }) =>
      inFrame(layout, headRect(layout, row, head), frame),
    );
    const row = scene.stream.layers.findIndex((layer) => layer.layer === scene.state.layer);
    const heads =
      all.length <= MAX_STOPS ? all : nearest(all, { row, head: scene.state.heads[0] ?? 0 });
    return heads.flatMap((one): Stop[] => {
      const { layer, head } = one;
      const rect = inFrame(layout, headRect(layout, one.row, head), frame);
      return rect ? [{ layer, head, rect, name: headName(scene, layout.board, one) }] : [];
    });
  },
};
