import { expect, test } from "vitest";
import { wordsOf } from "../../../src/data/words.js";
import { blocksAtStep } from "../../../src/scene/generation-step.js";
import { filterNotes, groupFilter, groupsOf } from "../../../src/scene/groups.js";
import type { Scene } from "../../../src/scene/scene.js";
import { shareAxes } from "../../../src/views/groups/shares.js";
import { groupedScene } from "../../support/grouped-scene.js";

const runs = (scene: Scene) =>
  groupsOf(scene)?.queries.runs.map(({ start, stop, group }) => [start, stop, group]);

test("an axis is cut into the runs of its groups", () => {
  expect(runs(groupedScene())).toEqual([
    [0, 5, 0],
    [5, 9, 1],
    [9, 11, 2],
  ]);
  expect(groupsOf(groupedScene({ state: { grouping: null } }))).toBeNull();
});

test("a word is in the group of its first piece", () => {
  const record = groupedScene({ state: { positions: "words" } });
  const queries = record.queries.map((position, index) =>
    index === 5 ? { ...position, continues: true } : position,
  );
  const words = wordsOf(queries)?.positions ?? [];
  const own = { ...record, queries, keys: queries, recorded: null };
  const scene: Scene = { ...own, queries: words, keys: words, recorded: own };
  expect(words).toHaveLength(10);
  expect(runs(scene)).toEqual([
    [0, 5, 0],
    [5, 8, 1],
    [8, 10, 2],
  ]);
});

test("a filter keeps the queries of one group and the keys of another", () => {
  expect(groupFilter(groupedScene())).toBeNull();
  const scene = groupedScene({ state: { from_group: "B", to_group: "A" } });
  const filter = groupFilter(scene);
  const all = [...scene.queries.keys()];
  expect(all.filter((index) => filter?.query(index))).toEqual([5, 6, 7, 8]);
  expect(all.filter((index) => filter?.key(index))).toEqual([0, 1, 2, 3, 4]);
  expect(filterNotes(scene)).toEqual(["only B → A is drawn; numbers are of all"]);
  const from = groupFilter(groupedScene({ state: { from_group: "B" } }));
  expect(all.every((index) => from?.key(index))).toBe(true);
  expect(from?.id).not.toBe(filter?.id);
});

test("at a step of a generation groups are of the positions that there are", () => {
  const generationStep = { step: 1, numQueries: 7, numKeys: 7 };
  const scene: Scene = { ...groupedScene(), generationStep };
  const found = groupsOf(scene);
  expect(found?.grouping.groups.map(({ queries }) => queries)).toEqual([[[0, 5]], [[5, 7]], []]);
  expect(runs(scene)).toEqual([
    [0, 5, 0],
    [5, 7, 1],
  ]);
  // The same ones at every frame, and all of them again without a step.
  expect(groupsOf({ ...scene })).toBe(found);
  expect(runs(groupedScene())).toHaveLength(3);
  const axes = shareAxes(scene);
  expect(axes?.from.map(({ name }) => name)).toEqual(["A", "B"]);
  expect(axes?.rows).toEqual([0, 1]);
});

test("shares at a step are asked for of the queries that there are", () => {
  const asked: unknown[] = [];
  const scene = groupedScene({}, (...request) => {
    asked.push(request);
    return null;
  });
  const step = { step: 0, numQueries: 6, numKeys: 6 };
  blocksAtStep(scene.blocks, step).groupShares("segment", 1, { measure: "norm" });
  expect(asked).toEqual([["segment", 1, { measure: "norm", queries: [0, 6] }]]);
});
