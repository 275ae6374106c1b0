import { expect, test } from "vitest";
import { asideOf } from "../../../../src/data/aside.js";
import { Thumbnails } from "../../../../src/data/thumbnails.js";
import type { LayerMeta, StreamMeta } from "../../../../src/protocol/generated.js";
import type { Scene } from "../../../../src/scene/scene.js";
import type { Rect } from "../../../../src/surface/surface.js";
import {
  type GridLayout,
  gridLayout,
  headAt,
  headLabelStep,
  headRect,
  labelled,
} from "../../../../src/views/model/layout.js";
import type { ShownRow } from "../../../../src/views/model/rows.js";
import { modelView } from "../../../../src/views/model/view.js";
import { attentionScene, type Given } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

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
function large(
  numLayers: number,
  heads: number | readonly number[],
  { state = {}, ...rest }: Given = {},
): Scene {
  const scene = attentionScene(rest);
  const layers = layersOf(numLayers, heads);
  const total = layers.reduce((sum, layer) => sum + layer.num_heads, 0);
  const top = Array.from({ length: total }, () => [8, 2, 0.634]).flat();
  const overview = { offset: 0, rows: 7, columns: 5, sampled: false };
  const stream = { ...scene.stream, layers: layers as StreamMeta["layers"], top, overview };
  const layer = layers.find((l) => l.layer === (state.layer ?? 0)) as LayerMeta;
  const thumbnails = new Thumbnails(stream, new Uint8Array(total * 35));
  return { ...scene, state: { ...scene.state, ...state }, stream, layer, thumbnails };
}

const draw = (scene: Scene, width: number, height: number, scroll = 0) => {
  const surface = new RecordingSurface(width, height);
  modelView.draw(surface, scene, { width, height, scroll });
  return surface;
};

const rowsOf = (layers: readonly LayerMeta[]): ShownRow[] =>
  layers.map((layer, row) => ({
    row,
    first: 0,
    layer,
    heads: Array.from({ length: layer.num_heads }, (_, head) => head),
  }));

const SIZES = [
  [6, 12, 420],
  [12, 12, 300],
  [32, 32, 400],
  [80, 64, 420],
  [80, 64, 300],
  [61, 128, 400],
  [6, 12, 1300],
  [80, 64, 1300],
  [2, 64, 400],
] as const;

function everyCell(layout: GridLayout, l: number, h: number): Rect[] {
  const cells: Rect[] = [];
  for (let row = 0; row < l; row++) {
    for (let head = 0; head < h; head++) {
      const cell = headRect(layout, row, head);
      if (!cell) throw new Error(`no cell for ${row}, ${head}`);
      const { x, y, width, height } = cell;
      expect(Math.min(width, height)).toBeGreaterThan(0);
      expect(x + width).toBeLessThanOrEqual(layout.width);
      expect(y + height).toBeLessThanOrEqual(layout.height);
      expect(headAt(layout, x + width / 2, y + height / 2)).toEqual({ row, head });
      cells.push(cell);
    }
  }
  expect(new Set(cells.map(({ x, y }) => `${x},${y}`)).size).toBe(l * h);
  return cells;
}

test.each(SIZES)("%i × %i heads at %i px, drawn whole: cells of 4 to 96 px", (l, h, width) => {
  const layout = gridLayout(rowsOf(layersOf(l, h)), { width, height: 560 }, { notes: 0 });
  expect(layout.bent).toBe(false);
  expect(layout.left + layout.width).toBeLessThanOrEqual(width);
  for (const cell of everyCell(layout, l, h)) {
    expect(cell.width).toBeGreaterThanOrEqual(4);
    expect(cell.width).toBeLessThanOrEqual(96);
  }
});

test.each(SIZES)(
  "%i × %i heads at %i px: whichever layer is selected can be read",
  (l, h, width) => {
    for (const at of [0, Math.floor(l / 2), l - 1]) {
      const layout = gridLayout(rowsOf(layersOf(l, h)), { width, height: 560 }, { notes: 0, at });
      expect(layout.left + layout.width).toBeLessThanOrEqual(width);
      everyCell(layout, l, h);
      const { width: side, height } = headRect(layout, at, h - 1) as Rect;
      expect(Math.min(side, height)).toBeGreaterThanOrEqual(11);
      // Unless there are too many heads for that, the whole model is in sight.
      if (l * h <= 80 * 64) expect(layout.top + layout.height).toBeLessThanOrEqual(560);
    }
  },
);

