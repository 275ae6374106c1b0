// The frame around a label in which something was found, and the tick where there is no label.

import type { Theme } from "../../styles/theme.js";
import type { Rect, Surface } from "../../surface/surface.js";

/** What a position is marked with, as `FoundAt` of the views says it. */
export type FoundMark = "looked at" | "hit";
export type MarkOf = (index: number) => FoundMark | null;

const AIR = 2;
const TICK = 3;

/** As in the running text: the hit that is looked at has the thicker line. */
export function drawFoundFrame(
  surface: Surface,
  { x, y, width, height }: Rect,
  mark: FoundMark,
  theme: Theme,
): void {
  const box = { x: x - AIR, y, width: width + 2 * AIR, height };
  surface.rect(box, { stroke: theme.positive, strokeWidth: mark === "looked at" ? 2.5 : 1.25 });
}

/**
 * Ticks along an edge for positions without a label each: `at` says where one begins and how long it is.
 * Where thousands fall on one pixel, that has one tick.
 */
export function drawFoundTicks(
  surface: Surface,
  indices: Iterable<number>,
  markOf: MarkOf,
  at: (index: number) => { readonly from: number; readonly length: number },
  edge: { readonly side: "left" | "right" | "above"; readonly at: number },
  theme: Theme,
): void {
  const seen = new Set<number>();
  for (const index of indices) {
    const mark = markOf(index);
    if (!mark) continue;
    const { from, length } = at(index);
    if (seen.has(Math.round(from)) && mark === "hit") continue;
    seen.add(Math.round(from));
    const long = Math.max(2, length);
    const thick = mark === "looked at" ? TICK + 2 : TICK;
    const before = edge.at - thick;
    const rect =
      edge.side === "above"
        ? { x: from, y: before, width: long, height: thick }
        : { x: edge.side === "left" ? before : edge.at, y: from, width: thick, height: long };
    surface.rect(rect, { fill: theme.positive });
  }
}
