import { expect, test } from "vitest";
import { parseRanges, rangesText } from "../../../src/state/ranges.js";

const KNOWN = [0, 1, 2, 3, 5, 7, 8];

test.each([
  ["0–2, 7", [0, 1, 2, 7]],
  ["7, 0-2", [0, 1, 2, 7]],
  [" 3:6 ", [3, 5]],
  ["", null],
  ["0-99", null],
  ["4", undefined],
  ["a", undefined],
  ["1,,2", undefined],
  ["-1", undefined],
] as const)("%o names %o", (text, expected) => {
  expect(parseRanges(text, KNOWN)).toEqual(expected);
});

test("what is written is read back", () => {
  for (const list of [[0], [0, 1], [0, 2, 3, 5], [7, 8]]) {
    expect(parseRanges(rangesText(list), KNOWN)).toEqual(list);
  }
  expect(rangesText([0, 1, 2, 5, 7, 8])).toBe("0–2, 5, 7–8");
});
