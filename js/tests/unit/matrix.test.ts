import { expect, test } from "vitest";
import { labelStep, rowAt, rowMiddle, side, visibleRows } from "../../src/marks/axis.js";
import { divergingTicks, sequentialTicks } from "../../src/marks/legend.js";
import {
  cellAt,
  cellRect,
  divergingShade,
  type Grid,
  matrixPixels,
  sequentialShade,
  sinkAsideShade,
} from "../../src/marks/matrix.js";
import { themes } from "../../src/styles/theme.js";

const { sequential, diverging } = themes.light;

function gridOf(rows: readonly (readonly number[] | null)[]): Grid {
  const columns = rows.find((row) => row !== null)?.length ?? 0;
  return {
    rows: rows.length,
    columns,
    row: (index) => (rows[index] ? Float32Array.from(rows[index]) : null),
  };
}

const colour = (table: Uint8Array, index: number) => [
  ...table.subarray(3 * index, 3 * index + 3),
  255,
];
const roomy = { maxWidth: 100, maxHeight: 100, zero: 0 };

test("a cell's colour is at the root of its weight", () => {
  const weights = [0, 0.015, 0.1, 0.5, 1];
  const { width, height, data } = matrixPixels(
    gridOf([weights]),
    sequentialShade,
    sequential,
    roomy,
  );
  expect([width, height]).toEqual([5, 1]);
  const expected = weights.flatMap((w) => colour(sequential, Math.round(255 * Math.sqrt(w))));
  expect(Array.from(data)).toEqual(expected);
});

test("rows that have not come are transparent, not zero", () => {
  const { data } = matrixPixels(gridOf([[1, 0], null]), sequentialShade, sequential, roomy);
  expect([data[3], data[7], data[11], data[15]]).toEqual([255, 255, 0, 0]);
});

test("pooled to fewer pixels, the strongest cell of each pixel shows", () => {
  const rows = Array.from({ length: 50 }, () => Array.from({ length: 70 }, () => 0.001));
  (rows[33] as number[])[46] = 1;
  const limit = { maxWidth: 7, maxHeight: 5, zero: 0 };
  const { width, height, data } = matrixPixels(gridOf(rows), sequentialShade, sequential, limit);
  expect([width, height]).toEqual([7, 5]);
  const at = 4 * (3 * 7 + 4);
  expect([...data.subarray(at, at + 4)]).toEqual(colour(sequential, 255));
  const others = data.filter((_, i) => i % 4 === 0 && i !== at);
  expect(new Set(others).size).toBe(1);
});

test("a difference is coloured by sign, nothing is the middle, and pooling keeps the larger size", () => {
  const shade = divergingShade(0.5);
  const grid = gridOf([[-0.5, 0, 0.5, 0.125]]);
  const limit = { ...roomy, zero: 128 };
  const wide = matrixPixels(grid, shade, diverging, limit);
  const expected = [0, 128, 255, 128 + Math.round(127 / 2)].flatMap((i) => colour(diverging, i));
  expect(Array.from(wide.data)).toEqual(expected);
  const narrow = matrixPixels(gridOf([[0.1, -0.4, 0.3, -0.2]]), shade, diverging, {
    ...limit,
    maxWidth: 1,
  });
  const index = Math.round(128 - 128 * Math.sqrt(0.8));
  expect(Array.from(narrow.data)).toEqual(colour(diverging, index));
});

test("without the sink a row is what is left of it, rescaled", () => {
  const row = Float32Array.from([0.75, 0.125, 0.125]);
  expect(sinkAsideShade(0.75, row, 0)).toBe(0);
  expect(sinkAsideShade(0.125, row, 1)).toBeCloseTo(255 * Math.sqrt(0.5), 4);
  expect(sinkAsideShade(0, Float32Array.from([1, 0]), 1)).toBe(0);
});

test("weights that are no numbers leave the rest alone", () => {
  const { data } = matrixPixels(gridOf([[Number.NaN, 1]]), sequentialShade, sequential, roomy);
  expect(Array.from(data)).toEqual([...colour(sequential, 0), ...colour(sequential, 255)]);
});

test("a point in a cell finds that cell, and none outside", () => {
  const cells = { rect: { x: 13, y: 29, width: 91, height: 47 }, rows: 5, columns: 7 };
  for (let row = 0; row < 5; row++) {
    for (let column = 0; column < 7; column++) {
      const { x, y, width, height } = cellRect(cells, row, column);
      expect(cellAt(cells, x + width / 2, y + height / 2)).toEqual({ row, column });
    }
  }
  expect(cellAt(cells, 12, 40)).toBeNull();
  expect(cellAt(cells, 40, 77)).toBeNull();
});

test("the legend's ticks stand where the map puts their weights", () => {
  expect(sequentialTicks().map(({ label }) => label)).toEqual(["0", "0.01", "0.1", "0.5", "1"]);
  for (const { at, label } of sequentialTicks()) {
    const shade = sequentialShade(Number(label), new Float32Array(1), 0);
    expect(at * 255).toBeCloseTo(shade, 6);
  }
  const ticks = divergingTicks(0.8);
  expect(ticks.map(({ label }) => label)).toEqual(["−0.80", "−0.20", "0", "+0.20", "+0.80"]);
  for (const { at, label } of ticks) {
    const value = Number(label.replace("−", "-"));
    const shade = divergingShade(0.8)(value, new Float32Array(1), 0);
    expect(Math.abs(at * 255 - shade)).toBeLessThan(0.6);
  }
});

test.each([0, 7, 16, 95, 300])("rows scrolled by %d pixels are found where they are", (offset) => {
  const axis = { count: 30, rowHeight: 16, top: 24, height: 200, offset };
  const [first, last] = visibleRows(axis);
  for (let index = 0; index < axis.count; index++) {
    const y = rowMiddle(axis, index);
    const inside = y >= axis.top && y < axis.top + axis.height;
    expect(rowAt(axis, y)).toBe(inside ? index : null);
    expect(side(axis, index) === 0 && (index < first || index >= last)).toBe(false);
  }
  expect(last - first).toBeLessThanOrEqual(Math.ceil(200 / 16) + 1);
});

test("steps between labels are round numbers that leave room", () => {
  expect([40, 16, 8, 3, 1, 0.4, 0.05].map((size) => labelStep(size, 16))).toEqual([
    1, 1, 2, 10, 20, 50, 500,
  ]);
});
