import { expect, test } from "vitest";
import { asideOf } from "../../../../src/data/aside.js";
import type { LaterThumbnails } from "../../../../src/data/lazy-thumbnails.js";
import { Thumbnails } from "../../../../src/data/thumbnails.js";
import { cardPlace } from "../../../../src/marks/heads/thumbnail-card.js";
import { quietShades } from "../../../../src/marks/heads/thumbnails.js";
import type { LayerMeta, StreamMeta } from "../../../../src/protocol/generated.js";
import type { Scene } from "../../../../src/scene/scene.js";
import type { Rect } from "../../../../src/surface/surface.js";
import { textWidth } from "../../../../src/surface/text.js";
import { layoutViews } from "../../../../src/views/layout.js";
import {
  type GridLayout,
  gridLayout,
  headAt,
  headLabelStep,
  headRect,
  headRects,
  labelled,
} from "../../../../src/views/model/layout.js";
import type { ShownRow } from "../../../../src/views/model/rows.js";
import { modelView } from "../../../../src/views/model/view.js";
import { attentionScene, type Given, WORDS } from "../../../support/attention-scene.js";
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
  expect(layout.open).toBeNull();
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

test.each([
  [4, 4, 340, 420],
  [2, 4, 340, 500],
  [4, 12, 340, 560],
  [12, 12, 1300, 900],
])(
  "%i × %i heads at %i × %i px: all of one size, with words below, as large as fits",
  (l, h, width, height) => {
    const layout = gridLayout(rowsOf(layersOf(l, h)), { width, height }, { notes: 0, at: 0 });
    expect(layout.open).toBeNull();
    expect(layout.cells.caption).toBeGreaterThan(0);
    const cells = everyCell(layout, l, h);
    expect(new Set(cells.map((cell) => `${cell.width} ${cell.height}`)).size).toBe(1);
    expect(Math.min(...cells.map((cell) => cell.width))).toBeGreaterThanOrEqual(40);
    expect(layout.top + layout.height).toBeLessThanOrEqual(height);
    const used = layout.width / (width - layout.left);
    expect(Math.max(used, (layout.top + layout.height) / height)).toBeGreaterThan(0.85);
  },
);

test("4 × 64 heads: what the small cells leave over makes the selected layer's large", () => {
  const layout = gridLayout(
    rowsOf(layersOf(4, 64)),
    { width: 400, height: 480 },
    { notes: 0, at: 0 },
  );
  expect(layout.open?.height).toBeGreaterThan(0.55 * 480);
  expect(layout.open?.cells.across).toBeGreaterThan(28);
  expect(layout.top + layout.height).toBeLessThanOrEqual(480);
});

test("6 × 12 heads: the selected layer in two rows of six, above all layers with their own numbers", () => {
  const scene = large(6, 12, { state: { layer: 2, heads: [4] } });
  const size = { width: 345, height: 440 };
  const layout = gridLayout(rowsOf(layersOf(6, 12)), size, { notes: 0, at: 2 });
  expect(layout.open?.cells).toMatchObject({ columns: 6, lines: 2 });
  const [first] = layout.rows;
  expect(layout.axis).toBeGreaterThan(layout.open?.height ?? 0);
  expect(layout.axis).toBeLessThan(first?.y ?? 0);
  expect(layout.rows.map(({ row }) => row)).toEqual([0, 1, 2, 3, 4, 5]);
  const [large4, small4] = headRects(layout, 2, 4);
  expect(large4?.width).toBeGreaterThan(40);
  expect(small4?.width).toBeLessThan(32);
  // Either place is the same head.
  for (const { x, y, width, height } of [large4, small4] as Rect[])
    expect(headAt(layout, x + width / 2, y + height / 2)).toEqual({ row: 2, head: 4 });
  const surface = draw(scene, size.width, size.height);
  const numbers = surface.calls.filter(({ text }) => text === "11");
  expect(numbers).toHaveLength(2);
});

