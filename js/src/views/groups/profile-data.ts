// Shares of groups over the layers: of each group of keys the mean over the heads, and how far heads are apart.

import { memo } from "../../marks/memo.js";
import type { Scene } from "../../scene/scene.js";
import { layerShares, shareAxes, sharesFrom } from "./shares.js";

/** One group of keys in one layer. */
export interface ProfilePoint {
  readonly mean: number;
  /** The middle half of the heads, and all of them. */
  readonly low: number;
  readonly high: number;
  readonly least: number;
  readonly most: number;
}

export interface ProfileLine {
  readonly name: string;
  /** In the order of the layers; null where they have not come, or no head has a number. */
  readonly points: readonly (ProfilePoint | null)[];
}

export interface Profile {
  /** Those with the most weight, in the grouping's order, and how many others there are. */
  readonly lines: readonly ProfileLine[];
  readonly left: number;
  readonly layers: readonly number[];
  readonly loaded: number;
  readonly error: string | null;
}

/** More lines than this cannot be followed. */
const MOST_LINES = 12;

/** Between two values, as numpy's quantile. */
function quantile(sorted: readonly number[], part: number): number {
  const at = part * (sorted.length - 1);
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

function pointOf(values: readonly number[]): ProfilePoint | null {
  const known = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  if (known.length === 0) return null;
  return {
    mean: known.reduce((sum, value) => sum + value, 0) / known.length,
    low: quantile(known, 0.25),
    high: quantile(known, 0.75),
    least: known[0] as number,
    most: known.at(-1) as number,
  };
}

const weightOf = ({ points }: ProfileLine) =>
  points.reduce((sum, point) => sum + (point?.mean ?? 0), 0);

/** What `from_group` gives each group, over the layers of the stream; null where no groups are shown. */
export function profileOf(scene: Scene): Profile | null {
  const axes = shareAxes(scene);
  if (!axes) return null;
  const { stream, blocks, state } = scene;
  let error: string | null = null;
  let loaded = 0;
  const { from_group } = state;
  const layers = stream.layers.map(({ layer }) => {
    const found = layerShares(scene, blocks, layer);
    if (found && "error" in found) error ??= `Layer ${layer}: ${found.error}`;
    if (!found || "error" in found) return null;
    loaded++;
    return memo(found, `points ${JSON.stringify(from_group)}`, () => {
      const heads = found.map((matrix) => sharesFrom(matrix, axes, from_group));
      return axes.to.map((_, column) => pointOf(heads.map((shares) => shares[column] as number)));
    });
  });
  const all = axes.to.map(({ name }, column): ProfileLine => {
    const points = layers.map((each) => each?.[column] ?? null);
    return { name, points };
  });
  const ranked = [...all].sort((a, b) => weightOf(b) - weightOf(a));
  const kept = new Set(ranked.slice(0, MOST_LINES));
  const lines = all.filter((line) => kept.has(line));
  return {
    lines,
    left: all.length - lines.length,
    layers: stream.layers.map(({ layer }) => layer),
    loaded,
    error,
  };
}
