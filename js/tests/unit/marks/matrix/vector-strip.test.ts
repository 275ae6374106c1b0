import { expect, test } from "vitest";
import { extent, largest, shade, stripPixels } from "../../../../src/marks/matrix/vector-strip.js";
import { themes } from "../../../../src/styles/theme.js";

test("strips: symmetric colours, the largest magnitude survives a lack of room, gaps are clear", () => {
  expect([shade(0, 2), shade(2, 2), shade(-2, 2), shade(Number.NaN, 2), shade(1, 0)]).toEqual([
    128, 255, 1, 128, 128,
  ]);
  expect([shade(0.5, 2), shade(-0.5, 2)]).toEqual([192, 65]);
  expect(largest([1, -3, Number.NaN, Number.NEGATIVE_INFINITY])).toBe(3);
  expect(extent([0.5, 2, Number.POSITIVE_INFINITY])).toEqual([0, 2]);
  const vector = Float32Array.from({ length: 40 }, (_, d) => (d === 17 ? -1 : 0.1));
  const scale = { table: themes.light.diverging, max: 1 };
  const rows = { pitch: 5, height: 3, columns: 10 };
  const { width, height, data } = stripPixels([vector, null, vector], null, scale, rows);
  expect([width, height]).toEqual([10, 13]);
  const pixel = (x: number, y: number) =>
    Array.from(data.slice(4 * (y * 10 + x), 4 * (y * 10 + x) + 4));
  expect(pixel(4, 0)).toEqual([...themes.light.diverging.slice(3, 6), 255]);
  expect(pixel(3, 0)).toEqual(pixel(5, 2));
  expect([pixel(4, 3)[3], pixel(4, 6)[3], pixel(4, 10)[3]]).toEqual([0, 0, 255]);
});
