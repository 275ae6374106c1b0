import { expect, test } from "vitest";
import {
  drawLinks,
  easing,
  INVISIBLE,
  LinkList,
  linkOpacity,
  linkPath,
  linkPixels,
  linkWidth,
} from "../../../src/marks/links.js";
import type { Pixels } from "../../../src/surface/surface.js";
import { random } from "../../support/attention-scene.js";
import { RecordingSurface } from "../../support/recording-surface.js";

const AREA = { x: 0, y: 0, width: 90, height: 60 };

function someLinks(count: number, groups = 1): LinkList {
  const next = random(7);
  const list = new LinkList();
  for (let i = 0; i < count; i++) {
    const weight = ((next() + 1) / 2) ** 2;
    list.add(i, i, 30 + 29 * next(), 30 + 29 * next(), weight, i % groups);
  }
  return list;
}

type Point = readonly [number, number];

/** Points along the path that is drawn as a vector. */
function along(from: number, to: number, steps: number): Point[] {
  const [move, curve] = linkPath(AREA, from, to) as unknown as [number[], number[]];
  const [, x0, y0] = move as [unknown, number, number];
  const [, x1, y1, x2, y2, x3, y3] = curve as [unknown, ...number[]] as unknown as number[];
  return Array.from({ length: steps + 1 }, (_, i) => {
    const t = i / steps;
    const mix = (a: number, b: number, c: number, d: number) =>
      (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t * t * c + t ** 3 * d;
    return [
      mix(x0, x1 as number, x2 as number, x3 as number),
      mix(y0, y1 as number, y2 as number, y3 as number),
    ];
  });
}

/** What the vectors cover, found by sampling: 0..1 per pixel, links over each other. */
function rasterize(list: LinkList): Float64Array {
  const clear = new Float64Array(AREA.width * AREA.height).fill(1);
  const grid = 4;
  for (let i = 0; i < list.length; i++) {
    const weight = list.weight[i] as number;
    const points = along(list.from[i] as number, list.to[i] as number, 400);
    const covered = new Map<number, Set<number>>();
    const half = linkWidth(weight) / 2;
    for (const [px, py] of points) {
      for (let sx = Math.floor((px - half) * grid); sx <= (px + half) * grid; sx++) {
        for (let sy = Math.floor((py - half) * grid); sy <= (py + half) * grid; sy++) {
          const [x, y] = [(sx + 0.5) / grid, (sy + 0.5) / grid];
          if ((x - px) ** 2 + (y - py) ** 2 > half * half) continue;
          if (x < 0 || x >= AREA.width || y < 0 || y >= AREA.height) continue;
          const pixel = Math.floor(y) * AREA.width + Math.floor(x);
          const samples = covered.get(pixel) ?? new Set();
          samples.add((sy % grid) * grid + (sx % grid));
          covered.set(pixel, samples);
        }
      }
    }
    for (const [pixel, samples] of covered) {
      const share = samples.size / (grid * grid);
      clear[pixel] = (clear[pixel] as number) * (1 - linkOpacity(weight) * share);
    }
  }
  return clear.map((value) => 1 - value);
}

const alphaAt = ({ width, data }: Pixels, x: number, y: number) =>
  (data[4 * (y * width + x) + 3] as number) / 255;

test("the summed picture covers what the vectors cover", () => {
  const list = someLinks(24);
  const expected = rasterize(list);
  const pixels = linkPixels(AREA, list, ["#3366cc"], 1);
  expect([pixels.width, pixels.height]).toEqual([AREA.width, AREA.height]);
  let [sum, total, worst, mass] = [0, 0, 0, 0];
  for (let y = 0; y < AREA.height; y++) {
    // The outermost columns: round ends of sampled strokes are not cut square.
    for (let x = 2; x < AREA.width - 2; x++) {
      const difference = alphaAt(pixels, x, y) - (expected[y * AREA.width + x] as number);
      sum += Math.abs(difference);
      mass += alphaAt(pixels, x, y);
      total += expected[y * AREA.width + x] as number;
      worst = Math.max(worst, Math.abs(difference));
    }
  }
  expect(sum / total).toBeLessThan(0.06);
  expect(worst).toBeLessThan(0.26);
  expect(Math.abs(mass / total - 1)).toBeLessThan(0.02);
});

test("a picture of a file covers the same in steps of four", () => {
  const list = someLinks(24, 3);
  const colours = ["#cc3333", "#33aa33", "#3333cc"];
  const fine = linkPixels(AREA, list, colours, 2).data;
  const { data } = linkPixels(AREA, list, colours, 2, { file: true });
  expect(data.length).toBe(fine.length);
  let worst = 0;
  for (let i = 3; i < data.length; i += 4) {
    const alpha = data[i] as number;
    expect(alpha % 4 === 0 || alpha === 255).toBe(true);
    worst = Math.max(worst, Math.abs(alpha - (fine[i] as number)));
  }
  expect(worst).toBeLessThanOrEqual(2);
});

test("curve and picture follow the same easing", () => {
  for (const [x, y] of along(10, 50, 37)) {
    expect(y).toBeCloseTo(10 + 40 * easing(x / AREA.width), 6);
  }
});

test("a crowded picture in fewer columns keeps what is covered", () => {
  const few = linkPixels({ ...AREA, width: 640 }, someLinks(24), ["#3366cc"], 1);
  const list = someLinks(24);
  // The same picture, forced into fewer columns by links that do not show.
  for (let i = 0; i < 30_000; i++) list.add(0, 0, -90, -90, 0.5, 0);
  const crowded = linkPixels({ ...AREA, width: 640 }, list, ["#3366cc"], 1);
  expect(crowded.width).toBeLessThan(few.width / 4);
  const mean = (pixels: Pixels) => {
    let sum = 0;
    for (let i = 3; i < pixels.data.length; i += 4) sum += pixels.data[i] as number;
    return sum / pixels.width / pixels.height;
  };
  expect(mean(crowded) / mean(few)).toBeGreaterThan(0.93);
  expect(mean(crowded) / mean(few)).toBeLessThan(1.07);
});

test("the picture does not depend on the order of links", () => {
  const forward = someLinks(60, 3);
  const backward = new LinkList();
  for (let i = forward.length - 1; i >= 0; i--) {
    const at = <T extends ArrayLike<number>>(values: T) => values[i] as number;
    backward.add(i, i, at(forward.from), at(forward.to), at(forward.weight), at(forward.group));
  }
  const colours = ["#cc3333", "#33aa33", "#3333cc"];
  const a = linkPixels(AREA, forward, colours, 1).data;
  const b = linkPixels(AREA, backward, colours, 1).data;
  expect(a.every((value, i) => Math.abs(value - (b[i] as number)) <= 1)).toBe(true);
});

test("two equal links of two heads mix their colours evenly", () => {
  const list = new LinkList();
  list.add(0, 0, 30, 30, 1, 0);
  list.add(0, 0, 30, 30, 1, 1);
  const { data } = linkPixels(AREA, list, ["#ff0000", "#0000ff"], 1);
  const at = 4 * (30 * AREA.width + 45);
  expect(data[at]).toBe(data[at + 2]);
  expect(data[at + 1]).toBe(0);
});

test("a link of the least visible weight shows, one below does not", () => {
  const alphaOf = (weight: number) => {
    const list = new LinkList();
    list.add(0, 0, 30.5, 30.5, weight, 0);
    return alphaAt(linkPixels(AREA, list, ["#000000"], 1), 45, 30);
  };
  expect(alphaOf(INVISIBLE * 1.05)).toBeGreaterThan(0);
  expect(255 * linkOpacity(INVISIBLE * 0.95)).toBeLessThan(1);
});

test("opacity and width grow with the weight and stay in their bounds", () => {
  const weights = [0, 0.001, 0.01, 0.1, 0.5, 1];
  const grows = (values: number[]) =>
    values.every((v, i) => i === 0 || v > (values[i - 1] as number));
  expect(grows(weights.map(linkOpacity))).toBe(true);
  expect(weights.map(linkWidth).at(0)).toBe(0.8);
  expect(weights.map(linkWidth).at(-1)).toBe(4);
  expect(linkOpacity(1)).toBeLessThan(1);
  expect(linkOpacity(Number.NaN)).toBe(0);
});

test.each([
  [1500, "path", 1500],
  [1501, "image", 1],
])("%d links are drawn as %s", (count, kind, calls) => {
  const surface = new RecordingSurface(90, 60);
  drawLinks(surface, AREA, someLinks(count), [{ name: "links", colour: "#000000" }]);
  const drawn = surface.calls.filter((call) => ["path", "image"].includes(call.kind));
  expect(drawn.map((call) => call.kind)).toEqual(Array(calls).fill(kind));
});
