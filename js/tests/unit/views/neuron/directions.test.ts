import { expect, test } from "vitest";
import { formatScore } from "../../../../src/marks/format.js";
import type { HeadDirections } from "../../../../src/protocol/generated.js";
import { directionsOf } from "../../../../src/views/neuron/directions.js";
import { layoutOf } from "../../../../src/views/neuron/link-scene.js";
import { neuronView } from "../../../../src/views/neuron/view.js";
import { attentionScene, type Given } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const unit = (...at: readonly number[]) =>
  Array.from({ length: 8 }, (_, d) => (at.includes(d) ? 1 / Math.sqrt(at.length) : 0));

const OF_HEAD_1: HeadDirections = {
  stream: "self",
  layer: 0,
  head: 1,
  pattern: "previous",
  vectors: [unit(0, 1), unit(2)],
};
const FRAME = { width: 560, height: 620, scroll: 0 };

function scene(given: Given = {}, directions: readonly HeadDirections[] = [OF_HEAD_1]) {
  const state = { heads: [1], query: 4, queries: [4], key: 2, keys: [2], ...given.state };
  const made = attentionScene({ ...given, state });
  return { ...made, meta: { ...made.meta, directions: [...directions] }, recorded: null };
}

function draw(shown: ReturnType<typeof scene>, frame = FRAME): RecordingSurface {
  const surface = new RecordingSurface(frame.width, frame.height);
  neuronView.draw(surface, shown, frame);
  expect(surface.broken).toEqual([]);
  return surface;
}

test("each direction of the head has a row with what it adds to q·k, and the sum of them stands above", () => {
  const shown = scene();
  const { query, key } = shown.heads(0, 1);
  const [q, k] = [query.row(4), key.row(2)];
  const along = (vector: Float32Array, u: readonly number[]) =>
    u.reduce((sum, part, d) => sum + part * (vector[d] as number), 0);
  const added = OF_HEAD_1.vectors.map((u) => along(q, u) * along(k, u));
  const whole = q.reduce((sum, value, d) => sum + value * (k[d] as number), 0);
  const { texts } = draw(shown);
  for (const [at, value] of added.entries()) {
    expect(texts).toContain(`direction ${at}`);
    expect(texts).toContain(formatScore(value));
  }
  const together = formatScore(added.reduce((sum, value) => sum + value, 0));
  expect(texts.join("\n")).toContain(
    `directions of previous: (q·u)(k·u), together ${together}, all of q·k ${formatScore(whole)}`,
  );
  const stops = neuronView.stops(shown, FRAME).map(({ name }) => name);
  expect(stops).toContain(`direction 1 of previous: ${formatScore(added[1] as number)} of q·k`);
});

test("a bar goes to the right where it adds and to the left where it takes, on one scale", () => {
  const bars = draw(scene()).calls.filter(
    ({ group, kind }) => group === "directions" && kind === "rect",
  );
  const middles = draw(scene()).calls.flatMap(({ group, kind, numbers }) =>
    group === "directions" && kind === "line" ? (numbers[0] as number) : [],
  );
  expect(bars).toHaveLength(2);
  const widths = bars.map(({ numbers }) => numbers[2] as number);
  const { strip } = layoutOf(scene(), FRAME.width, FRAME.height).columns;
  expect(Math.max(...widths)).toBeCloseTo(strip.width / 2, 3);
  for (const { numbers, style } of bars) {
    const [x = 0, , width = 0] = numbers;
    const right = Math.abs(x - (middles[0] as number)) < 1e-6;
    const left = Math.abs(x + width - (middles[0] as number)) < 1e-6;
    expect(right || left).toBe(true);
    expect(style?.fill).toBe(right ? scene().theme.positive : scene().theme.negative);
  }
});

test("another head, layer or stream has no rows, and the rows make no room for themselves there", () => {
  const other = scene({ state: { heads: [0] } });
  expect(directionsOf(other)).toEqual([]);
  expect(draw(other).texts.join()).not.toContain("direction");
  const without = scene({}, []);
  const rows =
    layoutOf(scene(), FRAME.width, 900).height - layoutOf(without, FRAME.width, 900).height;
  expect(rows).toBe(3 * 18);
  expect(layoutOf(other, FRAME.width, 900).height).toBe(layoutOf(without, FRAME.width, 900).height);
  const elsewhere = { ...OF_HEAD_1, stream: "cross" };
  expect(directionsOf(scene({}, [elsewhere, { ...OF_HEAD_1, layer: 1 }]))).toEqual([]);
});

test("several patterns are told apart by name; of many directions eight have a row", () => {
  const links = { ...OF_HEAD_1, pattern: "links", vectors: [unit(3)] };
  const { texts } = draw(scene({}, [OF_HEAD_1, links]));
  expect(texts).toContain("previous 1");
  expect(texts).toContain("links 0");
  const many = { ...OF_HEAD_1, vectors: Array.from({ length: 20 }, () => unit(1)) };
  expect(directionsOf(scene({}, [many]))).toHaveLength(8);
});

test("rows wait for the vectors, and nothing reaches out of the frame", () => {
  expect(draw(scene({ blocks: "pending" })).texts).toContain("direction 0");
  for (const width of [180, 380, 900]) {
    for (const { kind, numbers, group } of draw(scene(), { ...FRAME, width }).calls) {
      if (group !== "directions" || kind !== "rect") continue;
      const [x = 0, , w = 0] = numbers;
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + w).toBeLessThanOrEqual(width);
    }
  }
});
