import { expect, test } from "vitest";
import { BlockStore } from "../../../../src/data/store.js";
import type { Meta, Position, Request } from "../../../../src/protocol/generated.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { SceneMaker } from "../../../../src/scene/scene-maker.js";
import { reading, readingText } from "../../../../src/shell/reading/reading-text.js";
import type { Hover } from "../../../../src/state/interaction.js";
import type { State } from "../../../../src/state/selection.js";
import { defaultOptions } from "../../../../src/state/signals.js";
import {
  comparedSeries,
  compareLayout,
  differenceTerms,
  panelCount,
} from "../../../../src/views/compare/layout.js";
import { stepChange } from "../../../../src/views/compare/steps.js";
import { compareView } from "../../../../src/views/compare/view.js";
import { layoutViews } from "../../../../src/views/layout.js";
import { attentionScene } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const AXIS: readonly Position[] = [
  { label: "the", kind: "token" },
  { label: "old", kind: "token", among: "bc" },
  { label: "cat", kind: "token" },
];
const SCORES = ["change", "largest_step", "first_to_last"];

/** As many records as weights are given, each the weight of the last query on the first key. */
function series(
  weights: readonly number[],
  given: Partial<State> = {},
  hover: Hover | null = null,
): Scene {
  const scene = attentionScene({ numLayers: 1, numHeads: 2, queries: AXIS.map((p) => p.label) });
  const overview = { offset: 0, rows: 1, columns: 1, sampled: false };
  const stream = { ...scene.stream, key_positions: 0, overview };
  const names = [...SCORES, ...weights.slice(1).map((_, n) => `step_${n + 1}`)];
  const meta = {
    ...scene.meta,
    positions: [AXIS],
    streams: [stream],
    comparison: { names: weights.map((_, n) => `step ${100 * n}`) },
    scores: names.map((name) => ({ name, label: name, question: "", formula: "", source: "" })),
  } as unknown as Meta;
  const store = new BlockStore(async () => [], () => {}, Number.POSITIVE_INFINITY); // biome-ignore format: one line
  weights.forEach((weight, n) => {
    const side = "abcdefgh"[n] as string;
    // biome-ignore format: pairs
    const request: Request = { what: "weights", stream: "self", layer: 0, head: 1, queries: [0, 3], side };
    const data = Float32Array.from([1, 0, 0, 0.5, 0.5, 0, weight, 0, 1 - weight]);
    store.put(request, { shape: [1, 3, 3], data });
  });
  // The second head's scores are larger than the first's by a half; each score is its place by tenths.
  const one = [0, 1].flatMap((head) => names.map((_, n) => head / 2 + n / 20));
  const scores = { shape: [2, 2, names.length], data: Float32Array.from([...one, ...one]) };
  store.put({ what: "head_scores", stream: "self" } as Request, scores);
  const maker = new SceneMaker(meta, new Uint8Array(2), store, new Uint8Array(0));
  const state = { ...attentionScene().state, heads: [1], score: "change", ...given };
  return maker.make(state, hover, defaultOptions(), false);
}

function draw(scene: Scene, width = 900) {
  const surface = new RecordingSurface(width, 420);
  compareView.draw(surface, scene, { width, height: 420, scroll: 0 });
  expect(surface.broken).toEqual([]);
  return surface.calls;
}

const textsOf = (scene: Scene, width = 900) =>
  draw(scene, width).flatMap(({ text }) => (text === undefined ? [] : [text]));

test("one head once for each record, in its own colour, and no difference", () => {
  const scene = series([0.25, 0.5, 0.75]);
  const shown = comparedSeries(scene);
  expect(shown.map(({ name }) => name)).toEqual(["step 0", "step 100", "step 200"]);
  expect(shown.map(({ rows }) => rows.row(2)?.[0])).toEqual([0.25, 0.5, 0.75]);
  expect(new Set(shown.map(({ colour }) => colour))).toEqual(new Set([scene.theme.head(1, 2)]));
  expect(panelCount(scene)).toBe(3);
  expect(differenceTerms(scene)).toBeNull();
  for (const form of ["lines", "matrix"] as const) {
    const texts = textsOf(series([0.25, 0.5, 0.75], { form }));
    expect(texts).toEqual(
      expect.arrayContaining(["A", "step 0", "B", "step 100", "C", "step 200"]),
    );
    expect(texts).toContain("layer 0 · head 1 of every record, on one scale");
    expect(texts.some((text) => text.includes("B − A"))).toBe(false);
  }
});

