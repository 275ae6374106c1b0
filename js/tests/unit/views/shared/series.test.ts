import { describe, expect, it } from "vitest";
import { reading, readingText } from "../../../../src/shell/reading/reading-text.js";
import { strongestKeys } from "../../../../src/shell/reading/strongest-keys.js";
import {
  focusOf,
  groupLabel,
  meanRow,
  poolNote,
  sumOf,
} from "../../../../src/views/shared/series.js";
import { draw, QUERIES, small } from "../../../support/token-scenes.js";

const SEVERAL = { queries: [1, 3], keys: [2, 5, 6] };

describe("several positions", () => {
  it("are read as the mean over queries of the sum over keys", () => {
    const scene = small({ state: SEVERAL });
    const rows = scene.blocks.weights(0, 0);
    const expected =
      SEVERAL.queries
        .flatMap((query) => SEVERAL.keys.map((key) => (rows.row(query) as Float32Array)[key]))
        .reduce((sum: number, weight) => sum + (weight as number), 0) / 2;
    const row = meanRow(rows, SEVERAL.queries) as Float32Array;
    expect(sumOf(row, SEVERAL.keys)).toBeCloseTo(expected, 6);
    expect(readingText(reading(scene, null))).toContain(
      `${expected.toFixed(3)} of their weight (mean of 2 queries, sum of 3 keys).`,
    );
    expect(strongestKeys(scene)).toHaveLength(5);
  });

  it("are all marked, and the legend says what is done with them", () => {
    const { calls } = draw(small({ state: SEVERAL }));
    const alone = draw(small({ state: { query: 1 } })).calls;
    const bars = (all: typeof calls) =>
      all.filter(({ kind, style, numbers }) => kind === "rect" && style?.fill && numbers[2] === 3)
        .length;
    expect(bars(calls) - bars(alone)).toBe(4);
    expect(calls.some(({ text }) => text === "pinned: mean of 2 queries, sum of 3 keys")).toBe(
      true,
    );
  });

  it("a hover takes the place of the pins of its own axis", () => {
    const hover = { source: "head", query: 0 } as const;
    expect(focusOf(small({ state: SEVERAL, hover }))).toEqual({
      about: "query",
      query: 0,
      key: 2,
      queries: [0],
      keys: SEVERAL.keys,
    });
    expect(focusOf(small({ state: { keys: [2, 5] } }))).toMatchObject({ about: "key", key: 2 });
    expect(poolNote({ queries: [1], keys: [2] })).toBe("");
  });

  it("are named as a run, a list, or the first of many", () => {
    const positions = QUERIES.map((label) => ({ label, kind: "token" as const }));
    expect(groupLabel(positions, [2])).toBe("sat");
    expect(groupLabel(positions, [2, 1])).toBe("cat sat");
    expect(groupLabel(positions, [0, 1, 2, 3])).toBe("the … because");
    expect(groupLabel(positions, [4, 0])).toBe("the, it");
    expect(groupLabel(positions, [4, 0, 1, 2])).toBe("it +3");
  });
});
