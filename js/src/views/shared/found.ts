// Where what the reader looks for is, along an axis.

import type { Scene } from "../../scene/scene.js";
import type { SearchHit } from "../../state/search.js";

/** Whether a position is in the hit that is looked at, in another one, or in none (null). */
export type FoundAt = (index: number) => "looked at" | "hit" | null;

interface Places {
  readonly query: ReadonlyMap<number, number>;
  readonly key: ReadonlyMap<number, number>;
}

const known = new WeakMap<readonly SearchHit[], Places>();

/** Which hit each position is in; worked out once for a search, since the pointer draws often. */
function placesOf(hits: readonly SearchHit[]): Places {
  const made = known.get(hits);
  if (made) return made;
  const places = { query: new Map<number, number>(), key: new Map<number, number>() };
  hits.forEach(({ axis, first, last }, hit) => {
    for (let index = first; index <= last; index++) places[axis].set(index, hit);
  });
  known.set(hits, places);
  return places;
}

/** The marks of an axis; undefined where nothing is looked for, or nothing of it found. */
export function foundAt(
  { found, queries, keys }: Scene,
  axis: "query" | "key",
): FoundAt | undefined {
  if (!found || found.hits.length === 0) return undefined;
  // What is queries and keys alike is searched once, as queries.
  const places = placesOf(found.hits)[queries === keys ? "query" : axis];
  if (places.size === 0) return undefined;
  return (index) => {
    const hit = places.get(index);
    if (hit === undefined) return null;
    return hit === found.at ? "looked at" : "hit";
  };
}
