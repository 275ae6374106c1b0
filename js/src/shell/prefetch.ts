import { bandRows } from "../data/store.js";
import type { Request } from "../protocol/generated.js";
import type { Scene } from "../views/view.js";

/** More heads than this at once are not a reader's next step but a survey: left to be asked for. */
const MOST_HEADS = 4;

/** What the next press of an arrow key will need: the same heads one layer up and down. */
export function neighbours({ stream, state, layer, queries, keys }: Scene): readonly Request[] {
  if (queries.length > bandRows(keys.length) || state.heads.length > MOST_HEADS) return [];
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