test("opening another layer moves no cell of the block, and paints only what is open anew", () => {
  const scene = large(80, 64);
  const images = (layer: number) =>
    draw({ ...scene, state: { ...scene.state, layer } }, 1300, 620).calls.filter(
      ({ kind, group }) => kind === "image" && group === "heads",
    );
  const [one, other] = [images(40), images(41)];
  expect(one).toHaveLength(2);
  expect(one[1]?.pixels).toBe(other[1]?.pixels);
  expect(one[1]?.numbers).toEqual(other[1]?.numbers);
  expect(one[0]?.pixels).not.toBe(other[0]?.pixels);
});

test("small cells beside an open layer are quiet: each by its own largest, and none of them dark", () => {
  const cell = (data: readonly number[]) => ({ rows: 2, columns: 2, data: Uint8Array.from(data) });
  const strong = [...quietShades(cell([255, 0, 0, 255]), 2, 2)];
  expect(strong).toEqual([158, 0, 0, 158]);
  expect([...quietShades(cell([20, 0, 0, 20]), 2, 2)]).toEqual(strong);
  // A mean, where the largest would be as dark for one entry as for all of them.
  const one = quietShades(
    { rows: 4, columns: 4, data: Uint8Array.from({ length: 16 }, (_, i) => (i < 2 ? 200 : 8)) },
    2,
    2,
  );
  expect(one[0]).toBe(158);
  expect(Math.max(...one.slice(1))).toBeLessThan(20);
});

test("a layer's number opens it, a head's number stands for it in all layers", () => {
  const scene = large(6, 12, { state: { layer: 2 } });
  const frame = { width: 345, height: 440, scroll: 0 };
  const surface = draw(scene, frame.width, frame.height);
  const at = (text: string, from = 0) => {
    const call = surface.calls.filter((each) => each.text === text)[from];
    const [x = 0, y = 0] = call?.numbers ?? [];
    return [x + (call?.origin.x ?? 0) - 4, y + (call?.origin.y ?? 0)] as const;
  };
  const layout = gridLayout(rowsOf(layersOf(6, 12)), frame, { notes: 0, at: 2 });
  const five = layout.rows[5] as { y: number; height: number };
  expect(modelView.hit(scene, frame, layout.left - 8, layout.top + five.y + 4)).toEqual({
    layer: 5,
    action: "open-layer",
  });
  const [x, y] = at("11");
  expect(modelView.hit(scene, frame, x, y)).toEqual({ head: 11, action: "head-in-all-layers" });
});

test("layers of one head each stand side by side", () => {
  const scene = large(4, 1, { state: { layer: 1, measure: "rollout" } });
  const frame = { width: 345, height: 500, scroll: 0 };
  const stops = modelView.stops(scene, frame);
  expect(new Set(stops.map(({ rect }) => rect.x)).size).toBeGreaterThan(1);
  for (const { rect, layer, head } of stops) {
    const middle = [rect.x + rect.width / 2, rect.y + rect.height / 2] as const;
    expect(modelView.hit(scene, frame, ...middle)).toEqual({ layer, head });
  }
  expect(draw(scene, 345, 500).texts).toEqual(expect.arrayContaining(["layer 0", "layer 3"]));
});

/** Head 1 of layer 0 and all of layer 1 look at the previous token. */
const LABELS = Float32Array.from([-1, 0, 0, 0.91, -1, 0, 0, 0.7, 0, 0.8, 0, 0.9]);
const labelled3: Given = {
  headNumbers: ({ what }) => (what === "head_labels" ? { shape: [6, 2], data: LABELS } : null),
};

test("heads say below their cells what they do, and the selected one which link is pinned", () => {
  const scene = attentionScene({ ...labelled3, state: { layer: 0, heads: [1], query: 3, key: 2 } });
  const { calls } = draw(scene, 345, 300);
  const captions = calls.filter(({ group, text }) => group === "heads" && text === "previous");
  expect(captions).toHaveLength(3);
  const link = calls.find(({ text }) => text === "sat → cat");
  expect(link?.style?.fill).toBe(scene.theme.head(1, 3));
});

