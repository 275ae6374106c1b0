// Key positions that are set aside, resolved: shades and the width of links are those of the rest.

import type { Position, State } from "../protocol/generated.js";
import type { Words } from "./words.js";

/** With less than this left of a row, nothing can be said of the rest; the same number as for scores. */
const LEAST_LEFT = 1e-6;

/** Key positions of what is shown that are set aside. */
export interface Aside {
  /** In order; empty where nothing is set aside. */
  readonly keys: readonly number[];
  /** Stands for them in what is kept. */
  readonly id: string;
  has(key: number): boolean;
}

export const NOTHING_ASIDE: Aside = { keys: [], id: "", has: () => false };

function made(keys: readonly number[]): Aside {
  const set = new Set(keys);
  return keys.length === 0 ? NOTHING_ASIDE : { keys, id: keys.join(), has: (key) => set.has(key) };
}

/** Which of the record's keys are set aside; the same rule as `aside_keys` in Python. */
function recordKeys(positions: readonly Position[], aside: State["aside"]): readonly number[] {
  if (aside === null) return [];
  // Of a figure of some positions each says which of the record's it is.
  const chosen =
    typeof aside === "string"
      ? ({ kind }: Position, index: number) =>
          (aside.includes("first") && index === 0) ||
          (aside.includes("special") && kind === "special")
      : (_: Position, index: number) => aside.includes(index);
  return positions.flatMap((position, at) => (chosen(position, position.index ?? at) ? [at] : []));
}

const known = new WeakMap<readonly Position[], Map<string, Aside>>();

/** What is set aside of the keys of a record, or of their words: a word is when one of its pieces is. */
export function asideOf(
  positions: readonly Position[],
  aside: State["aside"],
  words: Words | null = null,
): Aside {
  if (aside === null) return NOTHING_ASIDE;
  const id = JSON.stringify([aside, words !== null]);
  const all = known.get(positions) ?? new Map<string, Aside>();
  let found = all.get(id);
  if (!found) {
    const keys = recordKeys(positions, aside);
    found = made(words ? [...new Set(keys.map((key) => words.numbers[key] ?? 0))] : keys);
    known.set(positions, all.set(id, found));
  }
  return found;
}

/** What is left of a row of weights that sum to 1, of which so much is set aside; 0 where nothing can be said of it. */
export function restOf(held: number): number {
  const rest = 1 - held;
  return rest < LEAST_LEFT ? 0 : rest;
}

/** A weight as its share of what is left; of what is no number none. */
export function shareOf(weight: number, rest: number): number {
  return rest === 0 ? 0 : Math.min(1, weight / rest);
}

/**
 * What shades of a row, 0 to 1: the weight itself, or its share of what is not set aside. A measure with
 * a scale of its own has no shares that could be dealt out: there the others stay as they are.
 */
export function shadesIn(
  row: ArrayLike<number>,
  aside: Aside,
  scale?: number,
): (key: number) => number {
  const weight = (key: number) => row[key] as number;
  if (scale !== undefined) {
    return (key) => (aside.has(key) ? 0 : Math.min(1, weight(key) / scale));
  }
  if (aside.keys.length === 0) return weight;
  const rest = restOf(aside.keys.reduce((sum, key) => sum + weight(key), 0));
  return (key) => (aside.has(key) ? 0 : shareOf(weight(key), rest));
}

/** A row as it is shaded: shares of what is not set aside, or on a scale of its own the values of the others. */
export function asideRow(row: Float32Array, aside: Aside, scale?: number): Float32Array {
  if (aside.keys.length === 0) return row;
  if (scale !== undefined) return row.map((value, key) => (aside.has(key) ? 0 : value));
  const shade = shadesIn(row, aside);
  return row.map((_, key) => shade(key));
}
