import { expect, test } from "vitest";
import type { Scene } from "../../../../src/scene/scene.js";
import { found } from "../../../../src/state/search.js";
import { headView } from "../../../../src/views/head/view.js";
import { stripRows } from "../../../../src/views/lines/strip.js";
import { attentionScene, type Given } from "../../../support/attention-scene.js";
import { type Call, RecordingSurface } from "../../../support/recording-surface.js";

const FRAME = { width: 480, height: 420, scroll: 0 };
const words = (count: number) => Array.from({ length: count }, (_, n) => `w${n}`);

function sceneOf(count: number, state: Given["state"] = {}): Scene {
  const scene = attentionScene({ queries: words(count), headDim: 4, state });
  return { ...scene, keys: scene.queries };
}

function strip(scene: Scene, frame = FRAME): readonly Call[] {
  const surface = new RecordingSurface(frame.width, frame.height);
  headView.draw(surface, scene, frame);
  expect(surface.broken).toEqual([]);
  return surface.calls.filter(({ group }) => group === "overview");
}

const ground = (calls: readonly Call[]) => calls[0]?.numbers as [number, number, number, number];
const sight = (calls: readonly Call[]) => calls.at(-1)?.numbers as [number, number, number, number];

test("it is there only where tokens are out of sight, and never on paper", () => {
  expect(strip(sceneOf(12))).toEqual([]);
  const long = sceneOf(100);
  expect(strip(long).length).toBeGreaterThan(1);
  const drawing = {
    paper: true,
    panel: false,
    axes: true,
    legend: true,
    threshold: 0,
    horizontal: false,
    rightToLeft: false,
  };
  const paper = { ...long, drawing };
  const height = headView.contentHeight(paper, FRAME.width, 500);
  expect(strip(paper, { ...FRAME, height })).toEqual([]);
});

test("it lies beside everything else, within the frame", () => {
  const surface = new RecordingSurface(FRAME.width, FRAME.height);
  const scene = sceneOf(100, { query: 50 });
  headView.draw(surface, scene, FRAME);
  const [x = 0, , width = 0] = ground(strip(scene));
  expect(x + width).toBeLessThanOrEqual(FRAME.width);
  const tokens = surface.calls.filter(({ text }) => text?.startsWith("w"));
  const edge = Math.max(...tokens.map(({ numbers: [at = 0] }) => at));
  expect(edge).toBeLessThan(x);
});

test("the frame on it is what is in sight, and a click brings another part there", () => {
  const scene = sceneOf(100);
  const [x = 0, y = 0, width = 0, height = 0] = ground(strip(scene));
  const [, top = 0, , seen = 0] = sight(strip(scene));
  expect(top).toBeCloseTo(y, 6);
  const rows = headView.contentHeight(scene, FRAME.width, FRAME.height) - FRAME.height;
  expect(seen / height).toBeCloseTo(height / (rows + height), 2);
  const hit = headView.hit(scene, FRAME, x + width / 2, y + 0.7 * height);
  expect(hit?.scrollTo).toBeGreaterThan(0);
  const there = { ...FRAME, scroll: hit?.scrollTo as number };
  const [, moved = 0, , still = 0] = sight(strip(scene, there));
  expect((moved + still / 2 - y) / height).toBeCloseTo(0.7, 2);
  // At its end, the last token.
  const last = headView.hit(scene, FRAME, x + width / 2, y + height - 0.5);
  expect(last?.scrollTo).toBe(rows);
  expect(headView.reveal?.(scene, { ...FRAME, scroll: rows }, { query: 99 })).toBeNull();
});

test("pins and hits have ticks at their places, weights of the query in question shades", () => {
  const scene = sceneOf(100, { query: 80 });
  const searched = { ...scene, found: found({ text: "w30", at: -1 }, scene) };
  const calls = strip(searched);
  const [, y = 0, , height = 0] = ground(calls);
  const middle = (index: number) => y + ((index + 0.5) / 100) * height;
  const ticks = (fill: string) =>
    calls
      .filter(({ kind, style }) => kind === "rect" && style?.fill === fill)
      .map(({ numbers: [, top = 0, , high = 0] }) => top + high / 2);
  expect(ticks(scene.theme.accent)).toEqual([expect.closeTo(middle(80), 6)]);
  // Of one text a hit is a query and a key.
  expect(ticks(scene.theme.positive)).toEqual([
    expect.closeTo(middle(30), 6),
    expect.closeTo(middle(30), 6),
  ]);
  const image = calls.find(({ kind }) => kind === "image");
  const row = scene.blocks.weights(0, 0).row(80) as Float32Array;
  const best = row.indexOf(Math.max(...row));
  const rows = image?.pixels?.height as number;
  const alpha = image?.pixels?.data[4 * Math.floor(((best + 0.5) / 100) * rows) + 3];
  expect(alpha).toBe(255);
  expect(strip(sceneOf(100)).some(({ kind }) => kind === "image")).toBe(false);
});

test("of many positions on one row of pixels the strongest is seen", () => {
  const shades = new Float32Array(1000);
  shades[503] = 0.9;
  shades[504] = 0.2;
  const rows = stripRows(shades, 100);
  expect(rows[50]).toBeCloseTo(0.9, 6);
  expect(rows.filter((shade) => shade > 0)).toHaveLength(2);
});