test("the pinned link, or the strongest of the pinned query, stands below every selected head", () => {
  const pinned = attentionScene({ state: { layer: 0, heads: [1, 2], query: 3, key: 2 } });
  expect(draw(pinned, 345, 440).texts.filter((text) => text === "sat → cat")).toHaveLength(2);
  const query = attentionScene({ state: { layer: 0, heads: [1, 2], query: 3 } });
  const { calls } = draw(query, 345, 440);
  for (const head of [1, 2]) {
    const row = query.blocks.weights(0, head).row(3) as Float32Array;
    const link = `sat → ${WORDS[row.indexOf(Math.max(...row))]}`;
    const fills = calls.filter(({ text }) => text === link).map(({ style }) => style?.fill);
    expect(fills).toContain(query.theme.head(head, 3));
  }
});

test("below the heads a list says what they do; a click on one selects it", () => {
  const scene = attentionScene(labelled3);
  const frame = { width: 345, height: 440, scroll: 0 };
  const surface = draw(scene, frame.width, frame.height);
  const list = surface.calls.filter(({ group }) => group === "head-list");
  // The clearest first.
  expect(list.flatMap(({ text }) => text ?? [])).toEqual([
    "What heads do here",
    "previous",
    "0·1",
    "1·2",
    "1·1",
    "1·0",
  ]);
  const [x = 0, y = 0] = list[3]?.numbers ?? [];
  expect(modelView.hit(scene, frame, x + 3, y)).toEqual({ layer: 1, head: 2 });
  const stop = modelView
    .stops(scene, frame)
    .find(({ name }) => name === "previous: layer 1 head 2");
  expect(stop).toMatchObject({ layer: 1, head: 2 });
  // Nothing waits for it, and nothing moves when it comes.
  const before = attentionScene();
  const cells = (one: Scene) =>
    modelView.stops(one, frame).filter(({ name }) => name.startsWith("layer"));
  expect(cells(before).map(({ rect }) => rect)).toEqual(cells(scene).map(({ rect }) => rect));
  expect(draw(before, frame.width, frame.height).texts).not.toContain("What heads do here");
});

/** Every head of a model has one of so many labels, each more often than the next. */
function labelledModel(numLayers: number, heads: number, labels: number): Scene {
  const base = large(numLayers, heads);
  const [score] = base.meta.scores;
  if (!score) throw new Error("no score");
  const scores = Array.from({ length: labels }, (_, n) => ({ ...score, label: `label ${n}` }));
  const total = numLayers * heads;
  const data = Float32Array.from({ length: 2 * total }, (_, at) =>
    at % 2 === 1 ? 0.5 : Math.floor((labels * at * at) / (4 * total * total)),
  );
  const found = { shape: [total, 2], data };
  const blocks = { ...base.blocks, heads: () => found };
  const stream = { ...base.stream, layers: base.stream.layers };
  return { ...base, meta: { ...base.meta, scores }, stream, blocks };
}

const MODELS = [
  [4, 4],
  [6, 12],
  [12, 12],
  [24, 16],
  [32, 32],
  [80, 64],
  [61, 128],
] as const;

test.each(MODELS)("%i × %i heads: below them all labels, or how many more there are", (l, h) => {
  for (const labels of [1, 3, 7]) {
    const scene = labelledModel(l, h, labels);
    for (const width of [1400, 1000, 700, 420]) {
      const box = layoutViews(scene, width).boxes.find(({ view }) => view === modelView);
      if (!box) throw new Error("no model view");
      const { rect } = box;
      const surface = draw(scene, rect.width, rect.height);
      const list = surface.calls.filter(({ group }) => group === "head-list");
      expect(list[0]?.text).toBe("What heads do here");
      const texts = list.flatMap(({ text }) => text ?? []);
      const own = texts.filter((text) => /^label \d$/.test(text)).length;
      const rest = texts.flatMap(
        (text) => /^(?:and )?(\d+) (?:more )?labels?(?:$|:)/.exec(text)?.[1] ?? [],
      );
      expect([own, ...rest.map(Number)].reduce((sum, count) => sum + count)).toBe(labels);
      const content = modelView.contentHeight(scene, rect.width, rect.height);
      const end = Math.max(content, rect.height) - 6;
      for (const { numbers } of list) expect(numbers[1] as number).toBeLessThan(end);
      expect(modelView.stops(scene, { ...rect, scroll: 0 }).length).toBeLessThanOrEqual(80);
      // Each head of the selected layer can be read, unless there is no room for that anyway.
      const open = modelView
        .stops(scene, { ...rect, scroll: 0 })
        .filter(({ name }) => name.startsWith("layer 0 head"));
      for (const stop of open) {
        expect(Math.min(stop.rect.width, stop.rect.height)).toBeGreaterThanOrEqual(
          h > 64 ? 11 : 16,
        );
      }
      // As long as the heads themselves are all in sight.
      if (l * h < 61 * 128) expect(content).toBeLessThanOrEqual(rect.height);
    }
  }
});

