import { expect, test } from "vitest";
import { scrollOn } from "../../../src/shell/focus-stops.js";
import type { Stop } from "../../../src/views/view.js";

const at = (y: number, hit: Partial<Stop>): Stop => ({
  rect: { x: 0, y, width: 40, height: 16 },
  name: "",
  ...hit,
});

test("only the last token of each list in sight scrolls on, and never out of sight", () => {
  const stops = [
    at(0, { action: "sort-keys" }),
    ...[0, 1, 2, 3, 4].map((query) => at(16 * query, { query })),
    ...[0, 1, 2].map((key) => at(16 * key, { key })),
    at(90, { scrollTo: 700, key: 9 }),
    at(90, { layer: 1, head: 2 }),
  ];
  expect(stops.map((_, index) => scrollOn(stops, index))).toEqual([
    0, 0, 0, 0, 0, 32, 0, 0, 16, 0, 0,
  ]);
});

test("a single token has nothing to go on to", () => {
  expect(scrollOn([at(300, { key: 4 })], 0)).toBe(0);
});
