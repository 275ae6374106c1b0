// Bars: one of a length, and signed ones for each element of a vector.

import type { PathStep, Rect, Surface } from "../surface/surface.js";

export interface SignedColours {
  readonly negative: string;
  readonly positive: string;
  /** The zero line. */
  readonly rule: string;
}

/** A bar from the left edge, `value` of `max`. */
export function drawBar(
  surface: Surface,
  rect: Rect,
  value: number,
  max: number,
  fill: string,
): void {
  if (!(value > 0) || !(max > 0)) return;
  surface.rect({ ...rect, width: rect.width * Math.min(1, value / max) }, { fill });
}

/**
 * One signed bar per value, side by side over the whole width, on an axis over `range`, which holds
 * zero. One path per sign: a head of 256 dimensions is two things in a figure, not 256.
 */
export function drawSignedBars(
  surface: Surface,
  rect: Rect,
  values: ArrayLike<number>,
  range: readonly [number, number],
  colours: SignedColours,
): void {
  const [low, high] = range;
  const tall = high > low ? rect.height / (high - low) : 0;
  const zero = rect.y + Math.max(0, high) * tall;
  const pitch = rect.width / Math.max(1, values.length);
  const gap = pitch >= 3 ? 1 : 0;
  const paths: Record<"negative" | "positive", PathStep[]> = { negative: [], positive: [] };
  for (let i = 0; i < values.length && tall > 0; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value) || value === 0) continue;
    const end = zero - value * tall;
    const x = rect.x + i * pitch;
    const right = x + pitch - gap;
    paths[value < 0 ? "negative" : "positive"].push(
      ["M", x, zero],
      ["L", x, end],
      ["L", right, end],
      ["L", right, zero],
      ["Z"],
    );
  }
  for (const sign of ["negative", "positive"] as const) {
    if (paths[sign].length > 0) surface.path(paths[sign], { fill: colours[sign] });
  }
  surface.line(rect.x, zero, rect.x + rect.width, zero, { stroke: colours.rule });
}
