import { describe, expect, test } from "vitest";
import { neighbour } from "../../../../src/shell/focus/moves.js";

/** A column of queries, one of keys beside it. */
const box = (x: number, y: number) => ({ x, y, width: 40, height: 20 });
const lines = [0, 1, 2]
  .map((row) => box(0, 24 * row))
  .concat([0, 1, 2].map((row) => box(200, 24 * row)));

describe("arrow keys", () => {
  test("walk down a column, and across to the other one", () => {
    expect(neighbour(lines, 0, "ArrowDown")).toBe(1);
    expect(neighbour(lines, 2, "ArrowUp")).toBe(1);
    expect(neighbour(lines, 1, "ArrowRight")).toBe(4);
    expect(neighbour(lines, 4, "ArrowLeft")).toBe(1);
  });

  test("end where there is nothing more", () => {
    expect(neighbour(lines, 0, "ArrowUp")).toBeNull();
    expect(neighbour(lines, 2, "ArrowDown")).toBeNull();
    expect(neighbour(lines, 3, "ArrowRight")).toBeNull();
    expect(neighbour([], -1, "ArrowDown")).toBeNull();
  });

  test("reach the first and the last", () => {
    expect(neighbour(lines, 2, "Home")).toBe(0);
    expect(neighbour(lines, 2, "End")).toBe(5);
    expect(neighbour(lines, 0, "Home")).toBeNull();
  });

  test("reach every cell of a grid from its first", () => {
    const grid = Array.from({ length: 12 }, (_, at) => box(50 * (at % 4), 50 * Math.floor(at / 4)));
    const seen = new Set([0]);
    for (const at of seen) {
      for (const key of ["ArrowRight", "ArrowDown"]) {
        const next = neighbour(grid, at, key);
        if (next !== null) seen.add(next);
      }
    }
    expect(seen.size).toBe(12);
    expect(neighbour(grid, 5, "ArrowUp")).toBe(1);
    expect(neighbour(grid, 5, "ArrowLeft")).toBe(4);
  });
});
