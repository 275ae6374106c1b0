// The selection, with all pins of an axis, and its form as traits.

import type { Pins, State as Traits } from "../protocol/generated.js";

/** The shared selection as the front end works with it: the leading pin of each axis, and all of them. */
export interface State extends Omit<Traits, "query" | "key"> {
  readonly query: number | null;
  readonly key: number | null;
  /** All pinned positions; `query` and `key` are the first of them, or null. */
  readonly queries: readonly number[];
  readonly keys: readonly number[];
}

export const listed = (pins: Pins | undefined): readonly number[] =>
  pins === null || pins === undefined ? [] : typeof pins === "number" ? [pins] : pins;

const pinsOf = (list: readonly number[]): Pins => (list.length > 1 ? [...list] : (list[0] ?? null));

export function fromTraits(traits: Traits): State {
  const [queries, keys] = [listed(traits.query), listed(traits.key)];
  return { ...traits, query: queries[0] ?? null, key: keys[0] ?? null, queries, keys };
}

export function toTraits({ queries, keys, ...rest }: State): Traits {
  return { ...rest, query: pinsOf(queries), key: pinsOf(keys) };
}

/** A change of one pin alone lets go of the others of its axis; one of all of them sets the first. */
export function withPins(change: Partial<State>): Partial<State> {
  const { query, key, queries, keys, ...rest } = change;
  const axis = (one: number | null | undefined, all: readonly number[] | undefined) =>
    all ?? (one === undefined ? undefined : listed(one));
  const [q, k] = [axis(query, queries), axis(key, keys)];
  return {
    ...rest,
    ...(q ? { query: q[0] ?? null, queries: q } : {}),
    ...(k ? { key: k[0] ?? null, keys: k } : {}),
  };
}
