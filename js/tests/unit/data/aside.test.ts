import { expect, test } from "vitest";
import { asideOf, restOf, shadesIn, shareOf } from "../../../src/data/aside.js";

const FIRST = asideOf(
  [0, 1, 2].map((at) => ({ label: `t${at}`, kind: "token" as const })),
  [0],
);
const shades = (row: readonly number[]) => [0, 1, 2].map((key) => shadesIn(row, FIRST)(key));

test("what is left is dealt out, no more than all of it", () => {
  expect(shades([0.75, 0.125, 0.125])).toEqual([0, 0.5, 0.5]);
  expect(shades([0.75, 0.3, 0])).toEqual([0, 1, 0]);
});

test("of a row that is as good as all aside nothing is said", () => {
  // What rounding leaves of float32 weights.
  expect(restOf(1 - 6e-8)).toBe(0);
  expect(restOf(1 + 6e-8)).toBe(0);
  expect(shades([1 - 6e-8, 6e-8, 0])).toEqual([0, 0, 0]);
  expect(restOf(1 - 2e-6)).toBeCloseTo(2e-6, 12);
});

test("what is no number has no share, and no share is made of it", () => {
  expect(shareOf(Number.NaN, 0.5)).toBeNaN();
  expect(shareOf(0.5, Number.NaN)).toBeNaN();
  expect(shades([Number.NaN, 0.5, 0.5])).toEqual([0, Number.NaN, Number.NaN]);
  expect(shades([0.5, Number.NaN, 0.5])).toEqual([0, Number.NaN, 1]);
});
