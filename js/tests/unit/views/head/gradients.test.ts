import { expect, test } from "vitest";
import { BOTH_SIGNS } from "../../../../src/data/gradients.js";
import { measuredBlocks } from "../../../../src/data/measures.js";
import { formatSigned } from "../../../../src/marks/format.js";
import { INVISIBLE } from "../../../../src/marks/links.js";
import { heatPixels } from "../../../../src/marks/matrix/image-heat.js";
import type { Scene } from "../../../../src/scene/scene.js";
import {
  BREVITIES,
  type Brevity,
  reading,
  say,
  subjectOf,
} from "../../../../src/shell/reading/reading-text.js";
import { themes } from "../../../../src/styles/theme.js";
import { textWidth } from "../../../../src/surface/text.js";
import { headView } from "../../../../src/views/head/view.js";
import { readScore } from "../../../../src/views/model/head-scores.js";
import { modelView } from "../../../../src/views/model/view.js";
import { RecordingSurface } from "../../../support/recording-surface.js";
import { draw, FRAME, small } from "../../../support/token-scenes.js";

const METRIC = "log p(“purred”)";
type Given = NonNullable<Parameters<typeof small>[0]>;

/** A small scene under a measure of gradients. */
function gradients(measure: "gradient" | "relevance", state: Given["state"] = {}) {
  const scene = small({ state: { heads: [1], measure, ...state } });
  const stream = { ...scene.stream, metric: METRIC };
  const blocks = measuredBlocks(scene.blocks, stream, measure, scene.queries.length);
  return { ...scene, stream, blocks };
}

const LEGEND_PARTS = (scene: Scene) => draw(scene).calls.flatMap(({ text }) => text ?? []);
const curves = (scene: Scene) =>
  draw(scene).calls.filter(({ kind, numbers }) => {
    const [x0 = 0, , , , , , x1 = 0] = numbers;
    return kind === "path" && x1 - x0 > 100;
  });

test("links are drawn by size, in the colour of their sign", () => {
  const scene = gradients("gradient", { top_k: null });
  const { data } = scene.heads(0, 1).gradient;
  const most = Math.max(...data.map(Math.abs));
  const drawn = curves(scene);
  for (const [colour, sign] of [
    [themes.light.positive, 1],
    [themes.light.negative, -1],
  ] as const) {
    const expected = data.filter((value) => (sign * value) / most > INVISIBLE).length;
    expect(expected).toBeGreaterThan(3);
    const found = drawn.filter(({ style }) => style?.stroke === colour).length;
    expect(found).toBe(expected);
  }
  expect(drawn.every(({ style }) => style?.stroke !== scene.theme.head(1, 3))).toBe(true);
  const relevant = curves(gradients("relevance", { top_k: null }));
  expect(new Set(relevant.map(({ style }) => style?.stroke))).toEqual(
    new Set([scene.theme.head(1, 3)]),
  );
});

test.each(["lines", "matrix"] as const)("the legend names the metric and the scale: %s", (form) => {
  const scene = gradients("gradient", { form });
  const most = Math.max(...scene.heads(0, 1).gradient.data.map(Math.abs));
  const texts = LEGEND_PARTS(scene);
  expect(texts).toContain(`w × ∂/∂w of ${METRIC}`);
  expect(texts).toContain(`scale: up to ${Number(most.toPrecision(3))}, the largest here`);
  if (form === "lines") expect(texts).toEqual(expect.arrayContaining(["adds", "takes away"]));
  if (form === "matrix") expect(texts).toContain(formatSigned(-most, most < 0.1 ? 3 : 2));
  expect(LEGEND_PARTS(gradients("relevance", { form }))).not.toContain("takes away");
});

test("a link that takes away is a hit on its head, and numbers beside labels have their sign", () => {
  const scene = gradients("gradient", { query: 3 });
  const row = scene.heads(0, 1).gradient.row(3);
  const key = row.reduce((best, value, at) => (value < (row[best] as number) ? at : best), 0);
  expect(row[key]).toBeLessThan(0);
  expect(LEGEND_PARTS(scene)).toContain(formatSigned(row[key] as number, 2));
  const hits = curves(scene).map(({ numbers }) => {
    const [x0 = 0, y0 = 0, , , , , x1 = 0, y1 = 0] = numbers;
    return headView.hit(scene, FRAME, (x0 + x1) / 2, (y0 + y1) / 2);
  });
  expect(hits).toContainEqual({ layer: 0, head: 1, query: 3, key });
});

