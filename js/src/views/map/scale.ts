// Where the colour scale of maps ends.

import type { Span } from "../../data/tiles.js";
import { rounded } from "../../marks/format.js";
import { scaleEnd } from "../../marks/matrix/shading.js";
import { memo } from "../../marks/memo.js";
import type { Scene } from "../../scene/scene.js";
import { ofMetric } from "../shared/measure.js";
import { type Series, scaleOf } from "../shared/series.js";
import { headSource, type TileSource } from "./tile-source.js";
import { type Sight, sightOf } from "./window.js";

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

/** The cells of a tile that show any of a span, of which each stands for so many positions. */
const within = ([start, stop]: Span, cell: number, count: number): Span => [
  Math.max(0, Math.floor(start / cell)),
  Math.min(count, Math.ceil(stop / cell)),
];

/**
 * The largest weight in sight apart from those on the first keys, of which the first is the sink, and
 * those of early queries, while there are others: of long heads by the tile of all of the map, which is
 * there before finer ones. Null while it is not here.
 */
function largestInSight(source: TileSource, causal: boolean, sight: Sight): number | null {
  const tile = source.drawn(source.top, [0, 0], "now");
  if (!tile) return null;
  const cell = 2 ** source.top;
  const rows = within(sight.down, cell, tile.rows);
  const columns = within(sight.across, cell, tile.columns);
  return memo(tile.data, `largest apart ${causal} ${rows} ${columns}`, () => {
    const early = causal ? Math.ceil(EARLY * tile.rows) : 0;
    const top = early < rows[1] ? Math.max(rows[0], early) : rows[0];
    const left = columns[1] > 1 ? Math.max(1, columns[0]) : columns[0];
    let most = 0;
    for (let row = top; row < rows[1]; row++)
      for (const weight of tile.row(row).subarray(left, columns[1])) most = Math.max(most, weight);
    return most;
  });
}

/**
 * The scale that the maps of some heads share. Many keys leave little to each: where none of the
 * heads gives half or more to one key in sight, the scale ends above the largest of the weights that
 * stand out, and says that a few others lie beyond.
 * Where the scale is fixed, and of a generation that is shown as it came about, it ends at 1.
 */
export function mapScale(scene: Scene, series: readonly Series[], count: number): MapScale {
  const { state, drawing, generationStep } = scene;
  // Panels share the scale of what their links add: its end is the largest of all of them.
  if (ofMetric(scene) && drawing?.panel) return { end: drawing.end, beyond: false };
  const own = scaleOf(series);
  const plain = own !== undefined || state.measure !== "weights" || generationStep !== null;
  if (plain || state.shade === "fixed") return { end: own, beyond: false };
  if (drawing?.panel) return { end: drawing.end, beyond: drawing.end !== undefined };
  const sight = sightOf(scene);
  let most = 0;
  // All are read before one is missed, so that all are asked for together.
  for (const one of series) {
    const causal = scene.stream.layers.find(({ layer }) => layer === one.layer)?.causal ?? false;
    most = Math.max(most, largestInSight(headSource(scene, one, count), causal, sight) ?? 0);
  }
  const faint = most > 0 && most < FAINT;
  return { end: faint ? scaleEnd(most) : undefined, beyond: faint };
}

/** What a legend says of a scale that is not that of all weights. */
export const scaleTitle = (title: string, { end, beyond }: MapScale): string =>
  beyond && end !== undefined ? `${title}, full shade ${rounded(end, 3)}` : title;
