import { describe, expect, test } from "vitest";
import { type Fitted, fitting, rowsOf } from "../../../../src/shell/toolbar/fit.js";

const control = (name: string, rank: number, more: Partial<Fitted> = {}): Fitted => ({
  name,
  rank,
  full: 100,
  short: 40,
  ...more,
});
const forms = (controls: readonly Fitted[], available: number, rows = 1) =>
  Object.fromEntries(fitting(controls, { available, rows, last: 50 }) ?? []);

describe("the line of controls", () => {
  const three = [control("a", 10, { shortRank: 30 }), control("b", 20), control("c", Infinity)];

  test("what fits stays as it is", () => {
    expect(forms(three, 350)).toEqual({ a: "full", b: "full", c: "full" });
  });

  test("the lowest rank gives way first: it becomes short, then goes under ⋯", () => {
    expect(forms(three, 349)).toEqual({ a: "short", b: "full", c: "full" });
    expect(forms(three, 289)).toEqual({ a: "short", b: "more", c: "full" });
    expect(forms(three, 189)).toEqual({ a: "more", b: "more", c: "full" });
  });

  test("what never gives way stays though nothing fits", () => {
    expect(forms(three, 10)).toEqual({ a: "more", b: "more", c: "full" });
  });

  test("a rank of 0 is always under ⋯", () => {
    expect(forms([control("seldom", 0)], 1000)).toEqual({ seldom: "more" });
  });

  test("a second row takes what the first has no room for", () => {
    expect(forms(three, 250, 2)).toEqual({ a: "full", b: "full", c: "full" });
    expect(forms(three, 149, 2)).toEqual({ a: "short", b: "more", c: "full" });
  });

  test("the end stays together: it wraps as one", () => {
    const end = [control("x", 10), control("y", 20, { end: true })];
    expect(forms(end, 250)).toEqual({ x: "full", y: "full" });
    expect(forms(end, 249)).toEqual({ x: "more", y: "full" });
    // Apart, the first row had room for one of the two.
    expect(forms([control("w", 5), ...end], 200, 2)).toEqual({ w: "full", x: "full", y: "full" });
    expect(forms([control("w", 5), control("v", 7), ...end], 200, 2)).toMatchObject({ w: "more" });
  });

  test("nothing is answered where more would have to give way than may", () => {
    const room = { rows: 1, last: 50, most: 10 };
    expect(fitting(three, { ...room, available: 290 })?.get("a")).toBe("short");
    expect(fitting(three, { ...room, available: 289 })).toBeNull();
  });

  test("rows are counted as a line breaks", () => {
    expect(rowsOf([60, 60, 30], 100)).toBe(2);
    expect(rowsOf([60, 30, 60], 100)).toBe(2);
    expect(rowsOf([60, 60, 60], 100)).toBe(3);
    expect(rowsOf([300], 100)).toBe(1);
  });
});
