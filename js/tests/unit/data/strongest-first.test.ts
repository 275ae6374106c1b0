import { describe, expect, it } from "vitest";
import { strongestFirst, strongestOf } from "../../../src/data/strongest-first.js";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe("the order from large to small", () => {
  it.each([[[nan, 1, 3, 2]], [[3, nan, 1, 2]], [[1, 2, nan, 3]], [[1, 3, 2, nan]]])(
    "has NaN last, wherever it stood: %j",
    (given) => {
      expect([...given].sort(strongestFirst)).toEqual([3, 2, 1, nan]);
    },
  );

  it("knows infinities and several NaN", () => {
    expect([nan, -inf, inf, nan, 0, inf, -inf].sort(strongestFirst)).toEqual([
      inf,
      inf,
      0,
      -inf,
      -inf,
      nan,
      nan,
    ]);
  });

  it("leaves equal ones where they were", () => {
    const named = [0.5, nan, 0.5, nan, 0.7].map((value, place) => ({ value, place }));
    named.sort((a, b) => strongestFirst(a.value, b.value));
    expect(named.map(({ place }) => place)).toEqual([4, 0, 2, 1, 3]);
  });
});

describe("the strongest", () => {
  it.each([
    [[nan, 1, 3, 3], 2],
    [[2, nan], 0],
    [[nan, nan], 0],
    [[], -1],
  ])("of %j is at %i", (values, place) => {
    expect(strongestOf(values.keys(), values)).toBe(place);
  });

  it("is looked for among some", () => {
    expect(strongestOf([3, 1], [9, 1, 8, nan])).toBe(1);
  });
});
