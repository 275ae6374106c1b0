// Vectors as strips of coloured cells.

import type { Pixels, Surface } from "../../surface/surface.js";

/** Colours for -max..max; entry 128 of the table is exactly nothing. */
export interface SignedScale {
  readonly table: Uint8Array;
  readonly max: number;
}

/** Largest magnitude, ignoring what is not a number. */
export function largest(values: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i] as number);
    if (size > max && size < Number.POSITIVE_INFINITY) max = size;
  }
  return max;
}

/** From the lowest to the highest value, zero included. */
export function extent(values: ArrayLike<number>): readonly [number, number] {
  let [low, high] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

/** Entry of a diverging table for a value, by the square root of its size: a scale of a whole head has room for outliers. */
export function shade(value: number, max: number): number {
  if (!(max > 0) || Number.isNaN(value)) return 128;
  const size = Math.sqrt(Math.min(1, Math.abs(value) / max));
  return Math.round(128 + 127 * Math.sign(value) * size);
}

export interface StripRows {
  /** From one strip to the next, and how much of that is coloured, in pixels of the picture. */
  readonly pitch: number;
  readonly height: number;
  /** At most this many columns; more elements share a column, the largest magnitude showing. */
  readonly columns: number;
}

/**
 * Vectors as strips of coloured cells below one another; between strips the picture is transparent.
 * A null is a vector that has not come: its strip stays empty.
 */
export function stripPixels(
  vectors: readonly (ArrayLike<number> | null)[],
  order: ArrayLike<number> | null,
  { table, max }: SignedScale,
  { pitch, height, columns }: StripRows,
): Pixels {
  const dims = vectors.reduce((most, vector) => Math.max(most, vector?.length ?? 0), 0);
  const width = Math.max(1, Math.min(dims, Math.floor(columns)));
  const rows = Math.max(1, (vectors.length - 1) * pitch + height);
  const data = new Uint8ClampedArray(4 * width * rows);
  vectors.forEach((vector, row) => {
    if (!vector) return;
    for (let x = 0; x < width; x++) {
      let value = 0;
      const last = Math.floor(((x + 1) * dims) / width);
      for (let place = Math.floor((x * dims) / width); place < last; place++) {
        const here = vector[order ? (order[place] as number) : place] as number;
        if (Math.abs(here) > Math.abs(value)) value = here;
      }
      const from = 3 * shade(value, max);
      for (let y = row * pitch; y < row * pitch + height; y++) {
        const to = 4 * (y * width + x);
        data[to] = table[from] as number;
        data[to + 1] = table[from + 1] as number;
        data[to + 2] = table[from + 2] as number;
        data[to + 3] = 255;
      }
    }
  });
  return { width, height: rows, data };
}

/** One vector as a strip. */
export function drawStrip(
  surface: Surface,
  rect: { x: number; y: number; width: number; height: number },
  vector: ArrayLike<number>,
  order: ArrayLike<number> | null,
  scale: SignedScale,
): void {
  const columns = Math.max(1, rect.width * surface.scale);
  surface.image(rect, stripPixels([vector], order, scale, { pitch: 1, height: 1, columns }));
}
