import { expect, test } from "vitest";
import { Matrix } from "../../../../src/data/blocks.js";
import { divergingTicks, sequentialTicks } from "../../../../src/marks/legends/legend.js";
import {
  cellAt,
  cellRect,
  indicesIn,
  type MatrixCells,
  sideOf,
} from "../../../../src/marks/matrix/cells.js";
import { drawMatrix, readable } from "../../../../src/marks/matrix/matrix.js";
import {
  divergingShade,
  sequentialShade,
  shadedPixels,
} from "../../../../src/marks/matrix/shading.js";
import {
  labelStep,
  rowAt,
  rowMiddle,
  side,
  visibleRows,
} from "../../../../src/marks/text/token-axis.js";
import { parseHex } from "../../../../src/styles/colours.js";
import { themes } from "../../../../src/styles/theme.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const { sequential, diverging } = themes.light;

const matrixOf = (rows: readonly (readonly number[])[]) =>
  new Matrix(rows.length, rows[0]?.length ?? 0, Float32Array.from(rows.flat()));

const colour = (table: Uint8Array, index: number) => [
  ...table.subarray(3 * index, 3 * index + 3),
  255,
];
const weights = { name: "weights", shade: sequentialShade(), table: sequential };

test("a cell's colour is at the root of its weight", () => {
  const row = [0, 0.015, 0.1, 0.5, 1];
  const { width, height, data } = shadedPixels(matrixOf([row]), weights);
  expect([width, height]).toEqual([5, 1]);
  const expected = row.flatMap((w) => colour(sequential, Math.round(255 * Math.sqrt(w))));
  expect(Array.from(data)).toEqual(expected);
});

test("a difference is coloured by sign, and nothing is the middle", () => {
  const shade = divergingShade(0.5);
  const pixels = shadedPixels(matrixOf([[-0.5, 0, 0.5, 0.125]]), {
    name: "difference",
    shade,
    table: diverging,
  });
  const expected = [0, 128, 255, 128 + Math.round(127 / 2)].flatMap((i) => colour(diverging, i));
  expect(Array.from(pixels.data)).toEqual(expected);
});

test("weights that are no numbers leave the rest alone", () => {
  const { data } = shadedPixels(matrixOf([[Number.NaN, 1]]), weights);
  expect(Array.from(data)).toEqual([...colour(sequential, 0), ...colour(sequential, 255)]);
});

const WINDOWS: readonly (readonly [string, Pick<MatrixCells, "down" | "across">])[] = [
  ["all in sight", { down: [0, 5], across: [0, 7] }],
  ["a part of cells in sight", { down: [1.25, 3.75], across: [0.4, 6.1] }],
];

test.each(WINDOWS)("a point in a cell finds that cell, and none outside: %s", (_, sight) => {
  const cells = { rect: { x: 13, y: 29, width: 91, height: 47 }, rows: 5, columns: 7, ...sight };
  let found = 0;
  for (let row = 0; row < 5; row++) {
    for (let column = 0; column < 7; column++) {
      const { x, y, width, height } = cellRect(cells, row, column);
      const [left, top] = [x + width / 2, y + height / 2];
      const there = sideOf(sight.down, row) === 0 && sideOf(sight.across, column) === 0;
      expect(cellAt(cells, left, top)).toEqual(there ? { row, column } : null);
      if (there) found++;
    }
  }
  expect(found).toBeGreaterThan(8);
  expect(cellAt(cells, 12, 40)).toBeNull();
  expect(cellAt(cells, 40, 77)).toBeNull();
  expect(indicesIn(sight.down)).toEqual(sight.down[0] === 0 ? [0, 5] : [1, 4]);
});

test("numbers stand in cells that are large enough, in a colour that can be read there", () => {
  const values = [
    [0.004, 0.62],
    [0, 1],
  ];
  const numbers = {
    ...weights,
    value: (row: number, column: number) => values[row]?.[column] ?? null,
    say: (value: number) => value.toFixed(3),
  };
  const draw = (side: number) => {
    const surface = new RecordingSurface(200, 200);
    const rect = { x: 0, y: 0, width: 2 * side, height: 2 * side };
    const cells = { rect, rows: 2, columns: 2, down: [0, 2], across: [0, 2] } as const;
    const marks = { pinned: { rows: [], columns: [] }, hovered: { row: null, column: null } };
    drawMatrix(surface, cells, [], marks, themes.light, numbers);
    return surface;
  };
  expect(draw(30).texts).toEqual([]);
  const { calls, texts } = draw(56);
  expect(texts).toEqual(["0.004", "0.620", "0.000", "1.000"]);
  const fills = calls.filter(({ kind }) => kind === "text").map(({ style }) => style?.fill);
  expect(fills[0]).toBe(themes.light.text);
  expect(fills[3]).toBe(themes.light.background);
});

test("of two colours the one with more contrast is taken, on every shade of both themes", () => {
  const linear = (byte: number) => {
    const part = byte / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  const light = ([r = 0, g = 0, b = 0]: readonly number[]) =>
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  for (const theme of [themes.light, themes.dark]) {
    for (const table of [theme.sequential, theme.diverging]) {
      for (let shade = 0; shade < 256; shade++) {
        const under = [...table.subarray(3 * shade, 3 * shade + 3)];
        const [a, b] = [light(under), light([...parseHex(readable(under, theme))])];
        expect((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)).toBeGreaterThan(3.5);
      }
    }
  }
});

test("the legend's ticks stand where the map puts their weights", () => {
  expect(sequentialTicks().map(({ label }) => label)).toEqual(["0", "0.01", "0.1", "0.5", "1"]);
  for (const { at, label } of sequentialTicks()) {
    expect(at * 255).toBeCloseTo(sequentialShade()(Number(label)), 6);
  }
  const ticks = divergingTicks(0.8);
  expect(ticks.map(({ label }) => label)).toEqual(["−0.80", "−0.20", "0", "+0.20", "+0.80"]);
  for (const { at, label } of ticks) {
    const value = Number(label.replace("−", "-"));
    expect(Math.abs(at * 255 - divergingShade(0.8)(value))).toBeLessThan(0.6);
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
