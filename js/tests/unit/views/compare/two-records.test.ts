import { expect, test } from "vitest";
import { NOTHING_ASIDE } from "../../../../src/data/aside.js";
import { BlockStore } from "../../../../src/data/store.js";
import type { Meta, Position, Request } from "../../../../src/protocol/generated.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { SceneMaker } from "../../../../src/scene/scene-maker.js";
import { reading, readingText } from "../../../../src/shell/reading/reading-text.js";
import type { Hover } from "../../../../src/state/interaction.js";
import type { State } from "../../../../src/state/selection.js";
import { defaultOptions } from "../../../../src/state/signals.js";
import { comparedSeries, differenceTerms } from "../../../../src/views/compare/layout.js";
import { compareView } from "../../../../src/views/compare/view.js";
import { layoutViews } from "../../../../src/views/layout.js";
import { differenceRows } from "../../../../src/views/shared/difference.js";
import { attentionScene } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const AXIS: readonly Position[] = [
  { label: "the", kind: "token" },
  { label: "cat → dog", kind: "token" },
  { label: "old", kind: "token", only: "b" },
  { label: "sat", kind: "token" },
];
const A = Float32Array.from([1, 0, 0, 0, 0.5, 0.5, 0, 0, 0, 0, 0, 0, 0.25, 0.25, 0, 0.5]);
const B = Float32Array.from([1, 0, 0, 0, 0.25, 0.75, 0, 0, 0.5, 0, 0.5, 0, 0, 0.75, 0.25, 0]);
const FRAME = { width: 900, height: 420, scroll: 0 };

function two(given: Partial<State> = {}, hover: Hover | null = null): Scene {
  const scene = attentionScene({ numLayers: 1, numHeads: 2, queries: AXIS.map((p) => p.label) });
  const overview = { offset: 0, rows: 1, columns: 1, sampled: false };
  const stream = { ...scene.stream, key_positions: 0, overview };
  const meta = {
    ...scene.meta,
    positions: [AXIS],
    streams: [stream],
    comparison: { a: "base", b: "fine-tuned" },
    scores: [],
  } as unknown as Meta;
  const store = new BlockStore(async () => [], () => {}, Number.POSITIVE_INFINITY); // biome-ignore format: one line
  for (const [side, data] of [
    ["a", A],
    ["b", B],
  ] as const) {
    // biome-ignore format: pairs
    const request: Request = { what: "weights", stream: "self", layer: 0, head: 1, queries: [0, 4], side }; // biome-ignore format: one line
    store.put(request, { shape: [1, 4, 4], data });
  }
  const maker = new SceneMaker(meta, new Uint8Array(2), store, new Uint8Array(0));
  const state = { ...attentionScene().state, heads: [1], ...given };
  return maker.make(state, hover, defaultOptions(), false);
}

function draw(scene: Scene) {
  const surface = new RecordingSurface(FRAME.width, FRAME.height);
  compareView.draw(surface, scene, FRAME);
  expect(surface.broken).toEqual([]);
  return surface.calls;
}

test("the first selected head of both records, and what is new in the second", () => {
  const scene = two();
  const [a, b] = comparedSeries(scene);
  expect([a?.name, b?.name]).toEqual(["base", "fine-tuned"]);
  expect(Array.from(a?.rows.row(1) ?? [])).toEqual([0.5, 0.5, 0, 0]);
  expect(Array.from(b?.rows.row(1) ?? [])).toEqual([0.25, 0.75, 0, 0]);
  const [first, second] = differenceTerms(scene) ?? [];
  expect([first?.name, second?.name]).toEqual(["fine-tuned", "base"]);
  // What has more is drawn in its own colour, and above nothing on the scale.
  expect(first?.colour).toBe(scene.theme.positive);
  for (const form of ["lines", "matrix"] as const) {
    const texts = draw(two({ form })).flatMap(({ text }) => text ?? []);
    expect(texts).toEqual(
      expect.arrayContaining(["base", "fine-tuned", "B − A · layer 0 · head 1"]),
    );
    expect(texts.some((text) => text.startsWith("labels in a colour"))).toBe(true);
  }
});

test("where only one record has a token nothing is compared, and its label says whose it is", () => {
  const scene = two();
  const [b, a] = (differenceTerms(scene) ?? []).map(({ rows }) => rows);
  if (!a || !b) throw new Error("two sides");
  const common = { query: (i: number) => i !== 2, key: (i: number) => i !== 2 };
  const rows = differenceRows(b, a, NOTHING_ASIDE, common);
  expect(Array.from(rows.row(2) ?? [])).toEqual([0, 0, 0, 0]);
  expect(Array.from(rows.row(3) ?? [])).toEqual([-0.25, 0.5, 0, -0.5]);
  const labels = draw(scene).filter(({ text }) => text === "old");
  expect(labels.length).toBe(6);
  expect(new Set(labels.map(({ style }) => style?.fill))).toEqual(new Set([scene.theme.positive]));
  // Faint in the record that has it not.
  expect(labels.filter(({ style }) => (style?.opacity ?? 1) < 1).length).toBe(2);
});

test("a pair is read in both records, and as its change", () => {
  const pinned = two({ query: 3, queries: [3], key: 1, keys: [1] });
  expect(readingText(reading(pinned, null))).toContain("A 0.250, B 0.750, B − A +0.500");
  const texts = draw(pinned).flatMap(({ text }) => text ?? []);
  expect(texts).toEqual(expect.arrayContaining(["0.250", "0.750", "+0.500"]));
  const lonely = two({ query: 3, queries: [3], key: 2, keys: [2] });
  expect(readingText(reading(lonely, null))).toContain("only in B");
  expect(draw(lonely).filter(({ text }) => text === "only in B").length).toBe(2);
  const several = two({ query: 1, queries: [1, 3], key: 0, keys: [0, 1] });
  expect(readingText(reading(several, null))).toContain("A 0.750, B 0.875, B − A +0.125 (mean of 2 queries, sum of 2 keys)"); // biome-ignore format: one line
});

test("the widget shows which heads changed and one of them, and nothing that is of one record", () => {
  for (const width of [420, 700, 1400]) {
    const names = layoutViews(two(), width).boxes.map(({ view }) => view.name);
    expect(names).toEqual(["model", "compare"]);
  }
  expect(compareView.stops(two(), FRAME).every(({ action }) => action === undefined)).toBe(true);
  for (let x = 0; x < FRAME.width; x += 6) {
    expect(compareView.hit(two(), FRAME, x, 14)?.action).toBeUndefined();
  }
});
