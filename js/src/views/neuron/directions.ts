// Directions of the head in question, and what each adds to the product of a query and a key.

import type { HeadDirections } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";

/** More rows than this would leave no room for the keys. */
const MOST = 8;

export interface Direction {
  readonly pattern: string;
  /** Its place among those of its pattern, from 0. */
  readonly place: number;
  readonly vector: readonly number[];
}

/** Those of the head that is explained, as many as have a row. */
export function directionsOf({ meta, stream, layer, state }: Scene): readonly Direction[] {
  const head = state.heads[0] ?? 0;
  const own = ({ stream: name, layer: number, head: of }: HeadDirections) =>
    name === stream.name && number === layer.layer && of === head;
  return (meta.directions ?? [])
    .filter(own)
    .flatMap(({ pattern, vectors }) =>
      vectors.map((vector, place): Direction => ({ pattern, place, vector })),
    )
    .slice(0, MOST);
}

const along = (vector: ArrayLike<number>, direction: readonly number[]) =>
  direction.reduce((sum, part, d) => sum + part * (vector[d] ?? 0), 0);

/** (q·u)(k·u); null while a vector is missing. */
export function contribution(
  query: ArrayLike<number> | null,
  key: ArrayLike<number> | null,
  { vector }: Direction,
): number | null {
  return query && key ? along(query, vector) * along(key, vector) : null;
}