test("going from layer to layer within a page of opened ones moves nothing", () => {
  const pages = Array.from({ length: 80 }, (_, layer) =>
    gridLayout(rowsOf(layersOf(80, 64)), { width: 1300, height: 620 }, { notes: 1, at: layer })
      .rows.filter(({ opened }) => opened)
      .map(({ row }) => row),
  );
  const different = new Set(pages.map(String));
  expect(different.size).toBeLessThan(20);
  pages.forEach((page, layer) => {
    expect(page).toContain(layer);
  });
  const scene = large(80, 64);
  const [first, last] = [pages[40]?.[0], pages[40]?.at(-1)];
  expect(first).not.toBe(last);
  const [one, other] = [first, last].map((layer) => {
    const here = { ...scene, state: { ...scene.state, layer: layer as number } };
    return draw(here, 1300, 620).calls.find(
      ({ kind, group }) => kind === "image" && group === "heads",
    );
  });
  expect(one?.pixels).toBe(other?.pixels);
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
  const other = draw({ ...scene, aside: asideOf(scene.keys, "first") }, 420, 560);
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

test("scrolled: hits follow the rows, the header stays, and a head chosen elsewhere is revealed", () => {
  const scene = large(80, 64, { state: { heads: [40] } });
  // Half a frame has no room for all layers.
  const size = { width: 1300, height: 260 };
  const height = modelView.contentHeight(scene, size.width, size.height);
  expect(height).toBeGreaterThan(260);
  const frame = { ...size, scroll: height - 260 };
  expect(modelView.hit(scene, frame, 300, 249)?.layer).toBe(79);
  expect(modelView.hit(scene, frame, 300, 10)).toBeNull();
  for (const { rect } of modelView.stops(scene, frame)) {
    expect(rect.y).toBeGreaterThanOrEqual(30);
    expect(rect.y + rect.height).toBeLessThanOrEqual(260);
  }
  const at = { layer: 79, head: 63 };
  const scroll = modelView.reveal?.(scene, { ...size, scroll: 0 }, at) ?? 0;
  expect(scroll).toBeGreaterThan(0);
  expect(modelView.reveal?.(scene, { ...size, scroll }, at)).toBeNull();
});

test("only the layers that are chosen are on show, as large as there is room for", () => {
  const scene = large(80, 64, { state: { layer: 40, show_layers: [40, 79] } });
  const frame = { width: 420, height: 560, scroll: 0 };
  const stops = modelView.stops(scene, frame);
  expect(new Set(stops.map(({ layer }) => layer))).toEqual(new Set([40, 79]));
  expect(Math.min(...stops.map(({ rect }) => rect.width))).toBeGreaterThanOrEqual(20);
  const elsewhere = large(80, 64, { state: { layer: 7, show_layers: [40] } });
  expect(modelView.stops(elsewhere, frame).length).toBe(64);
});

test("a head too small for a picture has one shade, and what it means is said", () => {
  const texts = (scene: Scene, height: number) => draw(scene, 420, height).texts.join(" ");
  expect(texts(large(80, 64), 560)).toMatch(/small cells: a head’s mean √weight/);
  expect(texts(large(12, 12), 560)).not.toMatch(/small cells/);
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
  const scene = attentionScene({ sampled: true, state: { aside: "first" } });
  const texts = draw(scene, 420, 400).texts.join(" ");
  expect(texts).toMatch(/sample of the query rows/);
  expect(texts).toMatch(/first token set aside/);
});

test("labels never stand closer than they need, and the first asked for always stand", () => {
  const at = Array.from({ length: 64 }, (_, column) => 6 * column);
  const shown = labelled(at, headLabelStep(6, 17), 17, [12, 13, 40]);
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

test("while thumbnails are still coming nothing moves", () => {
  const whole = large(12, 12);
  const about = { scale: 1, notes: [], progress: "thumbnails: 40 %" };
  const thumbnails = new Thumbnails(whole.stream, new Uint8Array(12 * 12 * 35), 7, 7, about);
  const some = { ...whole, thumbnails };
  const frame = { width: 420, height: 560, scroll: 0 };
  expect(modelView.stops(some, frame)).toEqual(modelView.stops(whole, frame));
  expect(draw(some, 420, 560).texts.join(" ")).toContain("head · thumbnails: 40 %");
});
