// Which keys a query sees, and why it does not see the others.

import { memo } from "../../marks/memo.js";
import type { LayerMeta } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";

/** Keys that a query does not see, for one reason. */
export interface KeyGroup {
  readonly keys: readonly number[];
  readonly why: string;
}

interface Known {
  readonly scores: Float32Array | null;
  readonly weights: Float32Array | null;
}

/** Whether the query may see a key, from the most exact thing that is here. */
function visibility(
  { window, causal }: LayerMeta,
  query: number,
  { scores, weights }: Known,
  square: boolean,
): (key: number) => boolean {
  if (scores) return (key) => scores[key] !== Number.NEGATIVE_INFINITY;
  if (weights) return (key) => weights[key] !== 0;
  // With a cache in use, positions of queries and keys do not count from the same start.
  if (!causal || !square) return () => true;
  const first = window === null ? 0 : query - window + 1;
  return (key) => key <= query && key >= first;
}

function reasonOf({ layer, queries, keys }: Scene, query: number, key: number, exact: boolean) {
  if (!exact) return "weight 0";
  // Where both count the same positions, their places say which mask it was.
  const at = (axis: Scene["queries"], index: number) => axis[index]?.index ?? index;
  const offset = keys.length - queries.length;
  const [here, there] = [at(queries, query) + Math.max(0, offset), at(keys, key)];
  if (!layer.causal || offset < 0) return "masked";
  if (there > here) return "masked: later than the query";
  const { window } = layer;
  return window !== null && there <= here - window
    ? `masked: outside the window of ${window}`
    : "masked";
}

function groups(scene: Scene, query: number, unseen: readonly number[], exact: boolean) {
  const found = new Map<string, number[]>();
  for (const key of unseen) {
    const why = reasonOf(scene, query, key, exact);
    const keys = found.get(why);
    if (keys) keys.push(key);
    else found.set(why, [key]);
  }
  return Array.from(found, ([why, keys]): KeyGroup => ({ why, keys }));
}

/** The keys that a query sees, by position, and the others by the reason. All count as seen while nothing is known. */
export function keysSeen(
  scene: Scene,
  query: number,
  known: Known,
): { readonly seen: readonly number[]; readonly masked: readonly KeyGroup[] } {
  const { layer, keys, queries } = scene;
  const look = () => {
    const all = Array.from({ length: keys.length }, (_, key) => key);
    const visible = visibility(layer, query, known, queries.length === keys.length);
    const seen = all.filter(visible);
    const exact = known.scores !== null;
    const here = exact || known.weights !== null;
    if (seen.length === 0) {
      return { seen: all, masked: [{ keys: [], why: "every key is masked for this query" }] };
    }
    const unseen = here && seen.length < all.length ? all.filter((key) => !visible(key)) : [];
    return { seen, masked: groups(scene, query, unseen, exact) };
  };
  const owner = known.scores ?? known.weights;
  // A row is a new view of the same bytes every time it is read.
  const name = `keys seen by ${query} ${owner?.byteOffset} ${scene.stream.name} ${layer.layer}`;
  return owner ? memo(owner.buffer, name, look) : look();
}
