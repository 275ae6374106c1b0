import { expect, test } from "vitest";
import type { LensMeta } from "../../../../src/protocol/generated.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { layoutViews } from "../../../../src/views/layout.js";
import { lensData, predictions } from "../../../../src/views/lens/data.js";
import { lensLayout } from "../../../../src/views/lens/layout.js";
import { lensView } from "../../../../src/views/lens/view.js";
import { titleOf } from "../../../../src/views/titles.js";
import { attentionScene, type Given, WORDS } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const COUNT = WORDS.length;
const IT = WORDS.indexOf("it");
const LAYERS = 3;

/** Layer by layer and row by row: the first of two is "L.R". */
function lensOf(first = 0): LensMeta {
  const rows = Array.from({ length: COUNT - first }, (_, row) => row);
  const cells = Array.from({ length: LAYERS }, (_, layer) => rows.map((row) => [layer, row]));
  return {
    stream: "self",
    first,
    layers: LAYERS,
    ranks: 2,
    tokens: [...cells.flat().map(([layer, row]) => `${layer}.${row}`), "other"],
    top: cells.flat().flatMap((_, n) => [n, LAYERS * rows.length]),
    probabilities: cells.flat().flatMap((_, n) => [0.9 - n / 100, 0.1]),
  };
}

function scene(given: Given = {}, lens: LensMeta = lensOf()): Scene {
  const found = attentionScene({ numLayers: LAYERS, numHeads: 2, ...given });
  return { ...found, meta: { ...found.meta, lens }, recorded: null } as Scene;
}

const FRAME = { width: 700, height: 400, scroll: 0 };

function drawn(of: Scene, frame = FRAME): RecordingSurface {
  const surface = new RecordingSurface(frame.width, frame.height);
  lensView.draw(surface, of, frame);
  expect(surface.broken).toEqual([]);
  return surface;
}

test("each token has under it what the layer on show would predict, and the query in question all layers", () => {
  const shown = scene({ state: { layer: 1, heads: [0], queries: [IT], keys: [] } });
  const { texts } = drawn(shown);
  for (let row = 0; row < COUNT; row++) expect(texts).toContain(`1.${row}`);
  for (let layer = 0; layer < LAYERS; layer++) expect(texts).toContain(`${layer}.${IT}`);
  expect(texts).not.toContain("0.0");
  const data = lensData(shown);
  const [best, next] = data ? predictions(data, 1, IT) : [];
  expect(best?.probability).toBeCloseTo(0.9 - (COUNT + IT) / 100);
  expect(next).toEqual({ label: "other", probability: 0.1 });
  expect(texts.find((text) => text.startsWith("after “it”"))).toBe(
    "after “it”, layer 1: 1.8 0.710 · other 0.100",
  );
  expect(titleOf(shown, "lens")).toBe("What layer 1 would predict");
});

test("what is pointed at in the strip is asked, whatever is pinned; elsewhere the pin is", () => {
  const state = { layer: 0, heads: [0], queries: [IT], keys: [] };
  expect(lensData(scene({ state, hover: { source: "lens", query: 2 } }))?.row).toBe(2);
  expect(lensData(scene({ state, hover: { source: "head", query: 2 } }))?.row).toBe(IT);
});

test("another layer and another query move nothing", () => {
  const layout = (of: Scene, width: number) => {
    const data = lensData(of);
    return data && lensLayout(data, width);
  };
  for (const width of [300, 700]) {
    const one = scene({ state: { layer: 0, heads: [0], queries: [1], keys: [] } });
    const other = scene({ state: { layer: 2, heads: [0], queries: [IT], keys: [] } });
    expect(layout(one, width)).toEqual(layout(other, width));
  }
});

test.each([180, 320, 700, 1400])(
  "at %i pixels all lies inside, and nothing over another",
  (width) => {
    const shown = scene();
    const data = lensData(shown);
    if (!data) throw new Error("no lens");
    const { layers, cells, height } = lensLayout(data, width);
    const all = [...layers, ...cells];
    expect(all).toHaveLength(LAYERS + COUNT);
    for (const [n, rect] of all.entries()) {
      expect(rect.x).toBeGreaterThanOrEqual(0);
      expect(rect.x + rect.width).toBeLessThanOrEqual(width);
      expect(rect.y + rect.height).toBeLessThanOrEqual(height);
      for (const other of all.slice(n + 1)) {
        const apart =
          rect.x + rect.width <= other.x ||
          other.x + other.width <= rect.x ||
          rect.y + rect.height <= other.y ||
          other.y + other.height <= rect.y;
        expect(apart).toBe(true);
      }
    }
    expect(lensView.contentHeight(shown, width, 400)).toBe(Math.ceil(height));
    drawn(shown, { width, height: 400, scroll: 0 });
  },
);

