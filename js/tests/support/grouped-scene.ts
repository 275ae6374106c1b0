import { type Blocks, Matrix } from "../../src/data/blocks.js";
import type { Group, Grouping } from "../../src/protocol/generated.js";
import { attentionScene, type Given } from "./attention-scene.js";

type Ranges = [number, number][];
const group = (name: string, queries: Ranges, keys: Ranges = queries): Group => ({
  name,
  label: name,
  queries,
  keys,
});

/** Two texts of 5 and 4 tokens, and two tokens that are in neither. */
export const PAIR: Grouping = {
  name: "segment",
  groups: [group("A", [[0, 5]]), group("B", [[5, 9]]), group("rest", [[9, 11]])],
};
const SPECIAL: Grouping = {
  name: "special",
  groups: [group("special", [[0, 1]]), group("content", [[1, 11]])],
};

/** What every head gives: 0.1 for each layer and head more from a group to itself. */
export function shares(layer: number, heads: number): readonly Matrix[] {
  return Array.from({ length: heads }, (_, head) => {
    const own = 0.2 + 0.1 * layer + 0.05 * head;
    const other = (1 - own) / 2;
    const rows = [0, 1, 2].flatMap((from) => [0, 1, 2].map((to) => (from === to ? own : other)));
    return new Matrix(3, 3, Float32Array.from(rows));
  });
}

/** A scene of eleven tokens in the two texts of a pair. */
export function groupedScene(
  given: Given = {},
  answer: Blocks["groupShares"] = (_, layer) => shares(layer, given.numHeads ?? 4),
): ReturnType<typeof attentionScene> {
  const scene = attentionScene({
    ...given,
    state: { grouping: "segment", ...given.state },
  });
  const stream = { ...scene.stream, groupings: [PAIR, SPECIAL] };
  const meta = { ...scene.meta, streams: [stream] };
  return { ...scene, stream, meta, blocks: { ...scene.blocks, groupShares: answer } };
}
