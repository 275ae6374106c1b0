import { expect, test } from "vitest";
import { NOTHING_ASIDE } from "../../../../src/data/aside.js";
import type { Thumbnail } from "../../../../src/data/thumbnails.js";
import {
  composeThumbnails,
  resample,
  withoutColumns,
} from "../../../../src/marks/heads/thumbnails.js";
import { themes } from "../../../../src/styles/theme.js";
import { attentionScene } from "../../../support/attention-scene.js";

const [ROWS, COLUMNS] = [30, 42];

test("pooling to a few pixels keeps a single bright entry, wherever it is", () => {
  for (const [row, column] of [
    [0, 0],
    [17, 23],
    [29, 41],
  ] as const) {
    const data = new Uint8Array(ROWS * COLUMNS);
    data[row * COLUMNS + column] = 201;
    const pooled = resample({ rows: ROWS, columns: COLUMNS, data }, 5, 4);
    expect(pooled.filter((value) => value === 201)).toHaveLength(1);
    const at = Math.floor((row * 4) / ROWS) * 5 + Math.floor((column * 5) / COLUMNS);
    expect(pooled.filter((value) => value !== 0)).toHaveLength(1);
    expect(pooled.indexOf(201)).toBe(at);
  }
});

test("enlarging repeats entries and invents none", () => {
  const data = Uint8Array.from([10, 20, 30, 40, 50, 60]);
  const enlarged = resample({ rows: 2, columns: 3, data }, 7, 5);
  expect(new Set(enlarged)).toEqual(new Set(data));
  expect(Array.from(enlarged.slice(0, 7))).toEqual([10, 10, 20, 20, 20, 30, 30]);
});

test("same size is the same picture", () => {
  const data = Uint8Array.from([1, 2, 3, 4, 5, 6]);
  expect(resample({ rows: 2, columns: 3, data }, 3, 2)).toEqual(data);
});

test("setting the first key aside rescales the rest of each row to a sum of one", () => {
  const weights = [
    [0.75, 0.25, 0],
    [0.2, 0.3, 0.5],
    [1, 0, 0],
  ];
  const data = Uint8Array.from(weights.flat(), (w) => Math.round(255 * Math.sqrt(w)));
  const rest = withoutColumns({ rows: 3, columns: 3, data }, [0], true).data;
  const sums = [0, 1, 2].map((row) =>
    [0, 1, 2].reduce((sum, k) => sum + ((rest[3 * row + k] as number) / 255) ** 2, 0),
  );
  expect([rest[0], rest[3], rest[6]]).toEqual([0, 0, 0]);
  expect(sums[0]).toBeCloseTo(1, 2);
  expect(sums[1]).toBeCloseTo(1, 2);
  expect(sums[2]).toBe(0);
});

test("a composed cell shows its own head's colours and leaves the rest transparent", () => {
  const { thumbnails } = attentionScene({ numHeads: 3 });
  const cell = { layer: 1, head: 2, x: 4, y: 3, width: 11, height: 9 };
  const size = { width: 40, height: 20, hairline: 1 };
  const shading = { theme: themes.light, aside: NOTHING_ASIDE, numKeys: 1, shares: true };
  const { data } = composeThumbnails(thumbnails, [cell], size, shading);
  const shades = resample(thumbnails.get(1, 2) as Thumbnail, 11, 9);
  const at = (x: number, y: number) =>
    Array.from(data.slice(4 * (y * 40 + x), 4 * (y * 40 + x) + 4));
  for (const [x, y] of [
    [0, 0],
    [10, 8],
    [5, 4],
  ] as const) {
    const from = 3 * (shades[y * 11 + x] as number);
    const colour = Array.from(themes.light.sequential.slice(from, from + 3));
    expect(at(4 + x, 3 + y)).toEqual([...colour, 255]);
  }
  expect(at(3, 3)[3]).toBe(255);
  expect(at(2, 3)[3]).toBe(0);
  expect(at(16, 3)[3]).toBe(0);
});

test("a head whose thumbnail has not come keeps its place", () => {
  const { thumbnails } = attentionScene({ numHeads: 3 });
  const cell = { layer: 1, head: 2, x: 4, y: 3, width: 11, height: 9 };
  const later = Object.assign(Object.create(thumbnails), { get: () => null });
  const size = { width: 40, height: 20, hairline: 1 };
  const { data } = composeThumbnails(later, [cell], size, {
    theme: themes.light,
    aside: NOTHING_ASIDE,
    numKeys: 1,
    shares: true,
  });
  const inside = new Set<string>();
  for (let y = 3; y < 12; y++) {
    for (let x = 4; x < 15; x++)
      inside.add(data.slice(4 * (y * 40 + x), 4 * (y * 40 + x + 1)).join());
  }
  expect([...inside]).toEqual(["246,247,249,255"]);
});
