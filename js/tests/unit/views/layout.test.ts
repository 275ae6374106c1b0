import { expect, test } from "vitest";
import type { Scene } from "../../../src/scene/scene.js";
import { layoutViews, type ViewBox } from "../../../src/views/layout.js";
import { attentionScene, type Given, WORDS } from "../../support/attention-scene.js";

const place = (scene: Scene, width: number) =>
  Object.fromEntries(layoutViews(scene, width).boxes.map((box) => [box.view.name, box]));

const end = ({ rect }: ViewBox) => rect.y + rect.height;
const tokens = (count: number) => Array.from({ length: count }, (_, n) => WORDS[n % 11] as string);

test.each([8, 40, 120])(
  "%i tokens at 1220 px: heads, links, and why, in three columns of one height",
  (count) => {
    const { model, head, neuron } = place(attentionScene({ queries: tokens(count) }), 1220);
    if (!model || !head || !neuron) throw new Error("a view is missing");
    expect(model.rect.x).toBeLessThan(head.rect.x);
    expect(head.rect.x).toBeLessThan(neuron.rect.x);
    expect(new Set([end(model), end(head), end(neuron)]).size).toBe(1);
    expect(head.rect.width).toBeGreaterThan(model.rect.width);
    // One quiet heading; the others say themselves what they are.
    expect([model, head, neuron].map(({ heading }) => heading > 0)).toEqual([true, false, false]);
  },
);

test("three columns show heads no smaller than two: a wider page gives them no less room", () => {
  const { model } = place(attentionScene(), 1220);
  // A window of 1,000 pixels leaves a notebook's cell 820.
  const narrow = place(attentionScene(), 820).model as ViewBox;
  expect(model?.rect.width).toBeGreaterThan(narrow.rect.width);
  for (const width of [940, 1100, 1220, 1400, 1800]) {
    const views = place(attentionScene(), width);
    const [heads, ...others] = [views.model, views.head, views.neuron] as ViewBox[];
    expect(heads?.rect.width).toBeGreaterThanOrEqual(282);
    for (const { rect } of others) expect(rect.width).toBeGreaterThan(290);
    expect((others[1]?.rect.x ?? 0) + (others[1]?.rect.width ?? 0)).toBeLessThanOrEqual(width);
  }
});

test("heights follow the content", () => {
  const height = (count: number) =>
    layoutViews(attentionScene({ queries: tokens(count), state: { view: "head" } }), 900).height;
  expect(height(6)).toBeLessThan(height(12));
  expect(height(12)).toBeLessThan(height(24));
  expect(height(120)).toBe(height(160));
});

test("at 700 px two columns and why below them; at 420 px the links first", () => {
  const two = place(attentionScene(), 660);
  expect(two.model?.rect.x).toBe(0);
  expect(two.head?.rect.x).toBeGreaterThan(0);
  expect(end(two.model as ViewBox)).toBe(end(two.head as ViewBox));
  expect(two.neuron?.rect.width).toBe(660);
  const order = layoutViews(attentionScene(), 400).boxes.map(({ view }) => view.name);
  expect(order).toEqual(["head", "model", "neuron"]);
});

test("on paper as wide as a page the heads stand beside the links, and all of it fits the page", () => {
  // 170 mm at the usual font size.
  const width = 638;
  const whole = layoutViews(attentionScene(), width, { whole: true });
  const [first, second] = whole.boxes;
  expect([first?.view.name, second?.view.name]).toEqual(["model", "head"]);
  expect((first?.rect.y ?? 0) - (first?.heading ?? 0)).toBe(second?.rect.y);
  // A page of A4 is 297 mm by 210 mm.
  expect(whole.height / width).toBeLessThan(277 / 170);
  const narrow = layoutViews(attentionScene(), 320, { whole: true });
  expect(narrow.boxes.map(({ view }) => view.name)).toEqual(["head", "model", "neuron"]);
});

test("the model view has the clicked head beside it; as a figure of its own it stands alone", () => {
  const scene = attentionScene({ state: { view: "model" } });
  expect(layoutViews(scene, 1220).boxes.map(({ view }) => view.name)).toEqual(["model", "head"]);
  expect(layoutViews(scene, 420).boxes.map(({ view }) => view.name)).toEqual(["model", "head"]);
  const whole = layoutViews(scene, 1220, { whole: true });
  expect(whole.boxes.map(({ view }) => view.name)).toEqual(["model"]);
});

test("a text of a few lines leaves no column empty: why stands below it", () => {
  const short = place(attentionScene({ state: { form: "text" } }), 1220);
  expect(short.neuron?.rect.x).toBe(short.head?.rect.x);
  expect(short.neuron?.rect.y).toBeGreaterThan(end(short.head as ViewBox));
  expect(end(short.neuron as ViewBox)).toBe(end(short.model as ViewBox));
  const long = place(attentionScene({ queries: tokens(200), state: { form: "text" } }), 1220);
  expect(long.neuron?.rect.x).toBeGreaterThan(long.head?.rect.x as number);
});

test.each([
  {},
  { state: { form: "matrix" } },
  { state: { view: "neuron" } },
  { state: { view: "compare", compare: [[0, 1]] } },
] as Given[])("no two views overlap, and none is wider than the page: %o", (given) => {
  for (const width of [320, 420, 639, 640, 700, 939, 940, 1000, 1220, 1600]) {
    const { boxes, height } = layoutViews(attentionScene(given), width);
    for (const one of boxes) {
      const { x, y, width: w } = one.rect;
      expect(w).toBeGreaterThan(100);
      expect(x + w).toBeLessThanOrEqual(width);
      expect(end(one)).toBeLessThanOrEqual(height);
      for (const other of boxes) {
        if (other === one) continue;
        const apart =
          x + w <= other.rect.x ||
          other.rect.x + other.rect.width <= x ||
          end(one) <= other.rect.y - other.heading ||
          end(other) <= y - one.heading;
        expect(apart).toBe(true);
      }
    }
  }
});

test("without headings the views move up by what those took", () => {
  const bare = layoutViews(attentionScene(), 1220, { headings: false });
  expect(bare.boxes.every(({ heading, rect }) => heading === 0 && rect.y === 0)).toBe(true);
});
