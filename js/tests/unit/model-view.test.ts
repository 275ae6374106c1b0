import { expect, test } from "vitest";
import { Thumbnails } from "../../src/data/thumbnails.js";
import type { LayerMeta } from "../../src/protocol/generated.js";
import { modelView } from "../../src/views/model.js";
import { cellAt, cellRect, gridLayout, labelled } from "../../src/views/model-layout.js";
import type { Scene } from "../../src/views/view.js";
import { attentionScene } from "./attention-scene.js";
import { RecordingSurface } from "./recording-surface.js";

function layersOf(numLayers: number, heads: number | readonly number[]): LayerMeta[] {
  const [layer] = attentionScene().stream.layers;
  if (!layer) throw new Error("no layer");
  return Array.from({ length: numLayers }, (_, index) => ({
    ...layer,
    layer: index,
    num_heads: typeof heads === "number" ? heads : (heads[index] as number),
  }));
}

/** A scene of any size over blank thumbnails. */
function large(numLayers: number, heads: number | readonly number[], rest: object = {}): Scene {
  const scene = attentionScene(rest);
  const layers = layersOf(numLayers, heads);
  const total = layers.reduce((sum, layer) => sum + layer.num_heads, 0);
  const top = Array.from({ length: total }, () => [8, 2, 0.634]).flat();
  const overview = { offset: 0, rows: 7, columns: 5, sampled: false };
  const stream = { ...scene.stream, layers, top, overview };
  const layer = layers.find((l) => l.layer === scene.state.layer) as LayerMeta;
  const thumbnails = new Thumbnails(stream, new Uint8Array(total * 35));
  return { ...scene, stream, layer, thumbnails };
}

const draw = (scene: Scene, width: number, height: number, scroll = 0) => {
  const surface = new RecordingSurface(width, height);
  modelView.draw(surface, scene, { width, height, scroll });
  return surface;
};

test.each([
  [6, 12, 420],
  [12, 12, 300],
  [32, 32, 400],
  [80, 64, 420],
  [80, 64, 300],
  [61, 128, 400],
  [6, 12, 1300],
])("%i × %i heads at %i px: cells of 5 to 72 px, inside the frame, none shared", (l, h, width) => {
  const layout = gridLayout(layersOf(l, h), { width, height: 560 }, 0);
  expect(layout.pitch).toBeGreaterThanOrEqual(5);
  expect(layout.pitch).toBeLessThanOrEqual(72);
  expect(layout.left + layout.width).toBeLessThanOrEqual(width);
  const seen = new Set<string>();
  for (let row = 0; row < l; row++) {
    for (let head = 0; head < h; head++) {
      const { x, y, width: w, height } = cellRect(layout, row, head);
      expect(x + w).toBeLessThanOrEqual(layout.width);
      expect(y + height).toBeLessThanOrEqual(layout.height);
      seen.add(`${x},${y}`);
      expect(cellAt(layout, x + w / 2, y + height / 2)).toEqual({ row, head });
    }
  }
  expect(seen.size).toBe(l * h);
});

test("a grid that fits the frame does not scroll by a pixel", () => {
  for (let height = 500; height < 530; height++) {
    expect(modelView.contentHeight(large(24, 16), 1300, height)).toBeLessThanOrEqual(height);
  }
});

test("the grid is one image, whatever the number of heads, and drawn from the same pixels again", () => {
  const scene = large(32, 32);
  const images = [draw(scene, 420, 560), draw({ ...scene }, 420, 560, 30)].map((surface) =>
    surface.calls.filter(({ kind, group }) => kind === "image" && group === "heads"),
  );
  expect(images.map((list) => list.length)).toEqual([1, 1]);
  expect(images[0]?.[0]?.pixels).toBe(images[1]?.[0]?.pixels);
  const other = draw({ ...scene, options: { ...scene.options, setSinkAside: true } }, 420, 560);
  const image = other.calls.find(({ kind, group }) => kind === "image" && group === "heads");
  expect(image?.pixels).not.toBe(images[0]?.[0]?.pixels);
});

test("layers with gaps in their numbers and different numbers of heads: a hit is what was drawn", () => {
  const base = large(3, [3, 1, 2]);
  const layers = base.stream.layers.map((layer, index) => ({ ...layer, layer: 3 + 4 * index }));
  const stream = { ...base.stream, layers };
  const scene: Scene = {
    ...base,
    stream,
    layer: layers[0] as LayerMeta,
    state: { ...base.state, layer: 3 },
    thumbnails: new Thumbnails(stream, new Uint8Array(6 * 35)),
  };
  const frame = { width: 460, height: 400, scroll: 0 };
  const stops = modelView.stops(scene, frame);
  expect(stops.map(({ layer, head }) => [layer, head])).toEqual([
    [3, 0],
    [3, 1],
    [3, 2],
    [7, 0],
    [11, 0],
    [11, 1],
  ]);
  for (const { layer, head, rect } of stops) {
    const at = [rect.x + rect.width / 2, rect.y + rect.height / 2] as const;
    expect(modelView.hit(scene, frame, ...at)).toEqual({ layer, head });
  }
  const [, , , lonely] = stops;
  if (!lonely) throw new Error("no stop");
  const beside = lonely.rect.x + 1.5 * lonely.rect.width;
  expect(modelView.hit(scene, frame, beside, lonely.rect.y + 5)).toBeNull();
  expect(draw(scene, 460, 400).texts).toEqual(expect.arrayContaining(["3", "7", "11"]));
});

