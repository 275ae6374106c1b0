import { bandRows } from "../data/store.js";
import type { Request } from "../protocol/generated.js";
import type { Scene } from "../views/view.js";

/** Fetching ahead moves at most this much: what is asked for next should not wait behind it. */
const MOST_BYTES = 4 << 20;

/** What the next press of an arrow key will need: the same heads one layer up and down. */
export function neighbours(scene: Scene): readonly Request[] {
  const { stream, state, layer, queries, keys } = scene.plain ?? scene;
  if (state.measure === "rollout" || scene.sides) return [];
  const bytes = 2 * 4 * queries.length * keys.length * state.heads.length;
  if (queries.length > bandRows(keys.length) || bytes > MOST_BYTES) return [];
  const at = stream.layers.indexOf(layer);
  return [stream.layers[at + 1], stream.layers[at - 1]].flatMap((other) =>
    other
      ? state.heads
          .filter((head) => head < other.num_heads)
          .map((head) => ({
            what: "weights" as const,
            stream: stream.name,
            layer: other.layer,
            head,
            queries: [0, queries.length],
          }))
      : [],
  );
}
