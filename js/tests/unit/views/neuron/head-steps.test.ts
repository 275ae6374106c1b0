import { expect, test } from "vitest";
import type { Scene } from "../../../../src/scene/scene.js";
import { windowAround } from "../../../../src/views/neuron/steps.js";
import { neuronView } from "../../../../src/views/neuron/view.js";
import { attentionScene, type Given } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const SIZE = { width: 460, height: 620, scroll: 0 };

/** A scene that shows the whole head, with the lengths of its values. */
function headScene(given: Given = {}) {
  const scene = attentionScene({ ...given, state: { explain: "head", ...given.state } });
  const lengths = (_: string, layer: number, head: number) => {
    const { value } = scene.heads(layer, head);
    return Float32Array.from({ length: value.rows }, (_, key) => Math.hypot(...value.row(key)));
  };
  const ready = given.blocks === undefined;
  return { ...scene, blocks: { ...scene.blocks, ...(ready ? { lengths } : {}) } };
}

function draw(scene: Scene, frame = SIZE) {
  const surface = new RecordingSurface(frame.width, frame.height);
  neuronView.draw(surface, scene, frame);
  return surface;
}

const titles = (scene: Scene, frame = SIZE) =>
  draw(scene, frame).texts.filter((text) => /^\d {2}/.test(text));

test("a matrix for each step, in the order of the formula", () => {
  expect(titles(headScene({ headDim: 16, layer: { causal: true } }))).toEqual([
    "1  q · k",
    "2  ÷ √16",
    "3  masked",
    "4  softmax: weights",
    "5  × length of v",
  ]);
  const capped = { softcap: 50, bias: true, scaling: 0.2 };
  expect(titles(headScene({ layer: capped }))).toEqual([
    "1  q · k",
    "2  × 0.2",
    "3  softcap 50",
    "4  + bias",
    "5  softmax: weights",
    "6  × length of v",
  ]);
});

test("a mask is only promised where there is one", () => {
  expect(titles(headScene())[2]).toBe("3  no mask");
  expect(draw(headScene()).texts.join(" ")).not.toContain("masked");
  const both = headScene({ layer: { causal: true, bias: true } });
  expect(titles(both)[2]).toBe("3  + bias, masked");
});

test("the pair in question is read out with the numbers of every step", () => {
  const scene = headScene({ layer: { causal: true }, state: { query: 6, key: 2 } });
  const { query, key, scores, weights, value } = scene.heads(0, 0);
  const dot = query.row(6).reduce((sum, q, d) => sum + q * (key.row(2)[d] as number), 0);
  const text = (number: number, digits: number) => number.toFixed(digits).replace("-", "−");
  const weight = weights.row(6)[2] as number;
  const said = [
    `q·k ${text(dot, 2)}`,
    `scaled ${text(dot / Math.sqrt(8), 2)}`,
    `score ${text(scores.row(6)[2] as number, 2)}`,
    `weight ${text(weight, 3)}`,
    `× |v| ${text(weight * Math.hypot(...value.row(2)), 3)}`,
  ].join(" · ");
  expect(draw(scene).texts).toContain(said);
  const masked = { ...scene, hover: { source: "neuron", query: 3, key: 9 } as const };
  expect(draw(masked).texts.some((each) => /score −∞ · weight 0 · /.test(each))).toBe(true);
});

test("a cell is the pair that it was drawn for, in every matrix", () => {
  const scene = headScene({ queries: ["a", "b", "c"], keys: ["d", "e", "f", "g", "h"] });
  const pictures = draw(scene).calls.filter(({ kind }) => kind === "image");
  expect(pictures).toHaveLength(5);
  const { weights } = scene.heads(0, 0);
  for (const { numbers, pixels } of pictures) {
    expect([pixels?.width, pixels?.height]).toEqual([5, 3]);
    const [x = 0, y = 0, width = 0, height = 0] = numbers;
    const at = (column: number, row: number) =>
      neuronView.hit(scene, SIZE, x + ((column + 0.5) * width) / 5, y + ((row + 0.5) * height) / 3);
    expect(at(0, 0)).toEqual({ query: 0, key: 0 });
    expect(at(4, 1)).toEqual({ query: 1, key: 4 });
  }
  // The darkest of the weights is the largest.
  const drawn = pictures[3]?.pixels?.data ?? [];
  const bright = Array.from({ length: 15 }, (_, i) => drawn[4 * i] as number);
  const data = Array.from(weights.data);
  expect(bright.indexOf(Math.min(...bright))).toBe(data.indexOf(Math.max(...data)));
});

