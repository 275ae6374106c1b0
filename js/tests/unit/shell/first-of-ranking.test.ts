import { expect, test } from "vitest";
import type { Chosen } from "../../../src/protocol/generated.js";
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

test.each([0, 1])(
  "the first head is by itself, also from layer %i; back are those with it",
  (layer) => {
    const [, rank, pins] = WAYS[0];
    const together: Partial<State> = { together: "mean", together_layers: [0, 1] };
    const { first, state, at } = ranked(rank, { ...pins, ...together, layer, heads: [1] });
    const several = () => readState(state.shared).together_layers;
    expect([at, several()]).toEqual([[1, 1], null]);
    expect(first.back()).toBe(true);
    expect([readState(state.shared).layer, several()]).toEqual([layer, [0, 1]]);
    expect(first.back()).toBe(true);
    expect([readState(state.shared).layer, several()]).toEqual([1, null]);
  },
);

test("what Python ranked goes back to the layers that were together", () => {
  const scene = groupedScene({ numHeads: 2, state: { layer: 1, heads: [1] } });
  const state = createState(scene.meta, scene.state);
  const first = new FirstOfRanking(state, (change) => writeState(state.shared, change));
  const { stream } = scene.state;
  const before = { layer: 0, heads: [0], together_layers: [0, 1], query: null, key: null };
  const links = { query: null, key: null, weight: 0.5, why: "", also: [] };
  state.chosen.value = { stream, layer: 1, head: 1, ...links, before } as Chosen;
  first.take();
  expect(first.back()).toBe(true);
  expect(readState(state.shared)).toMatchObject({ layer: 0, heads: [0], together_layers: [0, 1] });
});