test("a matrix and a text are shaded about nothing", () => {
  const matrix = draw(gradients("gradient", { form: "matrix" }));
  const { diverging } = themes.light;
  const image = matrix.calls.find(({ kind }) => kind === "image");
  expect(image).toBeDefined();
  const scene = gradients("gradient", { form: "text", query: 3 });
  const fills = new Set(draw(scene).calls.flatMap(({ style }) => style?.fill ?? []));
  const half = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, n) => {
      const rgb = [...diverging.subarray(3 * (from + n), 3 * (from + n) + 3)];
      return `#${rgb.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
    });
  const row = scene.heads(0, 1).gradient.row(3);
  expect(Math.min(...row)).toBeLessThan(0);
  expect(half(0, 127).some((colour) => fills.has(colour))).toBe(true);
  expect(half(129, 256).some((colour) => fills.has(colour))).toBe(true);
});

test("the reading line says what a link adds to the metric", () => {
  for (const measure of ["gradient", "relevance"] as const) {
    const scene = gradients(measure, { query: 3, key: 2 });
    const value = scene.heads(0, 1).gradient.row(3)[2] as number;
    expect(value).toBeLessThan(0);
    const { link, number } = reading(scene, null);
    expect(link).toBe("“because” looks at “Katze”");
    const taken = `takes ${Math.abs(value).toFixed(3)} from`;
    expect(number).toBe(
      `, its link ${measure === "gradient" ? taken : "adds nothing to"} ${METRIC}.`,
    );
  }
  const several = gradients("gradient", { query: 3, key: 2, heads: [1, 2] });
  const [first, second] = [1, 2].map((head) =>
    Math.abs(several.heads(0, head).gradient.row(3)[2] as number).toFixed(3),
  );
  expect(reading(several, null).number).toBe(
    `, their links take head 1 ${first}, head 2 ${second} from ${METRIC}.`,
  );
});

test("what is less than nothing is taken from the metric, and is not said to be added", () => {
  const of = (numbers: readonly number[], state: Given["state"] = {}, brevity?: Brevity) => {
    const scene = gradients("gradient", { query: 3, ...state });
    const weights: typeof scene.blocks.weights = (layer, head) => ({
      ...scene.blocks.weights(layer, head),
      row: () => Float32Array.from(scene.keys, (_, key) => numbers[key] ?? 0),
    });
    const given = { ...scene, blocks: { ...scene.blocks, weights } };
    const { link, number } = say(subjectOf(given), null, brevity);
    return link + number;
  };
  const to = `to ${METRIC}.`;
  const key = gradients("gradient").keys[1]?.label;
  expect(of([0, 0.25])).toBe(`“because” adds most by its link to “${key}”, +0.250 ${to}`);
  expect(of([0, -0.25])).toBe(
    `“because” takes most by its link to “${key}”, 0.250 from ${METRIC}.`,
  );
  expect(of([])).toBe(`“because” adds nothing by any link ${to}`);
  expect(of([0, -0.25], { key: 1 })).toContain(`its link takes 0.250 from ${METRIC}.`);
  expect(of([0, -0.25], { key: 0 })).toContain(`its link adds nothing ${to}`);
  // Said briefly, the sign is all that is left of it.
  expect(of([0, -0.25], { key: 1 }, BREVITIES[4])).toMatch(/, −0\.250\.$/);
});

test("the scale of links is whole however long the name of the metric is", () => {
  const long = gradients("gradient");
  const stream = { ...long.stream, metric: "log p(“antidisestablishmentarianism”)" };
  const width = 240;
  const surface = new RecordingSurface(width, 400);
  const given = { ...long, stream };
  headView.draw(surface, given, { ...FRAME, width, height: 400 });
  const samples = surface.calls.filter(
    ({ kind, group, text, numbers }) =>
      kind === "text" &&
      group === "legend" &&
      /^[0-9.]+$/.test(text ?? "") &&
      (numbers[0] ?? 0) > 0,
  );
  expect(samples).toHaveLength(3);
  for (const { text = "", numbers } of samples)
    expect((numbers[0] ?? 0) + textWidth(text, 11)).toBeLessThanOrEqual(width);
  expect(surface.texts.some((text) => text.includes("of log p(“anti"))).toBe(true);
});

test("heads are not scored by numbers of both signs", () => {
  const scene = gradients("gradient");
  expect(readScore(scene, "previous")).toMatchObject({ values: null, why: BOTH_SIGNS });
});

test("over a picture what takes away is as strong as what adds, in another colour", () => {
  const inside = { rows: 1, columns: 3, at: [0, 1, 2] };
  const { data } = heatPixels(inside, [0.5, -0.5, 0], 0.5);
  const [red = 0, , blue = 0, cover] = data;
  expect(red).toBeGreaterThan(blue);
  expect(data[6]).toBeGreaterThan(data[4] as number);
  expect(data[7]).toBe(cover);
  expect(data[11]).toBe(0);
});

test("the model view names the pinned query's link of largest size, whatever its sign", () => {
  const scene = gradients("gradient", { query: 3 });
  const row = [...(scene.blocks.weights(0, 1).row(3) ?? [])];
  const largest = row.reduce(
    (best, value, key) => (Math.abs(value) > Math.abs(row[best] as number) ? key : best),
    0,
  );
  const negative = row.map((value, key) => (key === largest ? -Math.abs(value) : value));
  const weights: typeof scene.blocks.weights = (layer, head) => ({
    ...scene.blocks.weights(layer, head),
    row: () => Float32Array.from(negative),
  });
  const surface = new RecordingSurface(320, 240);
  const frame = { ...FRAME, width: 320, height: 240 };
  modelView.draw(surface, { ...scene, blocks: { ...scene.blocks, weights } }, frame);
  const label = scene.keys[largest]?.label;
  expect(surface.calls.some(({ text }) => text?.endsWith(`→ ${label}`))).toBe(true);
});
