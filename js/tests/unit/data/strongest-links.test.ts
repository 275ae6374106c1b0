import { describe, expect, it } from "vitest";
import { asideOf, NOTHING_ASIDE, shadesIn } from "../../../src/data/aside.js";
import { strongestLinks } from "../../../src/data/strongest-links.js";
import type { Position } from "../../../src/protocol/generated.js";

const row = Float32Array.of(0.4, 0.05, 0.2, 0.05, 0.3);
const keys = (links: { has(key: number): boolean }) =>
  [...row.keys()].filter((key) => links.has(key));

describe("the strongest links of a query", () => {
  it("are so many, of equal weights the earlier", () => {
    expect(keys(strongestLinks(row, NOTHING_ASIDE, { top_k: 4, mass: null }))).toEqual([
      0, 1, 2, 4,
    ]);
    expect(keys(strongestLinks(row, NOTHING_ASIDE, { top_k: null, mass: null }))).toEqual([
      0, 1, 2, 3, 4,
    ]);
  });

  it("are the fewest that make up a share, where that is asked for", () => {
    const strong = strongestLinks(row, NOTHING_ASIDE, { top_k: 1, mass: 0.65 });
    expect(keys(strong)).toEqual([0, 4]);
    expect(strong.drawn / strong.all).toBeCloseTo(0.7, 6);
    expect(keys(strongestLinks(row, NOTHING_ASIDE, { top_k: 1, mass: 0.71 }))).toEqual([0, 2, 4]);
    expect(keys(strongestLinks(row, NOTHING_ASIDE, { top_k: 1, mass: 0 }))).toEqual([]);
  });

  it("are of what is not set aside", () => {
    const aside = asideOf(
      [...row].map((): Position => ({ label: "x", kind: "token" })),
      [0],
    );
    const strong = strongestLinks(row, aside, { top_k: 2, mass: null });
    expect(keys(strong)).toEqual([2, 4]);
    expect(strong.all).toBeCloseTo(0.6, 6);
  });

  it("are the same by sorting as by insertion", () => {
    const long = Float32Array.from({ length: 200 }, (_, i) => ((i * 7919) % 97) / 97);
    const by = (top_k: number) => {
      const links = strongestLinks(long, NOTHING_ASIDE, { top_k, mass: null });
      return [...long.keys()].filter((key) => links.has(key));
    };
    const order = [...long.keys()].sort(
      (a, b) => (long[b] as number) - (long[a] as number) || a - b,
    );
    for (const count of [5, 32, 33, 150]) {
      expect(by(count)).toEqual(order.slice(0, count).sort((a, b) => a - b));
    }
  });
});

describe("what is set aside", () => {
  const positions: readonly Position[] = [
    { label: "[CLS]", kind: "special" },
    { label: "un", kind: "token" },
    { label: "##do", kind: "token", continues: true },
    { label: "[SEP]", kind: "special" },
  ];

  it("is named by a word or by positions", () => {
    expect(asideOf(positions, "first").keys).toEqual([0]);
    expect(asideOf(positions, "special").keys).toEqual([0, 3]);
    expect(asideOf(positions.slice(1), "first and special").keys).toEqual([0, 2]);
    expect(asideOf(positions, [2, 9]).keys).toEqual([2]);
    expect(asideOf(positions, null)).toBe(NOTHING_ASIDE);
  });

  it("counts in the record where a figure leaves positions out", () => {
    const some = [1, 3].map((index) => ({ ...(positions[index] as Position), index }));
    expect(asideOf(some, "first").keys).toEqual([]);
    expect(asideOf(some, [3]).keys).toEqual([1]);
  });

  it("is a word when one of its pieces is", () => {
    const words = { positions: [], numbers: [0, 1, 1, 2], pieces: [[0], [1, 2], [3]] };
    expect(asideOf(positions, [2], words).keys).toEqual([1]);
  });

  it("leaves the rest of a row to make up all of it, and nothing of a row that is all aside", () => {
    const aside = asideOf(positions, "special");
    const shade = shadesIn([0.5, 0.1, 0.15, 0.25], aside);
    expect([0, 1, 2, 3].map((key) => Number(shade(key).toFixed(6)))).toEqual([0, 0.4, 0.6, 0]);
    expect(shadesIn([0.75, 0, 0, 0.25], aside)(1)).toBe(0);
    expect(shadesIn([3, 1, 2, 4], aside, 4)(2)).toBe(0.5);
  });
});
