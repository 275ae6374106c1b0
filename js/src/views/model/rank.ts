// Model view as one ranking of all heads.

import { drawCornerBadge, drawHeadOutlines } from "../../marks/heads/head-outlines.js";
import { composeThumbnails, type ThumbnailCell } from "../../marks/heads/thumbnails.js";
import { memo } from "../../marks/memo.js";
import type { LayerMeta } from "../../protocol/generated.js";
import { onPaper, type Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { ellipsize } from "../../surface/text.js";
import { thumbnailShading } from "../shared/aside.js";
import type { Frame, Stop, View } from "../view.js";
import { drawOut } from "../what-if/heads.js";
import { isOut } from "../what-if/parts.js";
import { drawHeadCard, headName, hoveredHead } from "./card.js";
import { MAX_STOPS } from "./grid.js";
import { type Board, boardOf } from "./head-scores.js";
import type { Placed } from "./heads.js";
import { drawScoreLegend, NOTE, scoreNotes } from "./legend.js";
import { cellScore } from "./picture.js";

const LEFT = 6;
const TILE = 50;
const PITCH = 60;
const CAPTION = 13;
const LINE_PITCH = TILE + 2 * CAPTION + 8;
const CAPTION_SIZE = 10;

/** All heads in one ranking, line after line; heads that are out are left out. */
interface Ranked {
  readonly board: Board;
  readonly heads: readonly Placed[];
  readonly notes: readonly string[];
  readonly top: number;
  readonly columns: number;
  readonly height: number;
}

function rankedOf(scene: Scene, width: number): Ranked | null {
  const board = boardOf(scene);
  if (!board) return null;
  const heads = board.order.filter(({ index }) => !board.isOut(index));
  const notes = scoreNotes(scene, board);
  const columns = Math.max(1, Math.floor((width - LEFT) / PITCH));
  const height = Math.ceil(heads.length / columns) * LINE_PITCH;
  return { board, heads, notes, top: 4 + NOTE * (1 + notes.length) + 6, columns, height };
}

/** A tile's thumbnail, from the top left of the first one. */
function tileRect({ columns }: Ranked, place: number): Rect {
  const x = LEFT + (place % columns) * PITCH;
  return { x, y: Math.floor(place / columns) * LINE_PITCH, width: TILE, height: TILE };
}

/** Places whose tiles reach into the frame. */
function inSight(ranked: Ranked, frame: Frame): { first: number; last: number } {
  const lines = (from: number) => Math.floor(from / LINE_PITCH) * ranked.columns;
  const last = lines(frame.scroll + frame.height - ranked.top) + ranked.columns;
  return { first: Math.max(0, lines(frame.scroll)), last: Math.min(ranked.heads.length, last) };
}

/** What is drawn of them: in a figure of a screen, which cannot be scrolled, only lines that are whole. */
function drawnTiles(scene: Scene, ranked: Ranked, frame: Frame): { first: number; last: number } {
  const all = inSight(ranked, frame);
  if (!scene.drawing || onPaper(scene)) return all;
  const { columns, top, heads } = ranked;
  const first = Math.ceil(frame.scroll / LINE_PITCH) * columns;
  const bottom = frame.scroll + frame.height - top;
  // The last line needs no room below its captions.
  const last = Math.floor((bottom + LINE_PITCH - TILE - 2 * CAPTION) / LINE_PITCH) * columns;
  return { first, last: Math.max(first, Math.min(heads.length, last)) };
}

/** Of a ranking that a figure has a part of, which one: nothing else says that there is more. */
function partNote(scene: Scene, ranked: Ranked, frame: Frame): string {
  const { first, last } = drawnTiles(scene, ranked, frame);
  const count = ranked.heads.length;
  if (!scene.drawing || last - first >= count) return "";
  const which = first === 0 ? `the first ${last}` : `places ${first + 1}–${last}`;
  return ` · ${which} of ${count} heads`;
}

function drawTiles(surface: Surface, scene: Scene, ranked: Ranked, frame: Frame): void {
  const { thumbnails, theme, aside } = scene;
  const { board, heads, columns } = ranked;
  const { first, last } = drawnTiles(scene, ranked, frame);
  if (last <= first) return;
  const { scale } = surface;
  const top = tileRect(ranked, first).y;
  const key = `ranked ${first} ${last} ${columns} ${scale} ${theme.name} ${aside.id} ${board.id}`;
  const pixels = memo(board.values, `${key} ${thumbnails.numQueries}`, () => {
    const cells = heads.slice(first, last).map(({ index, layer, head }, at): ThumbnailCell => {
      const { x, y } = tileRect(ranked, first + at);
      const place = { x: Math.round((x - LEFT) * scale), y: Math.round((y - top) * scale) };
      const side = Math.round(TILE * scale);
      const score = cellScore(scene, board, index, PITCH, scale);
      return { layer, head, ...place, width: side, height: side, score };
    });
    const lines = Math.ceil((last - first) / columns);
    const width = Math.round(columns * PITCH * scale);
    const height = Math.round(lines * LINE_PITCH * scale);
    const shading = thumbnailShading(scene);
    return composeThumbnails(thumbnails, cells, { width, height, hairline: 1 }, shading);
  });
  const size = { width: pixels.width / scale, height: pixels.height / scale };
  surface.image({ x: LEFT, y: top, ...size }, pixels, false);
  for (let place = first; place < last; place++) drawCaption(surface, scene, ranked, place);
}

/** Two digits: there is room for no more, and the card has them all. */
function shortNumber(value: number): string {
  if (Number.isNaN(value)) return "–";
  return value > 0 && value < 0.005 ? "<0.01" : value.toFixed(2);
}

/** Which head it is, its score, and its label below. */
function drawCaption(surface: Surface, { theme }: Scene, ranked: Ranked, place: number): void {
  const { board } = ranked;
  const { index, layer, head } = ranked.heads[place] as Placed;
  const { x, y } = tileRect(ranked, place);
  const line = y + TILE + CAPTION / 2 + 2;
  surface.text(x, line, `${layer}·${head}`, {
    fill: theme.text,
    size: CAPTION_SIZE,
    weight: "bold",
  });
  const value = board.values[index] as number;
  const style = { fill: theme.text, size: CAPTION_SIZE, anchor: "end" } as const;
  surface.text(x + TILE, line, shortNumber(value), style);
  const label = board.label(index);
  if (!label) return;
  const text = ellipsize(label.text, PITCH - 4, 9);
  surface.text(x, line + CAPTION - 1, text, { fill: theme.muted, size: 9 });
}

function drawMarks(
  surface: Surface,
  scene: Scene,
  ranked: Ranked,
  { first, last }: { readonly first: number; readonly last: number },
): void {
  const { theme, state, stream } = scene;
  const numHeads = (head: Placed) => (stream.layers[head.row] as LayerMeta).num_heads;
  const placeOf = (layer: number, head: number) => {
    const place = ranked.heads.findIndex((one) => one.layer === layer && one.head === head);
    return place >= first && place < last ? place : -1;
  };
  const outlined = state.heads.flatMap((head) => {
    const place = placeOf(state.layer, head);
    const one = ranked.heads[place];
    if (!one) return [];
    return [{ cell: tileRect(ranked, place), colour: theme.head(head, numHeads(one)) }];
  });
  ranked.heads.forEach(({ layer, head }, place) => {
    const seen = place >= first && place < last && isOut(scene, layer, head);
    if (seen) drawOut(surface, scene, tileRect(ranked, place));
  });
  drawHeadOutlines(surface, outlined, theme);
  const hovered = hoveredHead(scene);
  const at = hovered ? placeOf(hovered.layer, hovered.head) : -1;
  if (at >= 0) {
    const { x, y } = tileRect(ranked, at);
    const rect = { x: x - 0.5, y: y - 0.5, width: TILE + 1, height: TILE + 1 };
    surface.rect(rect, { stroke: theme.text, strokeWidth: 1 });
  }
  state.compare.forEach(([layer, head], index) => {
    const place = placeOf(layer, head);
    if (place >= 0) drawCornerBadge(surface, tileRect(ranked, place), index, theme);
  });
}

function placeAt(ranked: Ranked, x: number, y: number): number | null {
  const column = Math.floor((x - LEFT) / PITCH);
  const line = Math.floor(y / LINE_PITCH);
  if (column < 0 || column >= ranked.columns || line < 0) return null;
  if (x - LEFT - column * PITCH > TILE || y - line * LINE_PITCH > TILE + 2 * CAPTION) return null;
  const place = line * ranked.columns + column;
  return place < ranked.heads.length ? place : null;
}

/** All heads of all layers, best first; null where there is no score to rank them by. */
export const rankForm: Omit<View, "name"> = {
  contentHeight(scene, width) {
    const ranked = rankedOf(scene, width);
    return ranked ? ranked.top + ranked.height : 0;
  },

  draw(surface, scene, frame) {
    const ranked = rankedOf(scene, frame.width);
    if (!ranked) return;
    const { theme } = scene;
    const { board, top, notes } = ranked;
    const width = frame.width - 2 * LEFT;
    surface.group("header", () => {
      drawScoreLegend(surface, scene, board, { x: LEFT, y: 4 + NOTE / 2, width });
      notes.forEach((note, line) => {
        const y = 4 + (line + 1.5) * NOTE;
        const part = line === 0 ? partNote(scene, ranked, frame) : "";
        surface.text(LEFT, y, `layer·head · ${note}${part}`, {
          fill: theme.muted,
          size: 10,
          maxWidth: width,
        });
      });
    });
    const clip = { x: 0, y: top - 4, width: frame.width, height: frame.height - top + 4 };
    surface.group(
      "heads",
      () => {
        drawTiles(surface, scene, ranked, frame);
        drawMarks(surface, scene, ranked, drawnTiles(scene, ranked, frame));
      },
      { clip, y: top - frame.scroll },
    );
    const hovered = hoveredHead(scene);
    const place = hovered ? ranked.heads.findIndex(({ index }) => index === hovered.index) : -1;
    if (!hovered || place < 0) return;
    const tile = tileRect(ranked, place);
    const cell = { ...tile, y: top + tile.y - frame.scroll, height: TILE + 2 * CAPTION };
    drawHeadCard(surface, scene, hovered, cell, frame, top + ranked.height - frame.scroll);
  },

  hit(scene, frame, x, y) {
    const ranked = rankedOf(scene, frame.width);
    if (!ranked || y < ranked.top || y >= frame.height) return null;
    const place = placeAt(ranked, x, y - ranked.top + frame.scroll);
    if (place === null) return null;
    const { layer, head } = ranked.heads[place] as Placed;
    return { layer, head };
  },

  reveal(scene, frame, { layer, head }) {
    const ranked = rankedOf(scene, frame.width);
    const place = ranked?.heads.findIndex((one) => one.layer === layer && one.head === head) ?? -1;
    if (!ranked || place < 0) return null;
    const room = frame.height - ranked.top;
    const { y } = tileRect(ranked, place);
    if (y >= frame.scroll && y + LINE_PITCH <= frame.scroll + room) return null;
    return Math.max(0, Math.round(y + LINE_PITCH / 2 - room / 2));
  },

  stops(scene, frame) {
    const ranked = rankedOf(scene, frame.width);
    if (!ranked) return [];
    const { first, last } = inSight(ranked, frame);
    return ranked.heads.slice(first, last).flatMap((one, at): Stop[] => {
      const { x, y, width, height } = tileRect(ranked, first + at);
      const rect = { x, y: ranked.top + y - frame.scroll, width, height };
      if (at >= MAX_STOPS || rect.y < ranked.top || rect.y + height > frame.height) return [];
      const { layer, head } = one;
      return [{ layer, head, rect, name: headName(scene, ranked.board, one) }];
    });
  },
};
