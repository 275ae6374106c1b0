// Where the strip of predictions has its layers and its tokens.

import type { Rect } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { type LensData, predictions } from "./data.js";

export const TEXT = 12;
/** The line of the likeliest tokens. */
export const WORDS = 22;
/** A token's label, and the box of what would come after it. */
export const LABEL = 16;
export const BOX = 18;
const ROW = LABEL + BOX + 8;
/** Of a layer: its number, and its box. */
export const NUMBER = 22;
const LAYER = 104;
const LAYER_ROW = BOX + 5;
const GAP = 5;
const LEAST = 26;
/** Of the word in front of the layers. */
export const NAME = 38;
const WIDEST = 110;
const PAD = 5;

export interface LensLayout {
  /** Of each layer, its number included. */
  readonly layers: readonly Rect[];
  /** Of each row, its token's label included. */
  readonly cells: readonly Rect[];
  readonly height: number;
}

/** Layers stand in columns of one width: a token that is longer moves nothing. */
function layerRects(count: number, width: number): readonly Rect[] {
  const free = width - NAME;
  const columns = Math.max(1, Math.min(count, Math.floor((free + GAP) / (LAYER + GAP))));
  const each = Math.max(NUMBER, Math.min(LAYER, free));
  return Array.from({ length: count }, (_, layer) => ({
    x: NAME + (layer % columns) * (LAYER + GAP),
    y: WORDS + Math.floor(layer / columns) * LAYER_ROW,
    width: each,
    height: BOX,
  }));
}

/** As wide as a token and all that any layer predicts there, so that another layer moves nothing. */
function cellWidth(data: LensData, row: number, most: number): number {
  const widths = Array.from({ length: data.meta.layers }, (_, layer) =>
    textWidth(predictions(data, layer, row)[0]?.label ?? "", TEXT),
  );
  const label = textWidth(data.positions[row]?.label ?? "", TEXT);
  const wished = Math.max(LEAST, label, ...widths) + 2 * PAD;
  return Math.min(most, WIDEST, Math.ceil(wished));
}

/** Tokens in lines, as text runs. */
export function lensLayout(data: LensData, width: number): LensLayout {
  const layers = layerRects(data.meta.layers, width);
  let x = 0;
  let y = (layers.at(-1)?.y ?? WORDS) + LAYER_ROW + 8;
  const cells = Array.from({ length: data.rows }, (_, row) => {
    const w = cellWidth(data, row, width);
    if (x > 0 && x + w > width) {
      x = 0;
      y += ROW;
    }
    const rect = { x, y, width: w, height: LABEL + BOX };
    x += w + GAP;
    return rect;
  });
  return { layers, cells, height: y + ROW };
}