test("a token pins its query and a layer is opened, where they are after scrolling, too", () => {
  const first = 2;
  const shown = scene({}, lensOf(first));
  const data = lensData(shown);
  if (!data) throw new Error("no lens");
  const { layers, cells } = lensLayout(data, FRAME.width);
  const scroll = 20;
  const at = (rect: (typeof cells)[number] | undefined) =>
    rect
      ? lensView.hit(shown, { ...FRAME, scroll }, rect.x + 3, rect.y + rect.height - 2 - scroll)
      : null;
  expect(at(cells[3])).toEqual({ query: 3 + first });
  expect(at(layers[2])).toEqual({ layer: 2, action: "open-layer" });
  expect(lensView.hit(shown, FRAME, 699, 399)).toBeNull();
  const stops = lensView.stops(shown, FRAME);
  expect(stops).toHaveLength(LAYERS + COUNT - first);
  expect(stops.at(-1)?.name).toBe(`after “tired”, layer 0 predicts “0.${COUNT - first - 1}” 0.820`);
});

test("tokens out of the frame are neither drawn nor found; one of them is brought in", () => {
  const shown = scene({ state: { layer: 0, heads: [0], queries: [0], keys: [] } });
  const frame = { width: 120, height: 90, scroll: 0 };
  expect(drawn(shown, frame).texts).not.toContain(`0.${COUNT - 1}`);
  expect(lensView.stops(shown, frame).some(({ query }) => query === COUNT - 1)).toBe(false);
  const scroll = lensView.reveal?.(shown, frame, { query: COUNT - 1 }) ?? 0;
  expect(scroll).toBeGreaterThan(0);
  expect(drawn(shown, { ...frame, scroll }).texts).toContain(`0.${COUNT - 1}`);
  expect(lensView.reveal?.(shown, { ...frame, scroll }, { query: COUNT - 1 })).toBeNull();
});

test("of another stream than the one on show the last layer is shown, and nothing is pinned", () => {
  const found = scene({ state: { layer: 0, heads: [0] } });
  const [own] = found.meta.streams;
  if (!own) throw new Error("no stream");
  const other = { ...own, name: "cross", query_positions: found.meta.positions.length };
  const meta = {
    ...found.meta,
    streams: [own, other],
    positions: [...found.meta.positions, []],
  };
  const shown = { ...found, meta, stream: other } as Scene;
  expect(lensData(shown)).toMatchObject({ layer: LAYERS - 1, pins: false, row: COUNT - 1 });
  expect(lensView.hit(shown, FRAME, 60, 30)).toBeNull();
  expect(lensView.stops(shown, FRAME)).toEqual([]);
});

test("under another measure tokens are pinned as well, but not pieces where words stand", () => {
  const record = scene();
  const measured = { ...record, recorded: record } as Scene;
  expect(lensData(measured)?.pins).toBe(true);
  const words = { ...measured, queries: record.queries.slice(1) } as Scene;
  expect(lensData(words)).toMatchObject({ pins: false, rows: COUNT });
});

const names = (of: Scene, width: number, whole = false) =>
  layoutViews(of, width, { whole }).boxes.map(({ view }) => view.name);

test("it stands under all views, and under the head view alone, but in no figure of that", () => {
  for (const width of [400, 800, 1200]) {
    expect(names(scene(), width).at(-1)).toBe("lens");
    expect(names(scene({ state: { view: "head" } }), width).at(-1)).toBe("lens");
    expect(names(attentionScene(), width)).not.toContain("lens");
  }
  expect(names(scene(), 1200, true).at(-1)).toBe("lens");
  expect(names(scene({ state: { view: "head" } }), 800, true)).toEqual(["head"]);
  expect(names(scene({ state: { view: "neuron" } }), 800)).not.toContain("lens");
});
