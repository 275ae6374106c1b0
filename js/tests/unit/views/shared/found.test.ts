import { expect, test } from "vitest";
import type { Scene } from "../../../../src/scene/scene.js";
import { found } from "../../../../src/state/search.js";
import { compareView } from "../../../../src/views/compare/view.js";
import { headView } from "../../../../src/views/head/view.js";
import { neuronView } from "../../../../src/views/neuron/view.js";
import { foundAt } from "../../../../src/views/shared/found.js";
import type { View } from "../../../../src/views/view.js";
import { attentionScene, type Given, WORDS } from "../../../support/attention-scene.js";
import { type Call, RecordingSurface } from "../../../support/recording-surface.js";

const FRAME = { width: 520, height: 420, scroll: 0 };

/** One text is queries and keys alike, as in a record: searched once. */
function sceneOf(text: string, given: Given = {}, at = -1): Scene {
  const made = attentionScene({ headDim: 4, ...given });
  const scene = given.keys ? made : { ...made, keys: made.queries };
  return { ...scene, found: found({ text, at }, scene) };
}

/** What is drawn in the colour of what was found, and in nothing else. */
function marks(view: View, scene: Scene, frame = FRAME): readonly Call[] {
  const surface = new RecordingSurface(frame.width, frame.height);
  view.draw(surface, scene, frame);
  expect(surface.broken).toEqual([]);
  const { positive } = scene.theme;
  return surface.calls.filter(
    ({ kind, style }) =>
      kind === "rect" && (style?.stroke === positive || style?.fill === positive),
  );
}

const frames = (calls: readonly Call[]) => calls.filter(({ style }) => style?.stroke);
const ticks = (calls: readonly Call[]) => calls.filter(({ style }) => style?.fill);

test("of one text a hit is marked as query and as key; of two, where it is", () => {
  const one = sceneOf("the");
  const at = WORDS.flatMap((word, index) => (word.includes("the") ? [index] : []));
  for (const axis of ["query", "key"] as const) {
    const markOf = foundAt(one, axis);
    expect(WORDS.flatMap((_, index) => (markOf?.(index) ? [index] : []))).toEqual(at);
  }
  const two = sceneOf("katze", { queries: ["the", "cat"], keys: ["die", "Katze"] });
  expect(foundAt(two, "query")).toBeUndefined();
  expect(foundAt(two, "key")?.(1)).toBe("hit");
  expect(foundAt(sceneOf("no such text"), "query")).toBeUndefined();
  expect(foundAt(attentionScene(), "query")).toBeUndefined();
});

test("the hit that is looked at is another mark than the rest", () => {
  const markOf = foundAt(sceneOf("the", {}, 1), "key");
  const seen = WORDS.flatMap((_, index) => markOf?.(index) ?? []);
  expect(seen).toEqual(["hit", "looked at"]);
});

test("lines: a frame around both labels of a hit", () => {
  const scene = sceneOf("because");
  const surface = new RecordingSurface(FRAME.width, FRAME.height);
  headView.draw(surface, scene, FRAME);
  const found = frames(marks(headView, scene));
  expect(found).toHaveLength(2);
  const labels = surface.calls.filter(({ text }) => text === "because");
  for (const {
    numbers: [, y = 0],
  } of labels) {
    expect(
      found.some(({ numbers: [, top = 0, , height = 0] }) => top < y && y < top + height),
    ).toBe(true);
  }
});

test("lines of many heads, compared heads and a list of keys have them too", () => {
  const panels = { heads: [0, 1, 2], panels: "one a head" as const };
  expect(frames(marks(headView, sceneOf("mat", { state: panels })))).toHaveLength(6);
  const compare: [number, number][] = [
    [0, 0],
    [1, 1],
  ];
  const compared = sceneOf("mat", { state: { compare, top_k: 3 } });
  // Two heads and their difference, whose signs have the same colour, but no frames.
  expect(frames(marks(compareView, compared, { ...FRAME, width: 900 }))).toHaveLength(6);
  const neuron = sceneOf("mat", { state: { query: 9 }, options: { allKeys: true } });
  expect(frames(marks(neuronView as View, neuron, { ...FRAME, height: 900 }))).toHaveLength(1);
});

test("a matrix: frames around labels, or ticks where there are none, one for a pixel", () => {
  const matrix = { state: { form: "matrix" as const } };
  expect(frames(marks(headView, sceneOf("because", matrix)))).toHaveLength(2);
  const many = Array.from({ length: 240 }, (_, n) => (n % 2 === 0 ? "tick" : `w${n}`));
  const long = marks(headView, sceneOf("tick", { ...matrix, queries: many }));
  expect(frames(long)).toEqual([]);
  expect(ticks(long).length).toBeGreaterThan(100);
  expect(ticks(long).length).toBeLessThanOrEqual(240);
});

test("nothing is marked where nothing is looked for", () => {
  for (const form of ["lines", "matrix"] as const) {
    expect(marks(headView, attentionScene({ state: { form } }))).toEqual([]);
  }
});