test("scores share one scale, masked cells have a colour of their own, and both are said", () => {
  const scene = headScene({ layer: { causal: true } });
  const wide = { width: 1300, height: 620, scroll: 0 };
  const { texts, calls } = draw(scene, wide);
  const end = texts.find((text) => /^±/.test(text));
  expect(texts).toContain(`${end}, the scale of 1`);
  expect(texts).toContain(`${end}, the scale of 1; grey: masked`);
  const pixels = calls.filter(({ kind }) => kind === "image").map((call) => call.pixels?.data);
  const cell = (step: number, at: number) =>
    Array.from(pixels[step]?.slice(4 * at, 4 * at + 3) ?? []);
  // The first query sees itself alone: all other keys are one colour, and not that of their scores.
  expect(cell(2, 5)).toEqual(cell(2, 10));
  expect(cell(2, 5)).not.toEqual(cell(1, 5));
  expect(cell(2, 0)).toEqual(cell(1, 0));
});

test("of a long axis a window around the pin is drawn and asked for, and it says which", () => {
  expect([
    windowAround(5, 128),
    windowAround(5, 300),
    windowAround(200, 300),
    windowAround(299, 300),
  ]).toEqual([
    [0, 128],
    [0, 128],
    [136, 264],
    [172, 300],
  ]);
  const queries = Array.from({ length: 300 }, (_, i) => `w${i}`);
  const scene = headScene({ queries, state: { query: 200, key: 10 } });
  const asked: string[] = [];
  const blocks = {
    ...scene.blocks,
    part: (...[what, layer, head, rows, keys]: Parameters<Scene["blocks"]["part"]>) => {
      asked.push(`${what} ${rows.join("–")} ${keys.join("–")}`);
      return scene.blocks.part(what, layer, head, rows, keys);
    },
  };
  const { texts } = draw({ ...scene, blocks }, { ...SIZE, width: 900 });
  expect(new Set(asked)).toEqual(new Set(["scores 136–264 0–128", "weights 136–264 0–128"]));
  expect(texts).toContain("queries 136–263 of 300, keys 0–127 of 300, around what is pinned");
});

test("without vectors the weights alone, and why", () => {
  const reason = "Only weights were given.";
  const layer = { has_vectors: false, reason, head_dim: null, scaling: null };
  const scene = headScene({ layer, state: { query: 4 } });
  expect(titles(scene)).toEqual(["1  softmax: weights"]);
  expect(draw(scene).texts).toContain(reason);
});

test("before anything has come there are places and no numbers; an error is said in their place", () => {
  const pending = draw(headScene({ blocks: "pending", state: { query: 4, key: 2 } }));
  expect(pending.broken).toEqual([]);
  expect(pending.calls.filter(({ kind }) => kind === "image")).toEqual([]);
  expect(pending.texts).toContain("q·k … · scaled … · score … · weight … · × |v| …");
  expect(draw(headScene({ blocks: "failed" })).texts).toContain("the kernel has gone away");
});

test.each([380, 460, 700, 1300])(
  "at %i px all matrices lie inside, one beside the other",
  (width) => {
    const scene = headScene({ layer: { softcap: 30, bias: true } });
    const height = neuronView.contentHeight(scene, width, 620);
    const frame = { width, height, scroll: 0 };
    const surface = draw(scene, frame);
    expect(surface.broken).toEqual([]);
    const rects = surface.calls
      .filter(({ kind }) => kind === "image")
      .map(({ numbers }) => numbers);
    expect(rects).toHaveLength(6);
    for (const [x = 0, y = 0, w = 0, h = 0] of rects) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + w).toBeLessThanOrEqual(width);
      expect(y + h).toBeLessThanOrEqual(height);
    }
    // As many on each line.
    const lines = new Map<number, number>();
    for (const [, y = 0] of rects) lines.set(y, (lines.get(y) ?? 0) + 1);
    expect(new Set(lines.values()).size).toBe(1);
  },
);

test("the switch leads from one to the other", () => {
  const link = attentionScene({ state: { query: 4 } });
  const to = (scene: Scene) => neuronView.stops(scene, SIZE).map(({ action }) => action);
  expect(to(link)).toContain("explain-head");
  const head = headScene({ state: { query: 4 } });
  expect(to(head)).toEqual(["explain-link", undefined]);
});
