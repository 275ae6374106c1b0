import { expect, test } from "vitest";
import { fitLine, type Measure, stands } from "../../../../src/shell/reading/fit-line.js";

/** Ten pixels a character, whatever its size. */
const measure: Measure = (text) => 10 * text.length;
const wished = {
  said: 200,
  // 4 pixels before each: "layer 3 ·" takes 94, "why" 34.
  parts: ["layer 3", "why"],
  buttons: [],
  // 10 pixels each besides their words: 50 each; with the word before them and what sets them apart 116.
  others: ["0·2a", "3·0a"],
  before: "also:",
};

test("in one row the least needed gives way first, and nothing is broken", () => {
  const fitted = (width: number) => fitLine(wished, width, 1, measure);
  expect(fitted(500)).toEqual({ parts: 2, others: 2 });
  expect(fitted(493)).toEqual({ parts: 2, others: 1 });
  expect(fitted(444)).toEqual({ parts: 2, others: 1 });
  expect(fitted(443)).toEqual({ parts: 2, others: 0 });
  expect(fitted(327)).toEqual({ parts: 1, others: 0 });
  expect(fitted(293)).toEqual({ parts: 0, others: 0 });
});

test("a second row takes what the first has no room for", () => {
  const fitted = (width: number) => fitLine(wished, width, 2, measure);
  expect(fitted(300)).toEqual({ parts: 2, others: 2 });
  expect(fitted(210)).toEqual({ parts: 2, others: 0 });
  // The sentence itself takes both, but for what follows its end.
  expect(fitted(150)).toEqual({ parts: 0, others: 0 });
});

test("what has to be there comes before what may be", () => {
  const withBack = { ...wished, buttons: ["back"] };
  expect(fitLine(withBack, 390, 1, measure)).toEqual({ parts: 2, others: 0 });
  expect(fitLine(withBack, 360, 1, measure)).toEqual({ parts: 1, others: 0 });
});

test("a sentence in two rows is broken between words, which leaves some of each row", () => {
  expect(stands(200, 200, 1)).toBe(true);
  expect(stands(201, 200, 1)).toBe(false);
  expect(stands(360, 200, 2)).toBe(true);
  expect(stands(390, 200, 2)).toBe(false);
});