test("where the list has one line, every label in it has its clearest head, to be clicked", () => {
  const scene = labelledModel(12, 12, 2);
  const frame = { width: 379, height: 486, scroll: 0 };
  const list = draw(scene, 379, 486).calls.filter(({ group }) => group === "head-list");
  const [, first, ...rest] = list;
  expect(new Set([first, ...rest].map((call) => call?.numbers[1])).size).toBe(1);
  expect(rest.map(({ text }) => text)).toContain("label 1");
  const right = rest.map(({ text = "", numbers }) => (numbers[0] ?? 0) + textWidth(text, 11));
  expect(Math.max(...right)).toBeLessThanOrEqual(379);
  const heads = rest.filter(({ text }) => text?.includes("·"));
  expect(heads.length).toBeGreaterThan(1);
  for (const { text, numbers } of heads) {
    const [x = 0, y = 0] = numbers;
    const hit = modelView.hit(scene, frame, x + 2, y);
    expect(`${hit?.layer}·${hit?.head}`).toBe(text);
  }
});

test("a list takes nothing from what the cells show", () => {
  // Rather fewer lines of the list than cells too small for a picture.
  const scene = labelledModel(32, 32, 7);
  const bare: Scene = { ...scene, meta: { ...scene.meta, scores: [] } };
  for (const height of [486, 526, 580]) {
    const notes = [scene, bare].map((one) =>
      draw(one, 379, height).texts.filter((text) => text.startsWith("small cells")),
    );
    expect(notes).toEqual([[], []]);
  }
});

test("of heads that have no room to give, the list scrolls with the last layers", () => {
  const scene = labelledModel(61, 128, 3);
  const size = { width: 392, height: 486 };
  const content = modelView.contentHeight(scene, size.width, size.height);
  const listed = (scroll: number) =>
    modelView.stops(scene, { ...size, scroll }).filter(({ name }) => name.startsWith("label"));
  expect(listed(0)).toEqual([]);
  const frame = { ...size, scroll: content - size.height };
  const stops = listed(frame.scroll);
  expect(new Set(stops.map(({ name }) => name.slice(0, 7))).size).toBe(3);
  for (const { rect, layer, head } of stops) {
    expect(rect.y + rect.height).toBeLessThanOrEqual(size.height);
    expect(modelView.hit(scene, frame, rect.x + 2, rect.y + 9)).toEqual({ layer, head });
  }
});

test("a figure of the screen has the screen's cells, one for paper keeps no room for the list", () => {
  const scene = labelledModel(4, 4, 3);
  const drawing = { paper: false, panel: false, axes: true, legend: true, threshold: 0 };
  const turned = { horizontal: false, rightToLeft: false };
  const height = (one: Scene) => modelView.contentHeight(one, 379, 600);
  const figure = (paper: boolean) => ({ ...scene, drawing: { ...drawing, ...turned, paper } });
  expect(height(figure(false))).toBe(height(scene));
  const bare = { ...scene, meta: { ...scene.meta, scores: [] } };
  expect(height(figure(true))).toBe(height({ ...bare, drawing: figure(true).drawing }));
  expect(height(scene)).toBeGreaterThan(height(bare));
});

test("where no head has a label the list says so", () => {
  const data = Float32Array.from({ length: 12 }, (_, at) => (at % 2 === 0 ? -1 : 0));
  const scene = attentionScene({ headNumbers: () => ({ shape: [6, 2], data }) });
  expect(draw(scene, 345, 440).texts).toContain("None of these heads has a label.");
});

