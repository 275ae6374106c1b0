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
import type { Pixels } from "../../surface/surface.js";
import { thumbnailShading } from "../shared/aside.js";
import { HAIRLINE } from "./cells.js";
import type { Board } from "./head-scores.js";
import { placedHeads } from "./heads.js";
import { type GridLayout, type LayerRow, placeRect } from "./layout.js";

interface GridPicture {
  readonly id: string;
  readonly theme: Theme;
  readonly values: Float32Array | undefined;
  readonly pixels: Pixels;
}

// The last pictures of each set of thumbnails: hovering redraws the scene, not the thumbnails.
const pictures = new WeakMap<Thumbnails, readonly GridPicture[]>();

/** From this cell size on a thumbnail is worth its place; smaller cells are filled with the score. */
export const FRAMED = 28;
/** A cell with less on a side shows one shade: of a picture nothing could be told. */
export const PICTURED = 6;
/** Smaller cells share a hairline. */
const HAIRLINED = 12;

/** How a head's score is shown in a cell: around the thumbnail, or instead of it. */
export function cellScore(
  scene: Scene,
  board: Board,
  index: number,
  pitch: number,
  scale: number,
  framed = pitch >= FRAMED,
): CellScore {
  const frame =
    !framed || withoutRecord(scene)
      ? 0
      : Math.round((scene.sides ? 2 : Math.max(3, pitch / 10)) * scale);
  return { shade: board.shade(index), frame, out: board.isOut(index) };
}

interface Means {
  /** The largest of all heads, which has the darkest shade. */
  readonly most: number;
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
    const shade = (index: number) => {
      const mean = means[index] ?? null;
      return mean === null ? null : Math.round((255 * mean) / (most || 1));
    };
    return { most: most / 255, shade };
  });
}

/** The cells of a layer in device pixels. */
function rowCells(
  scene: Scene,
  row: LayerRow,
  board: Board | null,
  { scale, hairline }: { scale: number; hairline: number },
): ThumbnailCell[] {
  const { across, down, gap, caption } = row.cells;
  const pitch = Math.min(across, down - caption);
  const { layer } = row.layer;
  const flat = pitch < PICTURED && !board ? meansOf(scene).shade : null;
  const framed = row.opened || pitch >= FRAMED;
  return row.heads.map((head, place) => {
    const rect = placeRect(row, place);
    const from = (edge: number) =>
      gap === 0 ? Math.round(edge * scale) : Math.round((edge - HAIRLINE) * scale) + hairline;
    const [x, y] = [from(rect.x), from(rect.y)];
    const width = Math.max(1, Math.round((rect.x + rect.width) * scale) - x);
    const height = Math.max(1, Math.round((rect.y + rect.height) * scale) - y);
    const score = board && {
      score: cellScore(scene, board, row.first + head, pitch, scale, framed),
    };
    return {
      layer,
      head,
      x,
      y,
      width,
      height,
      ...(flat ? { flat: flat(row.first + head) } : {}),
      ...score,
    };
  });
}

/** The whole grid at `scale` device pixels per CSS pixel; `id` names all that the layout depends on. */
export function gridPixels(
  scene: Scene,
  layout: GridLayout,
  board: Board | null,
  id: string,
  scale: number,
): Pixels {
  const { thumbnails, theme, aside } = scene;
  const full = `${id}/${scale}/${aside.id}/${board?.id}`;
  const known = pictures.get(thumbnails) ?? [];
  const same = known.find(
    (one) => one.id === full && one.theme === theme && one.values === board?.values,
  );
  if (same) return same.pixels;
  const small = layout.bent || layout.cells.down < HAIRLINED;
  const hairline = small ? 1 : Math.max(1, Math.round(HAIRLINE * scale));
  const cells = layout.rows.flatMap((row) => rowCells(scene, row, board, { scale, hairline }));
  const size = {
    width: Math.ceil(layout.width * scale),
    height: Math.ceil(layout.height * scale),
    hairline,
  };
  const shading = thumbnailShading(scene);
  const pixels = composeThumbnails(thumbnails, cells, size, shading);
  const values = board?.values;
  pictures.set(thumbnails, [{ id: full, theme, values, pixels }, ...known].slice(0, 2));
  return pixels;
}