test("while nothing is in focus each panel says how much the head changed from the one before", () => {
  const scene = series([0.25, 0.5, 0.75]);
  expect([0, 1, 2].map((n) => stepChange(scene, n))).toEqual([
    null,
    expect.closeTo(0.65),
    expect.closeTo(0.7),
  ]);
  const texts = textsOf(scene);
  expect(texts.filter((text) => text.startsWith("change from"))).toEqual([
    "change from A",
    "change from B",
  ]);
  expect(texts).toEqual(expect.arrayContaining(["0.650", "0.700"]));
  expect(stepChange(series([0.25, 0.5, 0.75], { measure: "rollout" }), 1)).toBeNull();
});

test("a pair has its weight in every panel, and the reading line tells the way it goes", () => {
  const pins = { query: 2, queries: [2], key: 0, keys: [0] };
  const three = series([0.25, 0.5, 0.75], pins);
  expect(readingText(reading(three, null))).toContain("A 0.250 → B 0.500 → C 0.750, C − A +0.500.");
  expect(textsOf(three)).toEqual(expect.arrayContaining(["0.250", "0.500", "0.750"]));
  const six = series([0.1, 0.2, 0.3, 0.4, 0.5, 0.05], pins);
  expect(readingText(reading(six, null))).toContain(": A 0.100 → … → F 0.050, F − A −0.050.");
});

test("what not every record has is grey, faint where it is not, and said so instead of a number", () => {
  const scene = series([0.25, 0.5, 0.75]);
  const labels = draw(scene).filter(({ text }) => text === "old");
  expect(labels.length).toBe(6);
  expect(new Set(labels.map(({ style }) => style?.fill))).toEqual(new Set([scene.theme.muted]));
  // Twice in each panel; the first record has it not.
  expect(labels.filter(({ style }) => (style?.opacity ?? 1) < 1).length).toBe(2);
  expect(textsOf(scene)).toContain("grey labels: not every record has them");
  const lonely = series([0.25, 0.5, 0.75], { query: 2, queries: [2], key: 1, keys: [1] });
  expect(textsOf(lonely).filter((text) => text === "only in B, C").length).toBe(1);
  expect(readingText(reading(lonely, null))).toContain("only in B, C");
});

test("panels stand in one row where they can be read, under the heads where there are many", () => {
  const eight = series([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
  const columns = (width: number) => {
    const { panels } = compareLayout(eight, { width, height: 460, scroll: 0 });
    expect(panels.every(({ title }) => title.x + title.width <= width)).toBe(true);
    return new Set(panels.map(({ title }) => title.x)).size;
  };
  expect([1400, 700, 420].map(columns)).toEqual([8, 4, 2]);
  const [heads, compare] = layoutViews(eight, 1400).boxes;
  expect([heads?.view.name, compare?.view.name]).toEqual(["model", "compare"]);
  expect(compare?.rect.width).toBe(1400);
  const [few] = layoutViews(series([0.1, 0.2, 0.3]), 1400).boxes;
  expect(few?.rect.width).toBeLessThan(700);
});

test("a name keeps clear of the buttons of the map", () => {
  const scene = series([0.25, 0.5, 0.75], { form: "matrix" });
  const { panels } = compareLayout(scene, { width: 500, height: 460, scroll: 0 });
  const ends = panels.map(({ title, nameWidth }) => title.x + nameWidth);
  expect(Math.max(...ends)).toBeLessThanOrEqual(500 - 3 * 18);
});
