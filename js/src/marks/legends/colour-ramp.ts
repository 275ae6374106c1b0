// A colour table as a bar.

import type { Pixels, Rect, Surface } from "../../surface/surface.js";

const cache = new WeakMap<Uint8Array, Pixels>();

/** A colour table of 256 RGB triples as one row of pixels. */
function rampPixels(table: Uint8Array): Pixels {
  const known = cache.get(table);
  if (known) return known;
  const data = new Uint8ClampedArray(4 * 256);
  for (let i = 0; i < 256; i++) data.set([...table.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  const pixels = { width: 256, height: 1, data };
  cache.set(table, pixels);
  return pixels;
}

/** A colour table as a bar, lowest value left, with a hairline frame if it has a colour. */
export function drawRamp(surface: Surface, rect: Rect, table: Uint8Array, frame?: string): void {
  surface.image(rect, rampPixels(table), true);
  if (frame) surface.rect(rect, { stroke: frame });
}