test("scrolled: hits follow the rows, the header stays", () => {
  const scene = large(80, 64, { state: { heads: [40] } });
  const height = modelView.contentHeight(scene, 1300, 500);
  expect(height).toBeGreaterThan(500);
  const frame = { width: 1300, height: 500, scroll: height - 500 };
  expect(modelView.hit(scene, frame, 300, 489)?.layer).toBe(79);
  expect(modelView.hit(scene, frame, 300, 10)).toBeNull();
  for (const { rect } of modelView.stops(scene, frame)) {
    expect(rect.y).toBeGreaterThanOrEqual(30);
    expect(rect.y + rect.height).toBeLessThanOrEqual(500);
  }
});

test("at most 80 stops, the selected head's row and column among them", () => {
  const scene = large(80, 64, { state: { layer: 1, heads: [5] } });
  const stops = modelView.stops(scene, { width: 420, height: 560, scroll: 0 });
  expect(stops.length).toBeLessThanOrEqual(80);
  expect(stops).toContainEqual(expect.objectContaining({ layer: 1, head: 5 }));
  expect(stops.every(({ layer, head }) => layer === 1 || head === 5)).toBe(true);
});

test("names say the head, its top link, and what it is chosen for", () => {
  const scene = attentionScene({ state: { layer: 1, heads: [2], compare: [[1, 2]] } });
  const top = scene.thumbnails.top(1, 2);
  const stop = modelView
    .stops(scene, { width: 420, height: 400, scroll: 0 })
    .find(({ layer, head }) => layer === 1 && head === 2);
  const [from, to] = [scene.queries[top?.query ?? 0]?.label, scene.keys[top?.key ?? 0]?.label];
  expect(stop?.name).toBe(
    `layer 1 head 2, top link ${from} to ${to} ${top?.weight.toFixed(3)}, selected, compared as A`,
  );
});

test("the card names the head, its top link without the first position, and its module", () => {
  const hover = { source: "model", layer: 1, head: 2, x: 300, y: 380 } as const;
  const surface = draw(attentionScene({ hover }), 420, 400);
  const card = surface.calls.filter(({ group }) => group === "card");
  const texts = card.flatMap(({ text }) => text ?? []);
  expect(texts[0]).toBe("layer 1 · head 2");
  expect(texts[1]).toMatch(/^top: “.+” → “.+” 0\.\d{3}$/);
  expect(texts.slice(2)).toEqual(["first position left aside", "model.layers.1.self_attn"]);
  expect(card.filter(({ kind }) => kind === "image")).toHaveLength(1);
  for (const { numbers, kind } of card) {
    const [x = 0, y = 0, width = 0, height = 0] = numbers;
    if (kind !== "rect") continue;
    expect(x).toBeGreaterThanOrEqual(0);
    expect(y).toBeGreaterThanOrEqual(0);
    expect(x + width).toBeLessThanOrEqual(420);
    expect(y + height).toBeLessThanOrEqual(400);
  }
  const small = draw(attentionScene({ hover: { ...hover, y: 100 } }), 320, 300).calls;
  expect(small.some(({ group, kind }) => group === "card" && kind === "image")).toBe(false);
});

test("a head hovered in another view is outlined without a card", () => {
  const surface = draw(attentionScene({ hover: { source: "head", head: 1 } }), 420, 400);
  expect(surface.calls.some(({ group }) => group === "card")).toBe(false);
});

test("says when rows were sampled and when the first key is set aside", () => {
  const plain = draw(attentionScene(), 420, 400).texts.join(" ");
  expect(plain).not.toMatch(/sample|aside/);
  const scene = attentionScene({ sampled: true, options: { setSinkAside: true } });
  const texts = draw(scene, 420, 400).texts.join(" ");
  expect(texts).toMatch(/sample of the query rows/);
  expect(texts).toMatch(/first key set aside/);
});

test("labels never stand closer than they need, and the first asked for always stand", () => {
  const shown = labelled(64, 6, 17, [12, 13, 40]);
  expect(shown).toContain(12);
  expect(shown).toContain(40);
  expect(shown).not.toContain(13);
  shown.slice(1).forEach((at, i) => {
    expect((at - (shown[i] as number)) * 6).toBeGreaterThanOrEqual(17);
  });
});

test.each([
  { keys: ["a"], queries: ["a"] },
  { queries: ["a", "b", "c"], keys: ["d", "e", "f", "g", "h"], dark: true },
])("every number that reaches the surface is one: %o", (given) => {
  const hover = { source: "keyboard", layer: 1, head: 0 } as const;
  const state = { heads: [0, 2], compare: [[0, 1] as [number, number]] };
  for (const width of [300, 420, 1300]) {
    expect(draw(attentionScene({ ...given, hover, state }), width, 400).broken).toEqual([]);
  }
});
