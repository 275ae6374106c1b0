// Shares of groups as they are drawn: of one head, a difference of two, of all queries or keys together.

import { type Blocks, Matrix } from "../../data/blocks.js";
import { BOTH_SIGNS } from "../../data/gradients.js";
import { combined, headsOf, type Together } from "../../data/together.js";
import { memo } from "../../marks/memo.js";
import type { Group, Measure } from "../../protocol/generated.js";
import { groupsOf } from "../../scene/groups.js";
import type { Scene } from "../../scene/scene.js";

/** Rows and columns of a matrix of shares: those groups that have queries, and those that have keys. */
export interface ShareAxes {
  readonly name: string;
  readonly from: readonly Group[];
  readonly to: readonly Group[];
  /** Their places among all groups of the grouping. */
  readonly rows: readonly number[];
  readonly columns: readonly number[];
  /** How many queries each row has. */
  readonly counts: readonly number[];
}

export function shareAxes(scene: Scene): ShareAxes | null {
  const groups = groupsOf(scene);
  if (!groups) return null;
  // Of the groups as they are shown, not of the grouping: words are fewer than their pieces.
  return memo(groups, "axes", () => {
    const { grouping } = groups;
    const places = [...grouping.groups.keys()];
    const rows = places.filter((place) => grouping.groups[place]?.queries.length);
    const columns = places.filter((place) => grouping.groups[place]?.keys.length);
    const at = (list: readonly number[]) => list.map((place) => grouping.groups[place] as Group);
    const sizes = new Map<number, number>();
    for (const place of groups.queries.numbers) sizes.set(place, (sizes.get(place) ?? 0) + 1);
    const counts = rows.map((place) => sizes.get(place) ?? 0);
    return { name: grouping.name, from: at(rows), to: at(columns), rows, columns, counts };
  });
}

/** What shares are asked for by: the measure, and whether words count. */
function pooledAs({ state, recorded }: Scene) {
  const measure = state.measure === "weights" ? {} : { measure: state.measure };
  const words = recorded !== null && state.positions === "words" ? { positions: "words" } : {};
  return { ...measure, ...words } as {
    measure?: Exclude<Measure, "weights">;
    positions?: "words";
  };
}

/** Why there are no shares of what is shown, where that is known before they are asked for. */
const NOT_OF_ROLLOUT = "Shares of groups are of single heads: choose weights, or another measure.";

export type Shares = readonly Matrix[] | { readonly error: string } | null;

/** Of every head of a layer, or of those of `heads` that it has: [from, to]; null until they have come. */
export function layerShares(
  scene: Scene,
  blocks: Blocks,
  layer: number,
  heads?: readonly number[],
): Shares {
  const axes = shareAxes(scene);
  if (!axes) return null;
  if (scene.state.measure === "rollout") return { error: NOT_OF_ROLLOUT };
  if (scene.state.measure === "gradient") return { error: BOTH_SIGNS };
  const found = blocks.groupShares(axes.name, layer, pooledAs(scene));
  if (!found || "error" in found) return found;
  // The axes are those of the grouping that the shares were asked for by.
  const all = memo(found, "cut", () => found.map((matrix) => cut(matrix, axes)));
  return heads ? heads.flatMap((head) => all[head] ?? []) : all;
}

function cut(matrix: Matrix, { rows, columns }: ShareAxes): Matrix {
  const data = new Float32Array(rows.length * columns.length);
  rows.forEach((row, y) => {
    columns.forEach((column, x) => {
      data[y * columns.length + x] = matrix.row(row)[column] as number;
    });
  });
  return new Matrix(rows.length, columns.length, data);
}

/** Of one head, [from, to]; null until they have come, or where the layer has no such head. */
export function headShares(
  scene: Scene,
  blocks: Blocks,
  layer: number,
  head: number,
): Matrix | { readonly error: string } | null {
  const found = layerShares(scene, blocks, layer, [head]);
  return found === null || "error" in found ? found : (found[0] ?? null);
}

const NO_MAXIMUM =
  "The maximum of several heads has no shares of its own: choose their mean or sum, or each by itself.";

/** Of several heads that are one: their mean or sum, which the shares of their mean or sum are. */
export function togetherShares(
  scene: Scene,
  layer: number,
  together: Together,
): Matrix | { readonly error: string } | null {
  const { how } = together;
  if (how === "max") return { error: NO_MAXIMUM };
  const refs = headsOf(together, layer);
  // All are asked for at once.
  const found = [...new Set(refs.map(([number]) => number))].map((number) => {
    const heads = refs.flatMap(([of, head]) => (of === number ? [head] : []));
    return layerShares(scene, scene.blocks, number, heads);
  });
  const each: Matrix[] = [];
  for (const shares of found) {
    if (shares === null || "error" in shares) return shares;
    each.push(...shares);
  }
  const [first] = each;
  if (!first) return null;
  const data = combined(
    each.map((matrix) => matrix.data),
    how,
  );
  return new Matrix(first.rows, first.columns, data);
}

/**
 * The share of each group of keys from one group of queries, or from all of them: then the mean over all
 * queries, each counted once.
 */
export function sharesFrom(matrix: Matrix, axes: ShareAxes, from: string | null): Float64Array {
  const totals = new Float64Array(matrix.columns);
  let count = 0;
  axes.from.forEach((group, row) => {
    if (from !== null && group.name !== from) return;
    const size = axes.counts[row] as number;
    if (size === 0) return;
    count += size;
    matrix.row(row).forEach((share, column) => {
      totals[column] = (totals[column] as number) + size * share;
    });
  });
  return totals.map((total) => total / count);
}
