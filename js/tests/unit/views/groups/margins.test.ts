import { expect, test } from "vitest";
import { NOTHING_ASIDE } from "../../../../src/data/aside.js";
import { groupFilter } from "../../../../src/scene/groups.js";
import type { Scene } from "../../../../src/scene/scene.js";
import type { State } from "../../../../src/state/selection.js";
import { headView } from "../../../../src/views/head/view.js";
import { linesLayout } from "../../../../src/views/lines/layout.js";
import {
  allLinks,
  drawnShare,
  focusLinks,
  type LinesInput,
} from "../../../../src/views/lines/links.js";
import { groupBorders, marginRuns } from "../../../../src/views/shared/groups.js";
import { headSeries, pinnedFocus } from "../../../../src/views/shared/series.js";
import { groupedScene } from "../../../support/grouped-scene.js";
import { draw, FRAME, textsOf } from "../../../support/token-scenes.js";

test.each(["lines", "matrix"] as const)(
  "groups are named at both axes, the rest is not: %s",
  (form) => {
    const scene = groupedScene({ state: { form } });
    const surface = draw(scene, { ...FRAME, width: 600 });
    for (const name of ["A", "B"]) expect(textsOf(surface, name)).toHaveLength(2);
    expect(textsOf(surface, "rest")).toHaveLength(0);
    const bare = draw(groupedScene({ state: { form, grouping: null } }), { ...FRAME, width: 600 });
    expect(textsOf(bare, "A")).toHaveLength(0);
  },
);

test("runs stand where their positions are, those that are left out are faded", () => {
  const scene = groupedScene({ state: { from_group: "B" } });
  expect(groupBorders(scene, "queries")).toEqual([5, 9]);
  const runs = marginRuns(scene, "queries", (index) => 10 * index);
  expect(runs).toEqual([
    { from: 0, to: 50, label: "A", faded: true },
    { from: 50, to: 90, label: "B", faded: false },
    { from: 90, to: 110, label: "", faded: true },
  ]);
});

/** Links as the head view makes them, in a window over all tokens. */
function inputOf(scene: Scene, top_k: number | null): LinesInput {
  const { queries, keys } = scene;
  return {
    layout: linesLayout({
      rect: { x: 0, y: 0, width: 400, height: 400 },
      queries,
      keys,
      rowHeight: 20,
      scroll: 0,
      numbers: 0,
      labelSize: 12,
    }),
    series: headSeries(scene, { isolate: false }),
    pinned: { query: null, key: null },
    aside: NOTHING_ASIDE,
    thinning: { top_k, mass: null },
    full: false,
    groups: groupFilter(scene),
    focus: pinnedFocus(scene),
    pictures: 1,
  };
}

test("links are from one group to another, the strongest of each query among these", () => {
  const scene = groupedScene({ state: { from_group: "A", to_group: "B", heads: [0] } });
  const links = allLinks(inputOf(scene, 1));
  expect(links.length).toBe(5);
  for (let at = 0; at < links.length; at++) {
    const [query, key] = [links.query[at] as number, links.key[at] as number];
    expect(query).toBeLessThan(5);
    const row = scene.heads(0, 0).weights.row(query);
    const best = [5, 6, 7, 8].reduce((a, b) => ((row[a] as number) >= (row[b] as number) ? a : b));
    expect(key).toBe(best);
    expect(links.weight[at]).toBeCloseTo(row[key] as number, 6);
  }
  // The share is of all that these queries give, not of what they give the group.
  const all = drawnShare(inputOf(scene, null)) ?? 0;
  const rows = [0, 1, 2, 3, 4].map((query) => scene.heads(0, 0).weights.row(query));
  const toB = rows.map((row) => row.slice(5, 9).reduce((sum, weight) => sum + weight, 0));
  expect(all).toBeCloseTo(toB.reduce((a, b) => a + b) / 5, 5);
});

test("the fan of a query or a key outside is empty", () => {
  const state = { from_group: "A", heads: [0] };
  const query = groupedScene({ state: { ...state, query: 7 } });
  expect(focusLinks(inputOf(query, null)).length).toBe(0);
  const key = groupedScene({ state: { ...state, key: 2 } });
  const links = focusLinks(inputOf(key, null));
  expect(links.length).toBeGreaterThan(0);
  for (let at = 0; at < links.length; at++) expect(links.query[at]).toBeLessThan(5);
});

test("a matrix has a veil over what is left out, and still answers there", () => {
  const state: Partial<State> = { form: "matrix", heads: [0] };
  const veils = (scene: Scene) =>
    draw(scene).calls.filter(
      ({ group, kind }) => kind === "rect" && group.includes("group borders"),
    );
  expect(veils(groupedScene({ state }))).toHaveLength(0);
  // Two runs of queries, and beside the third two runs of keys.
  const filtered = groupedScene({ state: { ...state, from_group: "A", to_group: "B" } });
  expect(veils(filtered)).toHaveLength(4);
  expect(headView.stops(filtered, FRAME).some(({ query }) => query === 8)).toBe(true);
});
