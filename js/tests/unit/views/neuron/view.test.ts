import { expect, test } from "vitest";
import type { Scene } from "../../../../src/scene/scene.js";
import { themes } from "../../../../src/styles/theme.js";
import { dimensionOrder, readNeuron } from "../../../../src/views/neuron/data.js";
import { columnsOf, linkLayout, tableLines } from "../../../../src/views/neuron/layout.js";
import { neuronView } from "../../../../src/views/neuron/view.js";
import { SAID_BELOW } from "../../../../src/views/shared/failure.js";
import { attentionScene, type Given } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const SIZE = { width: 460, height: 560, scroll: 0 };
const TALL = { ...SIZE, height: 2000 };
const long = Array.from({ length: 70 }, (_, i) => `w${i}`);

function draw(scene: Scene, frame = SIZE) {
  const surface = new RecordingSurface(frame.width, frame.height);
  neuronView.draw(surface, scene, frame);
  return surface;
}

const rowStops = (scene: Scene, frame = SIZE) =>
  neuronView.stops(scene, frame).filter(({ rect, key }) => key !== undefined && rect.x === 0);

test("masked keys are a line for each reason, with −∞", () => {
  const scene = attentionScene({ layer: { causal: true }, state: { query: 6 } });
  expect(rowStops(scene).map(({ key }) => key)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  const { texts } = draw(scene);
  expect(texts).toContain("masked: later than the query");
  expect(texts).toContain("4 keys");
  expect(texts).toContain("−∞");
  const near = attentionScene({ layer: { causal: true }, state: { query: 8 } });
  expect(draw(near).texts).toContain("was, tired");
  const windowed = { causal: true, window: 3 };
  const narrow = readNeuron(attentionScene({ layer: windowed, state: { query: 6 } }));
  expect([narrow.listed, narrow.masked]).toEqual([
    [4, 5, 6],
    [
      { keys: [0, 1, 2, 3], why: "masked: outside the window of 3" },
      { keys: [7, 8, 9, 10], why: "masked: later than the query" },
    ],
  ]);
  expect(readNeuron(attentionScene()).masked).toEqual([]);
});

test("a key that is masked for another reason is only said to be masked", () => {
  const scene = attentionScene({ state: { query: 6 } });
  scene.heads(0, 0).scores.row(6)[2] = Number.NEGATIVE_INFINITY;
  expect(readNeuron(scene).masked).toEqual([{ keys: [2], why: "masked" }]);
});

test("sorted by weight, the weights fall from row to row", () => {
  const scene = attentionScene({
    options: { keyOrder: "weight" },
    state: { query: 4, heads: [1] },
  });
  const weights = scene.heads(0, 1).weights.row(4);
  const listed = readNeuron(scene).listed.map((key) => weights[key] as number);
  expect(listed).toHaveLength(11);
  expect(listed).toEqual(Array.from(weights).sort((a, b) => b - a));
});

test("the query: pinned, else hovered anywhere, else the last, which it says", () => {
  const note = /no query chosen/;
  const hover = { source: "head", query: 3 } as const;
  const pinned = attentionScene({ state: { query: 6 }, hover });
  expect(readNeuron(pinned)).toMatchObject({ query: 6, querySource: "pinned" });
  expect(readNeuron(attentionScene({ hover }))).toMatchObject({ query: 3, querySource: "hovered" });
  const texts = draw(attentionScene()).texts;
  expect(texts).toContain("“tired”");
  expect(texts.some((text) => note.test(text))).toBe(true);
  expect(draw(pinned).texts.some((text) => note.test(text))).toBe(false);
});

test("the focus key: hovered, else pinned, else the strongest", () => {
  const scene = attentionScene({ state: { query: 4 } });
  const weights = Array.from(scene.heads(0, 0).weights.row(4));
  const best = weights.indexOf(Math.max(...weights));
  expect(readNeuron(scene)).toMatchObject({ focus: best, focusSource: "strongest" });
  const key = (best + 1) % weights.length;
  const pinned = { ...scene, state: { ...scene.state, key } };
  expect(readNeuron(pinned)).toMatchObject({ focus: key, focusSource: "pinned" });
  const hovered = { ...pinned, hover: { source: "head", key: best } as const };
  expect(readNeuron(hovered)).toMatchObject({ focus: best, focusSource: "hovered" });
});

test.each([
  ["position", 0, false],
  ["weight", 0, false],
  ["position", 300, true],
  ["weight", 411, true],
] as const)("by %s, scrolled by %i: a hit is the row that was drawn", (order, scroll, allKeys) => {
  const scene = attentionScene({
    queries: long,
    headDim: 5,
    state: { query: 60, key: 2 },
    options: { keyOrder: order, allKeys },
  });
  const frame = { ...SIZE, scroll };
  const stops = rowStops(scene, frame);
  expect(stops.length).toBeGreaterThan(5);
  // Labels as drawn, by height in the frame.
  const labels = draw(scene, frame).calls.filter(({ text }) => /^w\d+$/.test(text ?? ""));
  for (const { key, rect } of stops) {
    const y = rect.y + rect.height / 2;
    const drawn = labels.filter((c) => Math.abs((c.numbers[1] ?? 0) + c.origin.y - y) < 0.5);
    expect(drawn.map(({ text }) => text)).toEqual([`w${key}`]);
    expect(neuronView.hit(scene, frame, 20, y)).toEqual({ key });
  }
});

test("keys that do not fit are one line with their weight together, which opens them", () => {
  const scene = attentionScene({ queries: long, state: { query: 60, heads: [1] } });
  const shown = rowStops(scene).flatMap(({ key }) => key ?? []);
  expect(shown.length).toBeGreaterThan(4);
  const weights = Array.from(scene.heads(0, 1).weights.row(60));
  // The strongest, whatever the order of the rows.
  const least = Math.min(...shown.map((key) => weights[key] as number));
  const hidden = weights.filter((_, key) => !shown.includes(key));
  expect(Math.max(...hidden)).toBeLessThanOrEqual(least);
  const together = hidden.reduce((sum, weight) => sum + weight, 0).toFixed(3);
  const text = `${hidden.length} more keys, ${together} together ▾`;
  const line = draw(scene).calls.find((call) => call.text === text);
  if (!line) throw new Error(`no line says ${text}`);
  const y = (line.numbers[1] ?? 0) + line.origin.y;
  expect(neuronView.hit(scene, SIZE, 30, y)).toEqual({ action: "all-keys" });
  const open = { ...scene, options: { ...scene.options, allKeys: true } };
  expect(neuronView.contentHeight(open, SIZE.width, SIZE.height)).toBeGreaterThan(70 * 18);
  const all = { ...SIZE, height: neuronView.contentHeight(open, SIZE.width, SIZE.height) };
  const listed = draw(open, all).texts.filter((each) => /^w\d+$/.test(each));
  expect(new Set(listed).size).toBe(70);
});

test("the key in question has a row, however weak it is", () => {
  const scene = attentionScene({ queries: long, state: { query: 60 } });
  const weights = Array.from(scene.heads(0, 0).weights.row(60));
  const weakest = weights.indexOf(Math.min(...weights));
  const keys = (of: Scene) => rowStops(of).map(({ key }) => key);
  expect(keys(scene)).not.toContain(weakest);
  expect(keys({ ...scene, state: { ...scene.state, key: weakest } })).toContain(weakest);
  const pointed = { ...scene, hover: { source: "head", key: weakest } as const };
  expect(keys(pointed)).toContain(weakest);
  expect(keys(pointed)).toHaveLength(keys(scene).length);
});

test("lines of the table: keys, how many more, the sink, the masked ones", () => {
  const listed = [0, 1, 2, 3, 4, 5];
  const kinds = (lines: number, expanded = false) => {
    const rest = { sink: 1, masked: 1 };
    const table = tableLines(lines, expanded, listed, [5, 4, 3, 2, 1, 0], 0, rest);
    return Array.from({ length: table.count }, (_, line) => {
      const what = table.at(line);
      return what?.kind === "key" ? what.key : what?.kind;
    });
  };
  expect(kinds(8)).toEqual([0, 1, 2, 3, 4, 5, "sink", "masked"]);
  // The focus, 0, takes the place of the least of the three strongest.
  expect(kinds(6)).toEqual([0, 4, 5, "more", "sink", "masked"]);
  expect(kinds(9, true)).toEqual(["fewer", 0, 1, 2, 3, 4, 5, "sink", "masked"]);
});

test("headings sort, and say by what", () => {
  const scene = attentionScene();
  const actions = neuronView.stops(scene, SIZE).filter(({ action }) => action);
  expect(actions.map(({ action, name }) => [action, name])).toEqual([
    ["explain-head", "explain the whole head"],
    ["sort-keys", "sort keys by weight"],
    ["sort-dimensions", "order the products by size"],
  ]);
  for (const { rect, action } of actions) {
    expect(neuronView.hit(scene, SIZE, rect.x + 4, rect.y + 8)).toEqual({ action });
  }
});

test("rows are named with their numbers, and the focus key with its equation", () => {
  const scene = attentionScene({ state: { query: 4 } });
  const { scores, weights } = scene.heads(0, 0);
  const number = (value: number, digits: number) => value.toFixed(digits).replace("-", "−");
  const [score, weight] = [scores.row(4)[2] ?? 0, weights.row(4)[2] ?? 0];
  const named = rowStops(scene).find(({ key }) => key === 2);
  expect(named?.name).toBe(`key 2 "cat", score ${number(score, 2)}, weight ${number(weight, 3)}`);
  expect(neuronView.stops(scene, SIZE).at(-1)?.name).toMatch(
    /q · k .+ × scaling .+ → softmax over/,
  );
});

test("a hovered dimension is read out with its exact numbers", () => {
  const hover = { source: "neuron", dimension: 6 } as const;
  const scene = attentionScene({ state: { query: 4, key: 3 }, hover });
  const { query, key } = scene.heads(0, 0);
  const [q, k] = [query.row(4)[6] ?? 0, key.row(3)[6] ?? 0];
  const text = (value: number) => value.toFixed(3).replace("-", "−");
  expect(draw(scene).texts).toContain(`dimension 6: q ${text(q)} × k ${text(k)} = ${text(q * k)}`);
});

test("by size, the bars are the focus key's products, the largest first; strips keep their order", () => {
  const scene = attentionScene({
    options: { dimensionOrder: "contribution" },
    state: { query: 4, key: 7 },
  });
  const { query, key } = scene.heads(0, 0);
  const order = dimensionOrder(scene, readNeuron(scene));
  const sizes = Array.from(order ?? [], (d) =>
    Math.abs((query.row(4)[d] ?? 0) * (key.row(7)[d] ?? 0)),
  );
  expect(sizes).toHaveLength(8);
  expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
  const { strip } = columnsOf(SIZE.width, true);
  const dimensionsAt = (y: number) =>
    Array.from({ length: 8 }, (_, place) => {
      const x = strip.x + ((place + 0.5) * strip.width) / 8;
      return neuronView.hit(scene, SIZE, x, y)?.dimension;
    });
  const strips = draw(scene).calls.filter((c) => c.group === "vectors" && c.kind === "image");
  expect(strips).toHaveLength(3);
  for (const { numbers } of strips)
    expect(dimensionsAt((numbers[1] ?? 0) + 3)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  const bars = neuronView.stops(scene, SIZE).find(({ action }) => action === "sort-dimensions");
  expect(dimensionsAt((bars?.rect.y ?? 0) + 9)).toEqual(Array.from(order ?? []));
});

test("colour scales are those of the head, whatever is looked at", () => {
  const scales = (state: Given["state"]) =>
    draw(attentionScene({ state: { heads: [1], ...state } })).texts.filter((text) =>
      /^±/.test(text),
    );
  const first = scales({ query: 4, key: 2 });
  expect(first).toHaveLength(5);
  expect(scales({ query: 9, key: 7 })).toEqual(first);
  const { query, key } = attentionScene().heads(0, 1);
  const most = (data: Float32Array) => Math.max(...Array.from(data, Math.abs));
  expect(first.slice(0, 2)).toEqual([
    `±${Number(most(query.data).toPrecision(2))}`,
    `±${Number(most(key.data).toPrecision(2))}`,
  ]);
});

test("several heads and several queries are there to choose from", () => {
  const scene = attentionScene({ state: { heads: [2, 0], queries: [4, 8], key: 2 } });
  const names = neuronView.stops(scene, SIZE).slice(0, 3);
  expect(names.map(({ action, name }) => [action, name])).toEqual([
    ["explain-head", "explain the whole head"],
    ["choose-head", "explain head 0 instead"],
    ["choose-query", "explain query 8 “it” instead"],
  ]);
  for (const { action, rect, head, query } of names) {
    const hit = neuronView.hit(scene, SIZE, rect.x + rect.width / 2, rect.y + 5);
    expect(hit).toEqual({
      action,
      ...(head === undefined ? {} : { head }),
      ...(query === undefined ? {} : { query }),
    });
  }
});

test("a label in another script stands by itself, so that no number moves around it", () => {
  const arabic = ["القط", "جلس", "على"];
  const scene = attentionScene({ queries: arabic, state: { query: 2, key: 1 } });
  const { texts } = draw(scene);
  expect(texts).toContain("“جلس”");
  const mixed = texts.filter((text) => /[\u0600-\u06ff]/.test(text) && /[\d×→=a-z]/.test(text));
  expect(mixed).toEqual([]);
});

test("keys of one label are told apart by their places", () => {
  const scene = attentionScene({ state: { query: 4 } });
  const { calls } = draw(scene, TALL);
  const small = calls.filter(({ group, numbers }) => group === "keys" && numbers[2] === 9);
  expect(small.map(({ text }) => text)).toEqual(["1", "5"]);
});

test("a sink has a row with its score and its share of the weight", () => {
  const scene = attentionScene({ layer: { sinks: [0.4, 1, -2] }, state: { query: 4 } });
  const weights = Array.from(scene.heads(0, 0).weights.row(4));
  const share = 1 - weights.reduce((sum, weight) => sum + weight, 0);
  expect(readNeuron(scene).sinkWeight).toBeCloseTo(share, 5);
  const { texts } = draw(scene);
  expect(texts).toContain("sink, no value");
  expect(texts).toContain("0.40");
  expect(texts).toContain(share.toFixed(3));
});

test("without values the weight is explained, and no output is promised", () => {
  const scene = attentionScene({ state: { query: 4 } });
  const blocks = {
    ...scene.blocks,
    error: (what: string) => (what === "value_vectors" ? "no values were recorded" : null),
  };
  const { texts } = draw({ ...scene, blocks });
  expect(texts).toContain("q × k");
  expect(texts).not.toContain("output");
});

test("the output strip is the recorded output in its own order, the value strip weight × value", () => {
  const hoverAt = (x: number, y: number) => ({ source: "neuron", x, y }) as const;
  const scene = attentionScene({ state: { query: 4, key: 3 }, headDim: 6 });
  const strips = draw(scene).calls.filter((c) => c.group === "output" && c.kind === "image");
  expect(strips).toHaveLength(2);
  const { output, value, weights } = scene.heads(0, 0);
  const weight = weights.row(4)[3] ?? 0;
  const number = (one: number) => one.toFixed(3).replace("-", "−");
  const v = value.row(3)[2] ?? 0;
  const expected = [
    `dimension 2: ${number(weight)} × v ${number(v)} = ${number(weight * v)}`,
    `dimension 2: output ${number(output.row(4)[2] ?? 0)}`,
  ];
  strips.forEach(({ numbers: [x = 0, y = 0, width = 0] }, strip) => {
    const at = [x + (2.5 * width) / 6, y + 5] as const;
    expect(neuronView.hit(scene, SIZE, ...at)).toEqual(strip === 0 ? { key: 3 } : { query: 4 });
    const { texts } = draw({ ...scene, hover: hoverAt(...at) });
    expect(texts).toContain(expected[strip]);
  });
});

test("without vectors: why, the weights all the same, and nothing asked for that is not there", () => {
  const reason = "Only weights were given.";
  const scene = attentionScene({
    layer: { has_vectors: false, reason, head_dim: null, scaling: null },
    state: { query: 4 },
  });
  const asked: string[] = [];
  const blocks = {
    ...scene.blocks,
    scores: () => {
      throw new Error("asked for scores");
    },
    vectors: (what: string) => {
      asked.push(what);
      return { row: () => null };
    },
    extents: () => {
      asked.push("extents");
      return null;
    },
  };
  const surface = draw({ ...scene, blocks }, TALL);
  const weights = scene.heads(0, 0).weights.row(4);
  expect(surface.texts).toContain(reason);
  expect(surface.texts).toContain((weights[3] ?? 0).toFixed(3));
  expect(asked).toEqual([]);
  expect(rowStops({ ...scene, blocks })).toHaveLength(11);
});

test("before anything has come: the frame of the picture, no number, no equation made up", () => {
  const surface = draw(attentionScene({ blocks: "pending", state: { query: 4 } }));
  expect(surface.broken).toEqual([]);
  expect(surface.texts).toContain("cat");
  expect(surface.texts.filter((text) => /loading/.test(text)).length).toBeGreaterThan(0);
  expect(surface.texts.filter((text) => /^[−<]?\d\.\d{3}$/.test(text))).toEqual([]);
});

test("an error is said in place of the rows", () => {
  const surface = draw(attentionScene({ blocks: "failed" }));
  const said = surface.calls.find(({ text }) => text === "the kernel has gone away");
  expect(said?.style?.fill).toBe(themes.light.danger);
  const below = {
    ...attentionScene({ blocks: "failed" }),
    failed: () => "the kernel has gone away",
  };
  expect(draw(below).texts).not.toContain("the kernel has gone away");
  expect(draw(below).texts.join(" ")).toContain(SAID_BELOW);
  const stops = neuronView.stops(attentionScene({ blocks: "failed" }), SIZE);
  expect(stops.map(({ action }) => action)).toEqual(["explain-head"]);
});

test("the foot does not move with the pointer", () => {
  const still = attentionScene({ layer: { causal: true } });
  const foot = (scene: Scene) =>
    neuronView.stops(scene, SIZE).find(({ action }) => action === "sort-dimensions")?.rect;
  const heights = [still, { ...still, hover: { source: "head", query: 1, key: 0 } as const }].map(
    (scene) => [foot(scene), neuronView.contentHeight(scene, SIZE.width, SIZE.height)],
  );
  expect(heights[0]).toEqual(heights[1]);
});

test("scrolling ends with the content", () => {
  const scene = attentionScene({ queries: long, options: { allKeys: true } });
  const content = neuronView.contentHeight(scene, SIZE.width, SIZE.height);
  const stops = (scroll: number) => rowStops(scene, { ...SIZE, scroll }).map(({ key }) => key);
  expect(stops(content - SIZE.height).at(-1)).toBe(69);
  expect(stops(content)).toEqual(stops(content - SIZE.height));
});

test.each([380, 460, 700, 1300])(
  "head_dim 256 at %i px: strips take the width there is",
  (width) => {
    const { strip, scale, weight } = columnsOf(width, true);
    expect(strip.width).toBeGreaterThanOrEqual(width === 380 ? 200 : 0.5 * width);
    expect(strip.x + strip.width).toBeLessThan(scale.x);
    expect(weight.x + weight.width).toBeLessThanOrEqual(width);
  },
);

test.each([330, 458, 640])("%d px: long labels have room before the bars do", (width) => {
  for (const hasScores of [true, false]) {
    const usual = columnsOf(width, hasScores);
    expect(columnsOf(width, hasScores, 40)).toEqual(usual);
    const { label, bar, weight } = columnsOf(width, hasScores, 400);
    expect(label.width).toBeGreaterThan(usual.label.width);
    expect(bar.width).toBeGreaterThanOrEqual(89);
    expect(bar.x + bar.width).toBeLessThanOrEqual(weight.x);
  }
});

test("a line is left free below everything", () => {
  const vectors = { hasVectors: true, hasValues: true, directions: 0, labels: 0 };
  const sizes = { width: 460, ...vectors, reasonLines: 0, equationLines: 2 };
  const rows = { keys: 5, sink: 0, masked: 0 };
  const { output, height } = linkLayout({ ...sizes, height: 560, rows, allKeys: false });
  expect(height - ((output?.y ?? 0) + (output?.height ?? 0))).toBeGreaterThanOrEqual(20);
});

const odd: readonly Given[] = [
  { queries: ["a"] },
  { queries: ["a", "b", "c"], keys: ["d", "e", "f", "g", "h"], layer: { bias: true, softcap: 3 } },
  { headDim: 256, layer: { sinks: [0.4, 1, -2], causal: true }, dark: true },
  { headDim: 1, layer: { scaling: null }, options: { dimensionOrder: "contribution" } },
  { layer: { has_vectors: false, head_dim: null } },
  { state: { query: 2, key: 9 }, layer: { causal: true, bias: true } },
  { blocks: "pending", hover: { source: "neuron", key: 1, dimension: 2, x: 90, y: 90 } },
];

test.each(odd)("every number that reaches the surface is one: %o", (given) => {
  for (const [width, height] of [
    [380, 560],
    [460, 220],
    [1300, 600],
  ] as const) {
    const surface = draw(attentionScene(given), { width, height, scroll: 0 });
    expect(surface.broken).toEqual([]);
    expect(surface.calls.length).toBeGreaterThan(10);
  }
});

test("weights that are not numbers are drawn as such, without a bar", () => {
  const scene = attentionScene({ state: { query: 4 } });
  scene.heads(0, 0).weights.row(4).fill(Number.NaN);
  scene.heads(0, 0).query.row(4)[2] = Number.NaN;
  const surface = draw(scene);
  expect(surface.texts).toContain("NaN");
  expect(surface.calls.every(({ numbers }) => numbers.every(Number.isFinite))).toBe(true);
});
