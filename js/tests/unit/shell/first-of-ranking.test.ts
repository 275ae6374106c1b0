import { expect, test } from "vitest";
import { FirstOfRanking } from "../../../src/shell/first-of-ranking.js";
import { rankByGroups, rankByPins } from "../../../src/state/actions.js";
import type { State } from "../../../src/state/selection.js";
import { createState, readState, writeState } from "../../../src/state/signals.js";
import { groupedScene } from "../../support/grouped-scene.js";

/** Of two layers of two heads, head 1 of layer 1 has most. */
const NUMBERS = { shape: [4], data: Float32Array.from([0.1, 0.2, 0.3, 0.9]) };

function ranked(rank: (state: State) => Partial<State>, chosen: Partial<State>) {
  const before = { layer: 0, heads: [0] as [number] };
  const scene = groupedScene({
    numHeads: 2,
    state: { ...before, ...chosen },
    headNumbers: () => NUMBERS,
  });
  const state = createState(scene.meta, scene.state);
  const first = new FirstOfRanking(state, (change) => writeState(state.shared, change));
  first.rank(rank(scene.state));
  first.look({ ...scene, state: readState(state.shared) });
  const { layer, heads, arrange } = readState(state.shared);
  return { first, state, arrange, at: [layer, ...heads] };
}

const WAYS = [
  ["these links", rankByPins, { queries: [4], keys: [1] }],
  ["the share between these groups", rankByGroups, { from_group: "B", to_group: "A" }],
] as const;

test.each(WAYS)(
  "a ranking by %s shows its first head, says why, and goes back",
  (by, rank, chosen) => {
    const { first, state, arrange, at } = ranked(rank, chosen);
    expect([arrange, at]).toEqual(["rank", [1, 1]]);
    expect(state.chosen.peek()).toMatchObject({
      layer: 1,
      head: 1,
      weight: NUMBERS.data[3],
      why: `the first of the heads ranked by ${by}`,
    });
    expect(first.back()).toBe(true);
    const { layer, heads } = readState(state.shared);
    expect([layer, heads]).toEqual([0, [0]]);
  },
);
