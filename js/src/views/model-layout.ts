import type { LayerMeta } from "../protocol/generated.js";
import type { Rect } from "../surface/surface.js";
import { textWidth } from "../surface/text.js";
import { NOTE } from "./model-legend.js";

/**
 * Where the model view's cells are. Rows are the stream's layers in its order; a layer with more
 * heads than fit is broken into several lines of `columns` heads. Lengths are CSS pixels; cells are
 * counted from the top left of the grid, which scrolls under a fixed header.
 */
export interface GridLayout {
  readonly layers: readonly LayerMeta[];
  readonly left: number;
  /** Height of the header, which does not scroll: the grid starts here. */
  readonly top: number;
  readonly columns: number;
  /** Lines per layer. */
  readonly lines: number;
  /** From one cell to the next. */
  readonly pitch: number;
  /** Between two cells: one hairline for both or, in a roomy grid, one each and space between. */
  readonly gap: number;
  readonly layerPitch: number;
  readonly width: number;
  readonly height: number;
  /** By layer the heads as they stand from left to right; as the model counts them when undefined. */
  readonly order?: readonly (readonly number[])[] | undefined;
  /** By layer the place of each head. */
  readonly places?: readonly (readonly number[])[] | undefined;
}

export const HAIRLINE = 1;
/** Room for the outline of the last row and column. */
export const MARGIN = 6;
export const TITLE = 18;
export const LABELS = 16;
export const LABEL_SIZE = 11;

const MIN_PITCH = 5;
const MAX_PITCH = 72;
/** Cells shrink to this for the grid to fit the frame's height; below, it scrolls, less dense. */
const LEGIBLE = 12;
const COMFORTABLE = 16;
const AXIS = 16;
/** From this pitch on, cells stand apart, so that two outlines fit between neighbours. */
const ROOMY = 24;
const ROOMY_GAP = 4;

export function gridLayout(
  layers: readonly LayerMeta[],
  frame: { width: number; height: number },
  notes: number,
  order?: GridLayout["order"],
): GridLayout {
  const numHeads = Math.max(1, ...layers.map((layer) => layer.num_heads));
  const number = Math.max(0, ...layers.map((layer) => layer.layer));
  const label = (text: string) => Math.ceil(textWidth(text, LABEL_SIZE, "sans", "bold"));
  let left = AXIS + label(String(number)) + 6;
  const fits = (from: number) =>
    Math.max(1, Math.floor((frame.width - from - MARGIN - HAIRLINE) / MIN_PITCH));
  if (numHeads > fits(left)) left = AXIS + Math.max(label(String(number)), label("+888")) + 6;
  const lines = Math.ceil(numHeads / fits(left));
  const columns = Math.ceil(numHeads / lines);
  const top = TITLE + LABELS + notes * NOTE;
  const across = whole((frame.width - left - MARGIN - HAIRLINE) / columns);
  const count = layers.length * lines;
  const breaks = lines > 1 ? layers.length * BREAK : 0;
  const down = whole((frame.height - top - MARGIN - HAIRLINE - breaks) / count);
  const wanted = down >= Math.min(across, LEGIBLE) ? down : COMFORTABLE;
  const pitch = Math.max(1, Math.min(across, wanted, MAX_PITCH));
  const layerPitch = lines * pitch + (lines > 1 ? BREAK : 0);
  const gap = pitch >= ROOMY ? ROOMY_GAP : HAIRLINE;
  const width = columns * pitch - gap + 2 * HAIRLINE;
  const height = layers.length * layerPitch - gap + 2 * HAIRLINE;
  const places = order?.map((heads) => {
    const place: number[] = [];
    heads.forEach((head, at) => {
      place[head] = at;
    });
    return place;
  });
  const sizes = { left, top, columns, lines, pitch, gap, layerPitch, width, height };
  return { layers, ...sizes, order, places };
}

/** Where a head stands in its layer. */
export function placeOf({ places }: GridLayout, row: number, head: number): number {
  return places?.[row]?.[head] ?? head;
}

/** Between layers whose heads take several lines. */
const BREAK = 4;

/** Small cells may differ by a pixel; it is worth a tenth of the width. */
function whole(pitch: number): number {
  return pitch < COMFORTABLE ? Math.floor(2 * pitch) / 2 : Math.floor(pitch);
}

/** The cell without its hairlines, from the grid's top left. `row` counts layers in their order. */
export function cellRect(layout: GridLayout, row: number, head: number): Rect {
  const { pitch, gap, columns, layerPitch } = layout;
  const place = placeOf(layout, row, head);
  return {
    x: (place % columns) * pitch + HAIRLINE,
    y: row * layerPitch + Math.floor(place / columns) * pitch + HAIRLINE,
    width: pitch - gap,
    height: pitch - gap,
  };
}

/** The head under a point counted from the grid's top left, or null between and beside cells. */
export function cellAt(
  layout: GridLayout,
  x: number,
  y: number,
): { readonly row: number; readonly head: number } | null {
  const { pitch, columns, layerPitch, layers } = layout;
  const row = Math.floor(y / layerPitch);
  const line = Math.floor((y - row * layerPitch) / pitch);
  const column = Math.floor(x / pitch);
  const layer = layers[row];
  if (!layer || column < 0 || column >= columns || line >= layout.lines) return null;
  const place = line * columns + column;
  return place < layer.num_heads ? { row, head: layout.order?.[row]?.[place] ?? place } : null;
}

/** Every how many cells a label of `room` pixels fits. */
export function labelStep(pitch: number, room: number): number {
  for (const step of [1, 2, 4, 5, 8, 10, 16, 20, 32, 40, 50, 64]) {
    if (step * pitch >= room) return step;
  }
  return 100;
}

/**
 * Which of `count` labels are written: those in `first`, then every `step`-th, each only where it
 * stands `room` pixels clear of the ones before it.
 */
export function labelled(
  count: number,
  pitch: number,
  room: number,
  first: readonly number[],
): readonly number[] {
  const shown: number[] = [];
  const add = (index: number) => {
    const clear = shown.every((other) => Math.abs(index - other) * pitch >= room);
    if (index >= 0 && index < count && clear) shown.push(index);
  };
  first.forEach(add);
  const step = labelStep(pitch, room);
  for (let index = 0; index < count; index += step) add(index);
  return shown.sort((a, b) => a - b);
}
