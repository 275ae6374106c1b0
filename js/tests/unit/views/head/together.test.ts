import { describe, expect, it } from "vitest";
import { combined, togetherRows } from "../../../../src/data/together.js";
import { reading, readingText } from "../../../../src/shell/reading/reading-text.js";
import { strongestKeys } from "../../../../src/shell/reading/strongest-keys.js";
import { headView } from "../../../../src/views/head/view.js";
import { headSeries } from "../../../../src/views/shared/series.js";
import { togetherName, togetherScene } from "../../../../src/views/shared/together.js";
import { attentionScene, type Given } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const HEADS = [3, 0, 1];
const frame = { width: 520, height: 420, scroll: 0 };

const scene = (together: "mean" | "max" | "sum" | null, given: Given["state"] = {}) =>
  attentionScene({ numHeads: 4, state: { heads: HEADS, together, ...given } });

/** Every head's row of a query, in double precision. */
const rowsOf = (query: number, given = scene(null)) =>
  [0, 1, 3].map((head) => Array.from(given.blocks.weights(0, head).row(query) ?? []));

const DENSE = {
  mean: (values: number[]) => values.reduce((sum, one) => sum + one, 0) / values.length,
  max: (values: number[]) => Math.max(...values),
  sum: (values: number[]) => values.reduce((sum, one) => sum + one, 0),
} as const;

describe("several heads as one", () => {
  for (const how of ["mean", "max", "sum"] as const) {
    it(`${how}: rows, columns and the mean over queries are those of the dense numbers`, () => {
      const shown = togetherScene(scene(how));
      const [series] = headSeries(shown, { isolate: false });
      const { rows } = series as NonNullable<typeof series>;
      const mean = new Array(shown.keys.length).fill(0);
      for (let query = 0; query < shown.queries.length; query++) {
        const all = rowsOf(query);
        const row = rows.row(query) as Float32Array;
        row.forEach((weight, key) => {
          const dense = DENSE[how](all.map((one) => one[key] as number));
          expect(weight).toBe(Math.fround(dense));
          mean[key] += dense / shown.queries.length;
        });
      }
      shown.blocks.mean(0, 0)?.forEach((value, key) => {
        expect(value).toBeCloseTo(mean[key], 6);
      });
      expect(rows.scale).toBe(how === "sum" ? 3 : undefined);
    });
  }

  it("the order in which heads were selected changes no bit", () => {
    const rows = [0.1, 0.7, 1e-8].map((value) => Float32Array.of(value));
    expect(togetherScene(scene("sum")).together?.heads).toEqual([0, 1, 3]);
    expect(combined(rows, "sum")[0]).toBe(
      Math.fround(rows.reduce((sum, [one = 0]) => sum + one, 0)),
    );
  });

  it("null until every head's row is here, and all are asked for", () => {
    const asked: number[] = [];
    const some = [0, 1].map((head) => ({
      numQueries: 1,
      numKeys: 1,
      error: null,
      row: () => {
        asked.push(head);
        return head === 1 ? Float32Array.of(1) : null;
      },
    }));
    expect(togetherRows(some, "mean").row(0)).toBeNull();
    expect(asked).toEqual([0, 1]);
  });

  it("are one only where several are drawn of one record, and never of a rollout", () => {
    for (const state of [{ heads: [2] }, { measure: "rollout" as const }]) {
      const given = scene("mean", state);
      expect(togetherScene(given)).toBe(given);
    }
    const each = scene(null);
    expect(togetherScene(each)).toBe(each);
  });
});

describe("in the head view", () => {
  it("one picture in every form, under its name", () => {
    for (const form of ["lines", "matrix", "text"] as const) {
      const surface = new RecordingSurface(frame.width, frame.height);
      headView.draw(surface, scene("max", { form, query: 6, queries: [6] }), frame);
      const said = surface.texts.join(" | ");
      expect(said).toContain("maximum of heads 0–1, 3");
      expect(said).not.toMatch(/head 3\b/);
    }
  });

  it("what the drawn links are a part of is said as it is", () => {
    const said = (how: Parameters<typeof scene>[0], state: Given["state"] = {}) => {
      const surface = new RecordingSurface(frame.width, frame.height);
      headView.draw(surface, scene(how, { form: "lines", top_k: 1, ...state }), frame);
      return surface.texts.find((text) => text.startsWith("strongest link")) ?? "";
    };
    expect(said(null)).toMatch(/^strongest link a query: \d+ % of the weight$/);
    expect(said("mean")).toMatch(/^strongest link a query: \d+ % of the weight$/);
    expect(said("max")).toMatch(/^strongest link a query: \d+ % of all maxima added up$/);
    expect(said("sum")).toMatch(/^strongest link a query: \d+ % of all sums added up$/);
    expect(said("max", { aside: "first" })).toMatch(/of the maxima not set aside$/);
  });

  it("what is pointed at is of no single head", () => {
    const given = scene("mean", { form: "matrix" });
    const hits = Array.from({ length: 400 }, (_, at) =>
      headView.hit(given, frame, 150 + (at % 20) * 10, 120 + Math.floor(at / 20) * 10),
    ).filter((hit) => hit?.query !== undefined && hit.key !== undefined);
    expect(hits.length).toBeGreaterThan(0);
    for (const hit of hits) expect(hit).not.toHaveProperty("head");
  });

  it("the reading line and the table say its number", () => {
    const given = scene("mean", { query: 6, key: 1, queries: [6], keys: [1] });
    const dense = DENSE.mean(rowsOf(6).map((row) => row[1] as number));
    expect(readingText(reading(given, null))).toContain(
      `“mat” looks at “the”, ${dense.toFixed(3)}`,
    );
    expect(readingText(reading(given, null))).toContain("mean of heads 0–1, 3");
    expect(readingText(reading(given, null))).toContain(`${dense.toFixed(3)} of its weight`);
    const most = scene("max", { query: 6, key: 1, queries: [6], keys: [1] });
    expect(readingText(reading(most, null))).not.toContain("of its weight");
    const rows = strongestKeys(given);
    expect(new Set(rows.map(({ head }) => head))).toEqual(new Set(["mean of heads 0–1, 3"]));
  });

  it("is named by runs of heads", () => {
    expect(togetherName({ how: "sum", heads: [0, 1, 2, 5] })).toBe("sum of heads 0–2, 5");
  });
});
