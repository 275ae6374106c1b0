import { expect, test } from "vitest";
import { formatScore, formatSigned, formatWeight, ordinal } from "../../../src/marks/format.js";

test("a weight has three decimals, and only nothing is zero", () => {
  expect([0, 1e-9, 0.0004, 0.0006, 0.634, 1].map(formatWeight)).toEqual([
    "0",
    "<0.001",
    "<0.001",
    "0.001",
    "0.634",
    "1.000",
  ]);
});

test("a weight that is no number is shown as what it is", () => {
  expect(formatWeight(Number.NaN)).toBe("NaN");
});

test("scores have a real minus sign, and none on a rounded zero", () => {
  expect([4.125, -4.1, -0.001, Number.NEGATIVE_INFINITY].map((s) => formatScore(s))).toEqual([
    "4.13",
    "−4.10",
    "0.00",
    "−∞",
  ]);
});

test("a difference always says its sign", () => {
  expect([0.25, -0.25, 0, 1e-6, -1e-6].map((d) => formatSigned(d))).toEqual([
    "+0.250",
    "−0.250",
    "0",
    "≈0",
    "≈0",
  ]);
});

test("ordinals", () => {
  expect([1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111, 112].map(ordinal)).toEqual(
    "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 101st 111th 112th".split(" "),
  );
});
