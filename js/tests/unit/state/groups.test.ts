import { expect, test } from "vitest";
import { click, groupRanking, rankByGroups } from "../../../src/state/actions.js";
import { clickGroups, fittingGroups, groupsAt } from "../../../src/state/groups.js";
import { clampTo } from "../../../src/state/signals.js";
import { groupedScene, PAIR } from "../../support/grouped-scene.js";

const { stream, meta, state } = groupedScene();

test("a stream shows its usual grouping in place of one that it has not, and no end that is not in it", () => {
  const given = { grouping: "role", from_group: "user", to_group: "B" };
  expect(fittingGroups(stream, given)).toEqual({
    grouping: "segment",
    from_group: null,
    to_group: "B",
  });
  expect(fittingGroups(stream, { ...given, grouping: null })).toEqual({
    grouping: null,
    from_group: null,
    to_group: null,
  });
  expect(fittingGroups({ ...stream, groupings: [] }, given).grouping).toBeNull();
  expect(clampTo(meta, { ...state, from_group: "user" }).from_group).toBeNull();
});

test("a group without queries is no group to look from", () => {
  const keysOnly = {
    ...PAIR,
    groups: [...PAIR.groups, { name: "C", label: "C", queries: [], keys: [[0, 1]] }],
  };
  const grouping = keysOnly as typeof PAIR;
  expect(groupsAt(grouping, "queries").map(({ name }) => name)).toEqual(["A", "B", "rest"]);
  expect(groupsAt(grouping, "keys").map(({ name }) => name)).toContain("C");
});

test("a click on a share chooses both ends, a second one lets them go", () => {
  const hit = { layer: 0, head: 1, from: "A", to: "B" };
  const chosen = click(state, "head", hit, false);
  expect(chosen).toEqual({ from_group: "A", to_group: "B" });
  expect(click({ ...state, ...chosen }, "head", hit, false)).toEqual({
    from_group: null,
    to_group: null,
  });
  expect(clickGroups(state, { from: "A", to: null })).toEqual({ from_group: "A", to_group: null });
});

test("a small head is selected by a click, and added by one with Shift", () => {
  const hit = { layer: 0, head: 2, action: "show-head" } as const;
  expect(click(state, "head", hit, false)).toEqual({ layer: 0, heads: [2] });
  expect(click({ ...state, heads: [1] }, "head", hit, true)).toEqual({ heads: [1, 2] });
});

test("the share from one group to the other ranks heads", () => {
  expect(groupRanking(state)).toBeNull();
  const chosen = { ...state, from_group: "A" };
  expect(rankByGroups(chosen)).toEqual({
    ranking: { grouping: "segment", from: "A", to: null },
    score: "ranking",
    arrange: "rank",
  });
  expect(rankByGroups({ ...chosen, arrange: "scatter" }).arrange).toBeUndefined();
});
