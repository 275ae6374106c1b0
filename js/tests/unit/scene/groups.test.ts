import { expect, test } from "vitest";
import { wordsOf } from "../../../src/data/words.js";
import { filterNotes, groupFilter, groupsOf } from "../../../src/scene/groups.js";
import type { Scene } from "../../../src/scene/scene.js";
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
