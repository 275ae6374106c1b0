// Where the colour scale of long heads ends.

import { scaleEnd } from "../../marks/matrix/shading.js";
import { memo } from "../../marks/memo.js";
import type { Scene } from "../../scene/scene.js";
import { type Series, scaleOf } from "../shared/series.js";
import { hasLongAxis, headSource, type TileSource } from "./tile-source.js";

/** Heads with a larger weight than this are told apart on a scale that ends at 1. */
const FAINT = 0.5;

/** Where a map's scale ends. */
export interface MapScale {
  /** Undefined for weights whose scale ends at 1. */
  readonly end: number | undefined;
  /** Whether there are weights beyond the end: they have the last shade. */
  readonly beyond: boolean;
}

/** Of a causal head, this part of the queries sees few keys, among which weights are large anyway. */
const EARLY = 1 / 16;

/**
 * The largest weight apart from those on the first keys, of which the first is the sink, and those of
 * early queries: what the tile of all of the map shows, whatever part of it is in sight. Null while it
 * is not here.
 */
function largestApart(source: TileSource, causal: boolean): number | null {
  const tile = source.drawn(source.top, [0, 0], "now");
  if (!tile) return null;
  return memo(tile.data, `largest apart ${causal}`, () => {
    let most = 0;
    for (let row = causal ? Math.ceil(EARLY * tile.rows) : 0; row < tile.rows; row++)
      for (const weight of tile.row(row).subarray(1)) most = Math.max(most, weight);
    return most;
  });
}

/**
 * The scale that the maps of some heads share. A thousand keys leave little to each: where none of
 * the heads gives half or more to one key, the scale ends above the largest of the weights that stand
 * out, and says that a few others lie beyond.
 * Of a generation that is shown as it came about it ends at 1, at every step.
 */
export function mapScale(scene: Scene, series: readonly Series[], count: number): MapScale {
  const { state, drawing, generationStep } = scene;
  const own = scaleOf(series);
  const plain = own !== undefined || state.measure !== "weights" || generationStep !== null;
  if (plain || !hasLongAxis(scene)) return { end: own, beyond: false };
  if (drawing?.panel) return { end: drawing.end, beyond: drawing.end !== undefined };
  let most = 0;
  // All are read before one is missed, so that all are asked for together.
  for (const one of series) {
    const causal = scene.stream.layers.find(({ layer }) => layer === one.layer)?.causal ?? false;
    most = Math.max(most, largestApart(headSource(scene, one, count), causal) ?? 0);
  }
  const faint = most > 0 && most < FAINT;
  return { end: faint ? scaleEnd(most) : undefined, beyond: faint };
}
