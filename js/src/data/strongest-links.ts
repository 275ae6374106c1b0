// Which links of each query are drawn as lines: attnwidget/figures/thinning.py has the same rule.

import type { State } from "../protocol/generated.js";
import type { Aside } from "./aside.js";
import { strongestFirst } from "./strongest-first.js";

export type Thinning = Pick<State, "top_k" | "mass">;

/** Which of a row's links are drawn, and what they and all that are not set aside weigh. */
export interface StrongLinks {
  has(key: number): boolean;
  readonly drawn: number;
  readonly all: number;
}

/** The k first keys of largest weight, by insertion: k is a handful. */
function largest(row: ArrayLike<number>, aside: Aside, count: number): number[] {
  const best: number[] = [];
  for (let key = 0; key < row.length; key++) {
    const weight = row[key] as number;
    if (!(weight > 0) || aside.has(key)) continue;
    if (best.length === count && weight <= (row[best[count - 1] as number] as number)) continue;
    let at = best.length;
    while (at > 0 && (row[best[at - 1] as number] as number) < weight) at--;
    best.splice(at, 0, key);
    if (best.length > count) best.pop();
  }
  return best;
}

/** The fewest keys of largest weight that make up a share of all. */
function covering(row: ArrayLike<number>, aside: Aside, wanted: number): number[] {
  const order: number[] = [];
  for (let key = 0; key < row.length; key++) {
    if ((row[key] as number) > 0 && !aside.has(key)) order.push(key);
  }
  order.sort((a, b) => strongestFirst(row[a] as number, row[b] as number));
  let sum = 0;
  let count = 0;
  while (count < order.length && sum < wanted) sum += row[order[count++] as number] as number;
  return order.slice(0, count);
}

/** Beyond so many keys a handful is no longer a handful, and sorting is quicker. */
const HANDFUL = 32;

/** The strongest links of one query; of equal weights those to the earlier keys. */
export function strongestLinks(
  row: ArrayLike<number>,
  aside: Aside,
  { top_k, mass }: Thinning,
): StrongLinks {
  let all = 0;
  for (let key = 0; key < row.length; key++) {
    const weight = row[key] as number;
    if (weight > 0 && !aside.has(key)) all += weight;
  }
  if (mass === null && (top_k === null || top_k >= row.length)) {
    return { has: (key) => !aside.has(key), drawn: all, all };
  }
  const count = top_k ?? row.length;
  const keys =
    mass !== null
      ? covering(row, aside, mass * all)
      : count <= HANDFUL
        ? largest(row, aside, count)
        : covering(row, aside, Number.POSITIVE_INFINITY).slice(0, count);
  const chosen = new Set(keys);
  const drawn = keys.reduce((sum, key) => sum + (row[key] as number), 0);
  return { has: (key) => chosen.has(key), drawn, all };
}
