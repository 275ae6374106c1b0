import { expect, test } from "vitest";
import { formatWeight } from "../../../../src/marks/format.js";
import { click } from "../../../../src/state/actions.js";
import { compareView } from "../../../../src/views/compare/view.js";
import { profileOf } from "../../../../src/views/groups/profile-data.js";
import { layerShares, shareAxes, sharesFrom } from "../../../../src/views/groups/shares.js";
import { headView } from "../../../../src/views/head/view.js";
import type { Given } from "../../../support/attention-scene.js";
import { groupedScene, shares } from "../../../support/grouped-scene.js";
import { type Call, RecordingSurface } from "../../../support/recording-surface.js";
import { draw, FRAME, place, textsOf } from "../../../support/token-scenes.js";

const scene = (state: Given["state"] = {}) =>
  groupedScene({ numLayers: 3, numHeads: 4, state: { form: "groups", heads: [1], ...state } });

test("the selected head's shares stand in its matrix, and a click there chooses from and to", () => {
  const shown = scene();
  const surface = draw(shown);
  const own = formatWeight(0.25);
  const cells = textsOf(surface, own);
  expect(cells).toHaveLength(3);
  const { x, y } = place(cells[1] as Call);
  const hit = headView.hit(shown, FRAME, x, y);
  expect(hit).toEqual({ layer: 0, head: 1, from: "B", to: "B" });
  const chosen = click(shown.state, "head", hit ?? {}, false);
  expect(chosen).toEqual({ from_group: "B", to_group: "B" });
  const stop = headView.stops(shown, FRAME).find(({ from, to }) => from === "B" && to === "B");
  expect(stop?.name).toBe(`head 1: from B to B, share ${own}`);
});

test("all heads of the layer stand below, and one of them is chosen by a click", () => {
  const shown = scene();
  const stops = headView.stops(shown, FRAME).filter(({ action }) => action === "show-head");
  expect(stops.map(({ head }) => head)).toEqual([0, 1, 2, 3]);
  const { rect } = stops[2] as (typeof stops)[0];
  const hit = headView.hit(shown, FRAME, rect.x + 2, rect.y + 2);
  expect(hit).toEqual({ layer: 0, head: 2, action: "show-head" });
});

test("heads that are one have the mean of their shares; a maximum has none", () => {
  const mean = draw(scene({ heads: [1, 3], together: "mean" }));
  expect(textsOf(mean, formatWeight(0.3))).toHaveLength(3);
  const most = draw(scene({ heads: [1, 3], together: "max" }));
  expect(textsOf(most, formatWeight(0.3))).toHaveLength(0);
  expect(most.texts.join(" ")).toContain("has no shares of its own");
});

test("of two heads side by side the difference is the second minus the first", () => {
  const compare = [[0, 0] as const, [2, 1] as const];
  const surface = new RecordingSurface(900, FRAME.height);
  compareView.draw(surface, scene({ view: "compare", compare }), { ...FRAME, width: 900 });
  expect(textsOf(surface, "B − A").length).toBeGreaterThan(0);
  const cells = (text: string) =>
    textsOf(surface, text).filter(({ group }) => group.includes("B − A"));
  expect(cells("+0.25")).toHaveLength(3);
  expect(cells("−0.13")).toHaveLength(6);
});

test("a profile has the mean over the heads, the middle half and the ends, from one group or from all", () => {
  const from = (group: string | null) => profileOf(scene({ form: "profile", from_group: group }));
  const a = from("A")?.lines[0]?.points[1];
  // 0.3, 0.35, 0.4 and 0.45.
  expect(a?.mean).toBeCloseTo(0.375, 6);
  expect(a?.low).toBeCloseTo(0.3375, 6);
  expect(a?.high).toBeCloseTo(0.4125, 6);
  expect([a?.least, a?.most].map((value) => formatWeight(value ?? 0))).toEqual(["0.300", "0.450"]);
  // 5 of 11 queries are in A, the others give A what they give each other group.
  const all = from(null)?.lines[0]?.points[1];
  expect(all?.mean).toBeCloseTo((5 * 0.375 + 6 * 0.3125) / 11, 6);
});

test("shares are cut and added up once, not at every move of the pointer", () => {
  const kept = [0, 1, 2].map((layer) => shares(layer, 4));
  const given = { numLayers: 3, numHeads: 4, state: { form: "profile" } } as const;
  const shown = groupedScene(given, (_, layer) => kept[layer] ?? null);
  const read = (from_group: string | null) => {
    const now = { ...shown, state: { ...shown.state, from_group } };
    return { cut: layerShares(now, now.blocks, 1), point: profileOf(now)?.lines[0]?.points[1] };
  };
  const [first, again, other] = [read("A"), read("A"), read("B")];
  expect(again.cut).toBe(first.cut);
  expect(again.point).toBe(first.point);
  expect(other.point).not.toEqual(first.point);
});

test("of words each counts once, whatever its pieces", () => {
  const pieces = scene({ form: "profile" });
  // Behind the special token the four other pieces of A are two words.
  const queries = pieces.queries.map((position, at) =>
    [2, 4].includes(at) ? { ...position, continues: true } : position,
  );
  const recorded = { ...pieces, queries, keys: queries, recorded: null };
  const state = { ...pieces.state, positions: "words" as const };
  const words = shareAxes({ ...recorded, recorded, state });
  expect(shareAxes(pieces)?.counts).toEqual([5, 4, 2]);
  expect(words?.counts).toEqual([3, 4, 2]);
  const [matrix] = shares(0, 1);
  if (!words || !matrix) throw new Error("no groups");
  const [a] = sharesFrom(matrix, words, null);
  expect(a).toBeCloseTo((3 * 0.2 + 6 * 0.4) / 9, 6);
});

test("a profile is drawn as far as layers have come; a layer is chosen by a click", () => {
  const some = groupedScene({ numLayers: 3, state: { form: "profile" } }, (_, layer) =>
    layer === 1 ? null : shares(layer, 4),
  );
  expect(draw(some).texts.join(" ")).toContain("2 of 3 layers");
  const stop = headView.stops(some, FRAME).find(({ layer }) => layer === 2);
  const { rect } = stop ?? { rect: { x: 0, y: 0, width: 0, height: 0 } };
  const hit = headView.hit(some, FRAME, rect.x + rect.width / 2, rect.y + 5);
  expect(hit).toEqual({ layer: 2, action: "open-layer" });
  const failed = groupedScene({ state: { form: "profile" } }, () => ({ error: "no values" }));
  expect(draw(failed).texts.join(" ")).toContain("no values");
});
