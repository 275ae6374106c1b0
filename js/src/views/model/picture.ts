// The grid's thumbnails as one picture, kept while nothing in it changes.

import { withoutRecord } from "../../data/meta.js";
import type { Thumbnails } from "../../data/thumbnails.js";
import {
  asideThumbnail,
  type CellScore,
  composeThumbnails,
  meanShade,
  type ThumbnailCell,
} from "../../marks/heads/thumbnails.js";
import { memo } from "../../marks/memo.js";
import type { Scene } from "../../scene/scene.js";
import type { Theme } from "../../styles/theme.js";
import type { Pixels, Surface } from "../../surface/surface.js";
import { thumbnailShading } from "../shared/aside.js";
import { HAIRLINE } from "./cells.js";
import type { Board } from "./head-scores.js";
import { placedHeads } from "./heads.js";
import { type Grid, type LayerRow, placeRect } from "./layout.js";

interface GridPicture {
  readonly id: string;
  readonly theme: Theme;
  readonly values: Float32Array | undefined;
  readonly pixels: Pixels;
}

/** The block of all layers, and the layers opened last. */
const KEPT = 4;

// The last pictures of each set of thumbnails: hovering redraws the scene, not the thumbnails.
const pictures = new WeakMap<Thumbnails, readonly GridPicture[]>();

/** From this cell size on a thumbnail is worth its place; smaller cells are filled with the score. */
export const FRAMED = 28;
/** A cell with less on a side shows one shade: of a picture nothing could be told. */
export const PICTURED = 6;
/** Smaller cells share a hairline. */
export const HAIRLINED = 12;
/** Beside an open layer, smaller cells are quiet: each by its own largest shade, and none of them dark. */
export const QUIET = 20;

/** How a head's score is shown in a cell: around the thumbnail, or instead of it. */
export function cellScore(
  scene: Scene,
  board: Board,
  index: number,
  pitch: number,
  scale: number,
): CellScore {
  const frame =
    pitch < FRAMED || withoutRecord(scene)
      ? 0
      : Math.round((scene.sides ? 2 : Math.max(3, pitch / 10)) * scale);
  return { shade: board.shade(index), frame, out: board.isOut(index) };
}

interface Means {
  /** The largest of all heads, which has the darkest shade, and the least, which has none. */
  readonly most: number;
  readonly least: number;
  /** 0..255; null while the head's thumbnail has not come. */
  shade(index: number): number | null;
}

/** One shade for each head. */
export function meansOf(scene: Scene): Means {
  const { thumbnails, aside, stream } = scene;
  return memo(thumbnails, `means ${aside.id}`, () => {
    const means = placedHeads(stream).map(({ layer, head }) => {
      const thumbnail = thumbnails.get(layer, head);
      return thumbnail && meanShade(asideThumbnail(thumbnail, thumbnailShading(scene)));
    });
    const most = means.reduce<number>((best, mean) => Math.max(best, mean ?? 0), 0);
    const least = means.reduce<number>((best, mean) => Math.min(best, mean ?? best), most);
    const shade = (index: number) => {
      const mean = means[index] ?? null;
      return mean === null ? null : Math.round((255 * (mean - least)) / (most - least || 1));
    };
    return { most: most / 255, least: least / 255, shade };
  });
}

/** Rows that are drawn as one picture, and what they lie in. */
interface Part {
  readonly rows: readonly LayerRow[];
  readonly scale: number;
  readonly hairline: number;
  /** The picture begins here. */
  readonly top: number;
  readonly quiet: boolean;
}

/** The cells of a layer in device pixels. */
function rowCells(
  scene: Scene,
  row: LayerRow,
  board: Board | null,
  { scale, hairline, top, quiet }: Part,
): ThumbnailCell[] {
  const { across, down, gap, caption } = row.cells;
  const pitch = Math.min(across, down - caption);
  const { layer } = row.layer;
  const flat = pitch < PICTURED && !board ? meansOf(scene).shade : null;
  return row.heads.map((head, place) => {
    const rect = placeRect(row, place);
    const from = (edge: number) =>
      gap === 0 ? Math.round(edge * scale) : Math.round((edge - HAIRLINE) * scale) + hairline;
    const [x, y] = [from(rect.x), from(rect.y - top)];
    const width = Math.max(1, Math.round((rect.x + rect.width) * scale) - x);
    const height = Math.max(1, Math.round((rect.y - top + rect.height) * scale) - y);
    const index = row.first + head;
    return {
      layer,
      head,
      x,
      y,
      width,
      height,
      quiet,
      ...(flat ? { flat: flat(index) } : {}),
      ...(board ? { score: cellScore(scene, board, index, pitch, scale) } : {}),
    };
  });
}

function partPixels(scene: Scene, layout: Grid, part: Part, id: string, wide: number): Pixels {
  const { thumbnails, theme, aside } = scene;
  const { board } = layout;
  const { scale, rows, hairline, top } = part;
  const full = `${id}/${scale}/${aside.id}/${board?.id}`;
  const known = pictures.get(thumbnails) ?? [];
  const same = known.find(
    (one) => one.id === full && one.theme === theme && one.values === board?.values,
  );
  if (same) return same.pixels;
  const cells = rows.flatMap((row) => rowCells(scene, row, board, part));
  const last = rows.at(-1) as LayerRow;
  const high = last.y + last.height - last.cells.gap - last.cells.caption + 2 * HAIRLINE - top;
  const size = { width: Math.ceil(wide * scale), height: Math.ceil(high * scale), hairline };
  const shading = thumbnailShading(scene);
  const pixels = composeThumbnails(thumbnails, cells, size, shading);
  const values = board?.values;
  const kept = [{ id: full, theme, values, pixels }, ...known].slice(0, KEPT);
  pictures.set(thumbnails, kept);
  return pixels;
}

/** All layers as one picture, and the open one as another: opening a layer makes only that one anew. */
export function drawGridPicture(surface: Surface, scene: Scene, layout: Grid): void {
  const { rows, open, id, width, cells } = layout;
  const { scale } = surface;
  const draw = (name: string, part: Part) => {
    const pixels = partPixels(scene, layout, part, `${id}/${name}`, width);
    const size = { width: pixels.width / scale, height: pixels.height / scale };
    surface.image({ x: 0, y: part.top, ...size }, pixels, false);
  };
  if (open) {
    draw(`open ${open.row}`, { rows: [open], scale, hairline: 1, top: 0, quiet: false });
  }
  const [first] = rows;
  if (!first) return;
  const thin = open !== null || cells.down < HAIRLINED;
  const hairline = thin ? 1 : Math.max(1, Math.round(HAIRLINE * scale));
  const quiet = open !== null && Math.min(cells.across, cells.down) < QUIET && !layout.board;
  draw("", { rows, scale, hairline, top: first.y, quiet });
}
