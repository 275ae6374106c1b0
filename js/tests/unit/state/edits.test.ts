import { expect, test } from "vitest";
import type { Intervention } from "../../../src/protocol/generated.js";
import {
  adopt,
  clear,
  groupOut,
  headsOut,
  inForce,
  linkOut,
  NO_EDITS,
  partKey,
  redo,
  remove,
  toggle,
  tokenOut,
  undo,
} from "../../../src/state/edits.js";
import { attentionScene } from "../../support/attention-scene.js";
import { groupedScene } from "../../support/grouped-scene.js";

const head = (at: number): Intervention => ({
  ablate: [[at, at]],
  how: "zero",
  stream: null,
  source: null,
});
const [A, B] = [head(0), head(1)];

test("a selection becomes the part that Python writes", () => {
  const { meta, state } = attentionScene({ state: { layer: 1, heads: [2, 0] } });
  expect(headsOut(meta, state)).toEqual({
    ablate: [
      [1, 0],
      [1, 2],
    ],
    how: "zero",
    stream: null,
    source: null,
  });
  expect(linkOut(meta, state)).toBeNull();
  expect(tokenOut(meta, state)).toBeNull();
  const rest = { layers: null, stream: null, renormalise: true };
  const pinned = { ...state, query: 8, queries: [8], key: 3, keys: [3] };
  const heads = [
    [1, 0],
    [1, 2],
  ];
  expect(linkOut(meta, pinned)).toEqual({ cut: { query: 8, key: 3 }, heads, ...rest });
  const several = { ...pinned, queries: [8, 2], keys: [4, 3] };
  expect(linkOut(meta, several)).toMatchObject({ cut: { query: [2, 8], key: [3, 4] } });
  expect(tokenOut(meta, pinned)).toEqual({ cut: { query: null, key: 3 }, heads: null, ...rest });
  // All heads at once have no heads to take away, and no links of their own.
  const rollout = { ...pinned, measure: "rollout" } as const;
  expect([headsOut(meta, rollout), linkOut(meta, rollout)]).toEqual([null, null]);
});

test("a pinned query is hidden where queries and keys are the same tokens, and only there", () => {
  const { meta, state, stream } = attentionScene({ state: { query: 5 } });
  expect(tokenOut(meta, state)).toBeNull();
  const one = { ...stream, key_positions: stream.query_positions };
  const self = { ...meta, streams: [one] as typeof meta.streams };
  expect(tokenOut(self, state)).toMatchObject({ cut: { query: null, key: 5 } });
});

test("of several streams the one on show is named", () => {
  const { meta, state, stream } = attentionScene();
  const streams = [stream, { ...stream, name: "other" }] as typeof meta.streams;
  expect(headsOut({ ...meta, streams }, state)).toMatchObject({ stream: "self" });
});

test("a group is hidden from all, or from the other group that is chosen", () => {
  const { meta, state, stream } = groupedScene({ state: { to_group: "A" } });
  const grouping = stream.groupings?.find(({ name }) => name === state.grouping);
  const positions = (name: string, axis: "queries" | "keys") =>
    grouping?.groups
      .find((group) => group.name === name)
      ?.[axis].flatMap(([from, to]) => Array.from({ length: to - from }, (_, n) => from + n));
  const key = positions("A", "keys");
  expect(key?.length).toBeGreaterThan(1);
  expect(groupOut(meta, state)).toMatchObject({ cut: { query: null, key }, heads: null });
  expect(groupOut(meta, { ...state, from_group: "B" })).toMatchObject({
    cut: { query: positions("B", "queries"), key },
  });
  expect(groupOut(meta, { ...state, to_group: null })).toBeNull();
});

test("chips are switched, forgotten and cleared, and each step can be undone and redone", () => {
  const one = toggle(NO_EDITS, A);
  const two = toggle(one, B);
  expect(inForce(two)).toEqual([A, B]);
  const off = toggle(two, A);
  expect(off.chips).toEqual([
    { part: A, on: false },
    { part: B, on: true },
  ]);
  expect(inForce(off)).toEqual([B]);
  const gone = remove(off, A);
  expect(gone.chips).toEqual([{ part: B, on: true }]);
  expect(remove(gone, A)).toBe(gone);
  const none = clear(gone);
  expect(none.chips).toEqual([]);
  expect(clear(none)).toBe(none);
  let history = none;
  for (const before of [gone, off, two, one, NO_EDITS]) {
    const step = undo(history);
    expect(step?.chips).toEqual(before.chips);
    history = step ?? history;
  }
  expect(undo(history)).toBeNull();
  expect(redo(history)?.chips).toEqual(one.chips);
  // What was undone is gone once something else is done.
  expect(redo(toggle(history, B))).toBeNull();
});

test("what Python puts in force becomes chips; what was refused is off, what was taken away is gone", () => {
  const two = toggle(toggle(NO_EDITS, A), B);
  expect(adopt(two, [A, B], { refused: false })).toBe(two);
  // The same parts, as another program writes their fields.
  const { stream, source, how, ablate } = A as Extract<Intervention, { how: string }>;
  expect(adopt(two, [{ stream, source, how, ablate }, B], { refused: false })).toBe(two);
  expect(adopt(two, [A], { refused: false }).chips).toEqual([{ part: A, on: true }]);
  expect(adopt(two, [A], { refused: true }).chips).toEqual([
    { part: A, on: true },
    { part: B, on: false },
  ]);
  const off = toggle(two, A);
  expect(adopt(off, [], { refused: false }).chips).toEqual([{ part: A, on: false }]);
  // In Python's order: edits apply one after the other.
  expect(inForce(adopt(two, [B, A], { refused: false }))).toEqual([B, A]);
  expect(undo(adopt(two, [A], { refused: false }))?.chips).toEqual(two.chips);
});

test("a part is the same whatever the order of its fields, and not whatever that of its heads", () => {
  expect(partKey({ a: 1, b: { d: [1, 2], c: null } })).toBe(
    partKey({ b: { c: null, d: [1, 2] }, a: 1 }),
  );
  expect(partKey({ d: [1, 2] })).not.toBe(partKey({ d: [2, 1] }));
});