test("labels are asked for after all else, in a figure with all else", () => {
  const asked: unknown[] = [];
  const headNumbers: Scene["blocks"]["heads"] = ({ what }, when) => {
    asked.push([what, when]);
    return null;
  };
  const scene = attentionScene({ headNumbers });
  draw(scene, 345, 440);
  expect(new Set(asked.map(String))).toEqual(new Set(["head_labels,later"]));
});

test("a grid that fits the frame does not scroll by a pixel", () => {
  for (let height = 500; height < 530; height++) {
    expect(modelView.contentHeight(large(24, 16), 1300, height)).toBeLessThanOrEqual(height);
  }
});

test("the grid is two images, whatever the number of heads, and drawn from the same pixels again", () => {
  const scene = large(32, 32);
  const images = [draw(scene, 420, 560), draw({ ...scene }, 420, 560, 30)].map((surface) =>
    surface.calls.filter(({ kind, group }) => kind === "image" && group === "heads"),
  );
  expect(images.map((list) => list.length)).toEqual([2, 2]);
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
  const base = large(80, 64, { state: { heads: [40] } });
  // Without a list of what heads do, which would stand below the last layer.
  const scene: Scene = { ...base, meta: { ...base.meta, scores: [] } };
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
  expect(draw(some, 420, 560).texts.join(" ")).toContain("layer 0 · thumbnails: 40 %");
});

test("sampled thumbnails say so, and the exact ones stand where they stood", () => {
  const whole = large(12, 12);
  const later = { has: () => true, isSampled: (layer: number) => layer > 0, link: () => null };
  const about = { scale: 1, notes: [], progress: "sampled, 8 % exact" };
  const bytes = new Uint8Array(12 * 12 * 35);
  const made = [whole.stream, bytes, 7, 7, about, later as unknown as LaterThumbnails] as const;
  const some = { ...whole, thumbnails: new Thumbnails(...made) };
  const frame = { width: 420, height: 560, scroll: 0 };
  const rects = (scene: Scene) => modelView.stops(scene, frame).map(({ rect }) => rect);
  expect(rects(some)).toEqual(rects(whole));
  expect(draw(some, 420, 560).texts.join(" ")).toContain("layer 0 · sampled, 8 % exact");
  // Where the line would meet the ramp, what it counts is left out.
  const narrow = draw(some, 250, 560).texts;
  expect(narrow).toContain("sampled, 8 % exact");
  const card = (layer: number) => {
    const hover = { source: "model", layer, head: 1 } as const;
    return draw({ ...some, hover }, 420, 560).texts.join(" ");
  };
  expect(card(0)).not.toContain("sampled: a few rows");
  expect(card(3)).toContain("sampled: a few rows, the others follow");
  const names = modelView.stops(some, frame).map(({ name }) => name);
  expect(names.filter((name) => name.includes("thumbnail of a sample")).length).toBeGreaterThan(0);
  expect(names.find((name) => name.startsWith("layer 0 head 1"))).not.toContain("sample");
});

test("the card stands in the room below what is drawn, else in the corner furthest from the cell", () => {
  const size = { width: 150, height: 90 };
  const frame = { width: 345, height: 440, free: 440 };
  const cell = (x: number, y: number) => ({ x, y, width: 70, height: 70 });
  const apart = (at: { x: number; y: number }, { x, y, width, height }: Rect) =>
    at.x >= x + width || at.x + size.width <= x || at.y >= y + height || at.y + size.height <= y;
  for (const [x, y] of [
    [30, 20],
    [270, 20],
    [30, 360],
    [270, 360],
    [140, 180],
  ] as const) {
    const at = cardPlace(size, cell(x, y), frame);
    expect(apart(at, cell(x, y))).toBe(true);
    expect(at.x + size.width).toBeLessThanOrEqual(345);
    expect(at.y + size.height).toBeLessThanOrEqual(440);
    const free = cardPlace(size, cell(x, y), { ...frame, free: 300 });
    expect(free.y).toBeGreaterThan(300);
  }
});
