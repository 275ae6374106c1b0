// Model view as a grid: layer × head thumbnails.

import { drawCornerBadge, drawHeadOutlines } from "../../marks/heads/head-outlines.js";
import { memo } from "../../marks/memo.js";
import { onPaper, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import type { Frame, Stop, View } from "../view.js";
import { drawOut } from "../what-if/heads.js";
import { isOut } from "../what-if/parts.js";
import { drawCaptions } from "./captions.js";
import { drawHeadCard, headName, hoveredHead } from "./card.js";
import { COMFORTABLE, type LayerCells, WORDED } from "./cells.js";
import {
  drawHeadList,
  headList,
  headListStops,
  hitHeadList,
  linesWanted,
  listHeight,
} from "./head-list.js";
import { boardOf } from "./head-scores.js";
import {
  drawColumnLabels,
  drawHeader,
  drawLayerLabels,
  drawLayerTitle,
  flatNote,
  gridNotes,
} from "./header.js";
import { type Placed, shownHeads } from "./heads.js";
import {
  drawnRows,
  type Grid,
  type GridLayout,
  type GridOptions,
  gridLayout,
  headAt,
  headRect,
  headRects,
  LABELS,
  MARGIN,
  placeRect,
} from "./layout.js";
import { drawGridPicture, HAIRLINED, PICTURED, QUIET } from "./picture.js";
import { type ShownRow, shownRows } from "./rows.js";
import { drawTag, labelText } from "./tags.js";

/** What the keyboard stops at. */
export const MAX_STOPS = 80;
/** Of them, at least so many for other layers. */
const COLUMN_STOPS = 16;
/** Of the list of what heads do, as far as the heads leave any. */
const LIST_STOPS = 24;

/** Place of the selected layer among those on show, or of the one that would be next to it. */
function placeAt(rows: readonly { layer: { layer: number } }[], number: number): number {
  const place = rows.findIndex(({ layer }) => layer.layer >= number);
  return place < 0 ? Math.max(0, rows.length - 1) : place;
}

type Rows = readonly ShownRow[];
interface Size {
  readonly width: number;
  readonly height: number;
}

/** The layout is asked for on every move of the pointer, which changes nothing in it. */
function layoutOf(rows: Rows, { width, height }: Size, { notes, at }: GridOptions): GridLayout {
  const key = `layout ${width} ${height} ${notes} ${at}`;
  return memo(rows, key, () => gridLayout(rows, { width, height }, { notes, at }));
}

const STEPS = [WORDED, QUIET, COMFORTABLE, HAIRLINED, PICTURED];
/** Cells below one of these sizes show less. */
const ALL_STEPS = { open: STEPS, all: STEPS };
/** Cells below one of these cannot be read any more: those of an open layer, and those of all. */
const READABLE = { open: [COMFORTABLE], all: [PICTURED] };

/** Whether the cells of one grid show as much as those of another, by the sizes from which they show less. */
function showsAsMuch(one: GridLayout, other: GridLayout, { open, all } = ALL_STEPS): boolean {
  const steps = ({ across, down, caption }: LayerCells, of: readonly number[]) =>
    of.filter((step) => Math.min(across, down - caption) >= step).length;
  if (steps(one.cells, all) < steps(other.cells, all)) return false;
  if (!one.open || !other.open) return !one.open && !other.open;
  return steps(one.open.cells, open) >= steps(other.open.cells, open);
}

/**
 * The grid, and below it room for a list: as many of its lines as take nothing from what cells show, or
 * one. Where the grid has no room to give, the list is scrolled to as the last layers are.
 */
function aboveList(
  rows: Rows,
  size: Size,
  options: GridOptions,
  most: number,
): { readonly layout: GridLayout; readonly room: number } {
  const whole = layoutOf(rows, size, options);
  if (most === 0 || whole.abreast) return { layout: whole, room: 0 };
  const above = (lines: number) => {
    const room = listHeight(lines);
    const height = size.height - room;
    const layout = layoutOf(rows, { ...size, height }, options);
    return { layout, room, fits: layout.top + layout.height + MARGIN <= height };
  };
  for (let lines = most; lines > 0; lines--) {
    const found = above(lines);
    if (found.fits && showsAsMuch(found.layout, whole)) return found;
  }
  const least = above(1);
  const readable = least.fits && showsAsMuch(least.layout, whole, READABLE);
  return readable ? least : { layout: whole, room: listHeight(most) };
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
  const whole = layoutOf(rows, size, { notes: lines, at });
  if (whole.cells.down < PICTURED && !board) {
    notes.push(flatNote(scene));
    lines++;
  }
  const { layout, room } = aboveList(rows, size, { notes: lines, at }, linesWanted(scene));
  const ranked = board !== null && arrange === "rank_by_layer";
  return {
    ...layout,
    board,
    notes,
    numbered,
    ranked,
    listHeight: room,
    // What is open stands in a picture of its own: the block of all layers is the same for each.
    id: `${id}/${width}/${height - room}/${lines}/${layout.open?.height ?? 0}`,
  };
}

/** Heads that are out, wherever they stand. */
function drawEdits(surface: Surface, scene: Scene, layout: Grid): void {
  if (!scene.edited) return;
  for (const { row, layer, head } of shownHeads(scene)) {
    if (!isOut(scene, layer, head)) continue;
    for (const cell of headRects(layout, row, head)) drawOut(surface, scene, cell);
  }
}

function drawMarks(surface: Surface, scene: Scene, layout: Grid): void {
  const { theme, state, stream } = scene;
  const rowOf = (number: number) => stream.layers.findIndex(({ layer }) => layer === number);
  const row = rowOf(state.layer);
  const outlined = state.heads.flatMap((head) => {
    const colour = theme.head(head, scene.layer.num_heads);
    return headRects(layout, row, head).map((cell) => ({ cell, colour }));
  });
  drawHeadOutlines(surface, outlined, theme);
  const hovered = hoveredHead(scene);
  for (const cell of hovered ? headRects(layout, hovered.row, hovered.head) : []) {
    const { x, y, width, height } = cell;
    const rect = { x: x - 0.5, y: y - 0.5, width: width + 1, height: height + 1 };
    surface.rect(rect, { stroke: theme.text, strokeWidth: 1 });
  }
  state.compare.forEach(([layer, head], index) => {
    for (const cell of headRects(layout, rowOf(layer), head)) {
      drawCornerBadge(surface, cell, index, theme);
    }
  });
}

/** Cells of this size have room for a word; narrower ones for a head's number. */
const WORDY = 48;
const NUMBERED = 24;

/** At most one label on each head, and which head it is where its column does not tell. */
function drawCellTexts(surface: Surface, { theme }: Scene, layout: Grid): void {
  const { board, rows, numbered, cells } = layout;
  // Words below the cells leave the pictures whole.
  if (!board || layout.open || cells.caption > 0) return;
  if (cells.across < (numbered ? WORDY : NUMBERED)) return;
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
  for (const row of drawnRows(layout)) {
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
  most: number,
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
  return [...beside, ...closest(column, most - beside.length)].sort(
    (a, b) => a.row - b.row || a.head - b.head,
  );
}

function hitCell(scene: Scene, layout: Grid, frame: Frame, x: number, y: number): Hit | null {
  if (y < layout.top) return null;
  const place = headAt(layout, x - layout.left, y - layout.top + frame.scroll);
  const layer = place && scene.stream.layers[place.row];
  return layer ? { layer: layer.layer, head: place.head } : null;
}

/** A layer's number opens the layer, a head's number stands for this head in all layers. */
function hitLabels(layout: Grid, frame: Frame, x: number, y: number): Hit | null {
  const { left, top, rows, axis, cells, numbered, ranked, abreast } = layout;
  if (abreast) return null;
  const down = y - top + frame.scroll;
  if (x < left - 1 && y >= top) {
    const row = rows.find((each) => down >= each.y && down < each.y + each.height);
    return row ? { layer: row.layer.layer, action: "open-layer" } : null;
  }
  // Above the grid they stay where they are, above the block they scroll with it.
  const fixed = axis !== null && axis < 0 ? y - top : down;
  if (axis === null || ranked || !numbered || Math.abs(fixed - axis) > LABELS / 2) return null;
  const column = Math.floor((x - left) / cells.across);
  if (x < left || column >= cells.columns) return null;
  return { head: column, action: "head-in-all-layers" };
}

/** The card of the head under the pointer, clear of the cell that it speaks of. */
function drawHoverCard(surface: Surface, scene: Scene, layout: Grid, frame: Frame): void {
  const hovered = hoveredHead(scene);
  const { hover } = scene;
  if (!hovered) return;
  const { left, top, height } = layout;
  const rects = headRects(layout, hovered.row, hovered.head).map((rect) => ({
    ...rect,
    x: left + rect.x,
    y: top + rect.y - frame.scroll,
  }));
  const pointed = rects.find((rect) => contains(rect, hover?.x ?? 0, hover?.y ?? 0));
  const cell = pointed ?? rects[0];
  if (cell) drawHeadCard(surface, scene, hovered, cell, frame, top + height - frame.scroll);
}

/** Every layer × head as a thumbnail, as the model has them or each layer's in a ranking. */
export const gridForm: Omit<View, "name"> = {
  contentHeight(scene, width, height) {
    const layout = gridOf(scene, width, height);
    return layout.top + layout.height + layout.listHeight + MARGIN;
  },

  draw(surface, scene, frame) {
    const layout = gridOf(scene, frame.width, frame.height);
    const { left, top } = layout;
    surface.group("header", () => drawHeader(surface, scene, layout, frame));
    drawLayerTitle(surface, scene, layout, frame);
    const clip = { x: 0, y: top - 4, width: frame.width, height: frame.height - top + 4 };
    surface.group(
      "heads",
      () => {
        drawGridPicture(surface, scene, layout);
        drawLayerLabels(surface, scene, layout);
        if (layout.axis !== null && layout.axis >= 0) {
          drawColumnLabels(surface, scene, layout, { x: 0, y: 0 });
        }
        drawFrontier(surface, scene, layout);
        drawCellTexts(surface, scene, layout);
        drawEdits(surface, scene, layout);
        drawMarks(surface, scene, layout);
        for (const row of drawnRows(layout)) {
          drawCaptions(surface, scene, layout, row);
        }
      },
      { clip, x: left, y: top - frame.scroll },
    );
    const list = headList(scene, layout, frame);
    if (list) {
      const draw = () => drawHeadList(surface, scene, list);
      surface.group("head-list", draw, { clip, y: -frame.scroll });
    }
    drawHoverCard(surface, scene, layout, frame);
  },

  hit(scene, frame, x, y) {
    const layout = gridOf(scene, frame.width, frame.height);
    if (y < 0 || y >= frame.height || x >= frame.width) return null;
    const list = y < layout.top ? null : headList(scene, layout, frame);
    const named = list && hitHeadList(list, x, y + frame.scroll);
    if (named) return { layer: named.layer, head: named.head };
    return hitLabels(layout, frame, x, y) ?? hitCell(scene, layout, frame, x, y);
  },

  reveal(scene, frame, { layer, head }) {
    const layout = gridOf(scene, frame.width, frame.height);
    const row = scene.stream.layers.findIndex((each) => each.layer === layer);
    const cell = headRect(layout, row, head ?? 0);
    // Of the open layer either place will do: what was clicked in the block stays where it is.
    const seen = headRects(layout, row, head ?? 0).some((each) => inFrame(layout, each, frame));
    if (!cell || seen) return null;
    const middle = cell.y + cell.height / 2 - (frame.height - layout.top) / 2;
    return Math.max(0, Math.round(middle));
  },

  stops(scene, frame) {
    const layout = gridOf(scene, frame.width, frame.height);
    const all = shownHeads(scene).filter(({ row, head }) =>
      inFrame(layout, headRect(layout, row, head), frame),
    );
    const row = scene.stream.layers.findIndex((layer) => layer.layer === scene.state.layer);
    const list = headList(scene, layout, frame);
    // Of too many heads the list shares what is left beside a row with the other layers.
    const most = MAX_STOPS - (list ? COLUMN_STOPS / 2 : 0);
    const selected = { row, head: scene.state.heads[0] ?? 0 };
    const heads = all.length <= MAX_STOPS ? all : nearest(all, selected, most);
    const stops = heads.flatMap((one): Stop[] => {
      const { layer, head } = one;
      const rect = inFrame(layout, headRect(layout, one.row, head), frame);
      return rect ? [{ layer, head, rect, name: headName(scene, layout.board, one) }] : [];
    });
    const left = Math.min(LIST_STOPS, MAX_STOPS - stops.length);
    const listed = (list ? headListStops(list, left) : [])
      .map((stop) => ({ ...stop, rect: { ...stop.rect, y: stop.rect.y - frame.scroll } }))
      .filter(({ rect: { y, height } }) => y >= layout.top && y + height <= frame.height);
    return [...stops, ...listed];
  },
};
