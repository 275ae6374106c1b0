import { expect, test } from "vitest";
import type { Scene } from "../../../../src/scene/scene.js";
import { themes } from "../../../../src/styles/theme.js";
import { dimensionOrder, readNeuron } from "../../../../src/views/neuron/data.js";
import { columnsOf } from "../../../../src/views/neuron/layout.js";
import { neuronView } from "../../../../src/views/neuron/view.js";
import { attentionScene, type Given } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const SIZE = { width: 460, height: 560, scroll: 0 };
const long = Array.from({ length: 70 }, (_, i) => `w${i}`);

function draw(scene: Scene, frame = SIZE) {
  const surface = new RecordingSurface(frame.width, frame.height);
  neuronView.draw(surface, scene, frame);
  return surface;
}

const rowStops = (scene: Scene, frame = SIZE) =>
  neuronView.stops(scene, frame).filter(({ rect, key }) => key !== undefined && rect.x === 0);

test("keys that the query cannot see are one line", () => {
  const scene = attentionScene({ layer: { causal: true }, state: { query: 6 } });
  expect(rowStops(scene).map(({ key }) => key)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(draw(scene).texts).toContain("4 later keys masked");
  const windowed = { causal: true, window: 3 };
  const narrow = attentionScene({ layer: windowed, state: { query: 6 } });
  expect(readNeuron(narrow)).toMatchObject({
    listed: [4, 5, 6],
    left: "4 earlier and 4 later keys masked",
  });
  const last = attentionScene({ layer: windowed });
  expect(readNeuron(last).left).toBe("8 earlier keys masked");
  expect(readNeuron(attentionScene()).left).toBeNull();
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
  expect(texts).toContain("query 10 “tired”");
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
  ["position", 0],
  ["position", 300],
  ["weight", 411],
] as const)(
  "by %s, scrolled by %i: a hit is the row and the dimension that were drawn",
  (order, scroll) => {
    const scene = attentionScene({
      queries: long,
      headDim: 5,
      state: { query: 60, key: 2 },
      options: { keyOrder: order, dimensionOrder: "contribution" },
    });
    const frame = { ...SIZE, scroll };
    const places = dimensionOrder(scene, readNeuron(scene));
    const { product } = columnsOf(frame.width, 5);
    if (!product || !places) throw new Error("no strips");
    const stops = rowStops(scene, frame);
    expect(stops.length).toBeGreaterThan(5);
    // Labels as drawn, by height in the frame.
    const labels = draw(scene, frame).calls.filter(({ text }) => /^w\d+$/.test(text ?? ""));
    for (const { key, rect } of stops) {
      const y = rect.y + rect.height / 2;
      const drawn = labels.filter((c) => Math.abs((c.numbers[1] ?? 0) + c.origin.y - y) < 0.5);
      expect(drawn.map(({ text }) => text)).toContain(`w${key}`);
      expect(neuronView.hit(scene, frame, 20, y)).toEqual({ key });
      for (let place = 0; place < 5; place++) {
        const x = product.x + ((place + 0.5) * product.width) / 5;
        expect(neuronView.hit(scene, frame, x, y)).toEqual({ key, dimension: places[place] });
      }
    }
  },
);

test("a pinned key that is scrolled away stands at the edge", () => {
  const scene = attentionScene({ queries: long, state: { query: 60, key: 2 } });
  const stops = rowStops(scene, { ...SIZE, scroll: 400 });
  const pinned = stops.filter(({ key }) => key === 2);
  expect(pinned).toHaveLength(1);
  const top = Math.min(...stops.map(({ rect }) => rect.y));
  expect(Math.abs((pinned[0]?.rect.y ?? 0) - top)).toBeLessThan(20);
  expect(neuronView.hit(scene, { ...SIZE, scroll: 400 }, 20, (pinned[0]?.rect.y ?? 0) + 9)).toEqual(
    {
      key: 2,
    },
  );
});

test("headings sort, and say by what", () => {
  const scene = attentionScene();
  const actions = neuronView.stops(scene, SIZE).filter(({ action }) => action);
  expect(actions.map(({ action, name }) => [action, name])).toEqual([
    ["sort-keys", "sort keys by weight"],
    ["sort-dimensions", "sort dimensions by contribution"],
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
  const hover = { source: "neuron", key: 3, dimension: 6 } as const;
  const scene = attentionScene({ state: { query: 4 }, hover });
  const { query, key } = scene.heads(0, 0);
  const [q, k] = [query.row(4)[6] ?? 0, key.row(3)[6] ?? 0];
  const text = (value: number) => value.toFixed(3).replace("-", "−");
  expect(draw(scene).texts).toContain(`dim 6: q ${text(q)} × k ${text(k)} = ${text(q * k)}`);
});

test("by contribution, the focus key's products fall from left to right", () => {
  const options = { dimensionOrder: "contribution" } as const;
  const scene = attentionScene({ options, state: { query: 4, key: 7 } });
  const { query, key } = scene.heads(0, 0);
  const order = dimensionOrder(scene, readNeuron(scene));
  const parts = Array.from(order ?? [], (d) => (query.row(4)[d] ?? 0) * (key.row(7)[d] ?? 0));
  expect(parts).toHaveLength(8);
  expect(parts).toEqual([...parts].sort((a, b) => b - a));
  // The pointer does not reorder what it points at.
  const hovered = { ...scene, hover: { source: "neuron", key: 1 } as const };
  expect(dimensionOrder(hovered, readNeuron(hovered))).toEqual(order);
});

test("the output strip is the recorded output in its own order, the value strip weight × value", () => {
  const hoverAt = (x: number, y: number) => ({ source: "neuron", x, y }) as const;
  const scene = attentionScene({ state: { query: 4, key: 3 }, headDim: 6 });
  const strips = draw(scene).calls.filter((c) => c.group === "output" && c.kind === "image");
  expect(strips).toHaveLength(2);
  const { output, value, weights } = scene.heads(0, 0);
  const weight = weights.row(4)[3] ?? 0;
  const expected = [Array.from(value.row(3), (v) => v * weight), Array.from(output.row(4))];
  strips.forEach(({ numbers: [x = 0, y = 0, width = 0] }, strip) => {
    const at = [x + (2.5 * width) / 6, y + 5] as const;
    expect(neuronView.hit(scene, SIZE, ...at)).toEqual(strip === 0 ? { key: 3 } : { query: 4 });
    const { texts } = draw({ ...scene, hover: hoverAt(...at) });
    const number = (expected[strip]?.[2] ?? 0).toFixed(3).replace("-", "−");
    expect(texts).toContain(`dim 2: ${number}`);
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
      return null;
    },
  };
  const surface = draw({ ...scene, blocks });
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
  expect(surface.texts.filter((text) => /^[−<]?\d\.\d{3}$/.test(text) && text !== "0.354")).toEqual(
    [],
  );
});

test("an error is said in place of the rows", () => {
  const surface = draw(attentionScene({ blocks: "failed" }));
  const said = surface.calls.find(({ text }) => text === "the kernel has gone away");
  expect(said?.style?.fill).toBe(themes.light.danger);
  expect(neuronView.stops(attentionScene({ blocks: "failed" }), SIZE)).toEqual([]);
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

test("scrolling ends at the last row, also for a query that sees few keys", () => {
  const scene = attentionScene({ queries: long, layer: { causal: true } });
  const content = neuronView.contentHeight(scene, SIZE.width, SIZE.height);
  const frame = { ...SIZE, scroll: content - SIZE.height };
  expect(rowStops(scene, frame).at(-1)?.key).toBe(69);
  const early = { ...scene, hover: { source: "head", query: 2 } as const };
  expect(rowStops(early, frame).map(({ key }) => key)).toEqual([0, 1, 2]);
});

test.each([380, 460, 700, 1300])(
  "head_dim 256 at %i px: a device pixel or more for each dimension",
  (width) => {
    const { product, key, weight } = columnsOf(width, 256);
    expect(product?.width).toBeGreaterThanOrEqual(width === 380 ? 128 : 226);
    if (key) expect(key.width).toBeGreaterThanOrEqual(256);
    expect(weight.x + weight.width).toBeLessThanOrEqual(width);
  },
);

test("narrow panels drop the key strip, not the product", () => {
  expect(columnsOf(460, 64).key).toBeNull();
  expect(columnsOf(460, 64).product).not.toBeNull();
  expect(columnsOf(700, 64).key).not.toBeNull();
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
