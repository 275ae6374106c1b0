import { describe, expect, it } from "vitest";
import { combined, togetherRows } from "../../../../src/data/together.js";
import { reading, readingText } from "../../../../src/shell/reading/reading-text.js";
import { strongestKeys } from "../../../../src/shell/reading/strongest-keys.js";
import { headView } from "../../../../src/views/head/view.js";
import { headSeries } from "../../../../src/views/shared/series.js";
import { togetherName, togetherOf, togetherScene } from "../../../../src/views/shared/together.js";
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

describe("of several layers", () => {
  const across = (how: "mean" | "max" | "sum", given: Given["state"] = {}) =>
    scene(how, { together_layers: [0, 1], ...given });

  it("every selected head of every one of them that has it", () => {
    const given = across("mean");
    expect(togetherOf(given)).toEqual({
      how: "mean",
      heads: [0, 1, 3, 0, 1, 3],
      layers: [0, 0, 0, 1, 1, 1],
    });
    const [first, second] = given.stream.layers;
    const fewer = { ...second, num_heads: 2 } as typeof first;
    const stream = { ...given.stream, layers: [first, fewer] } as typeof given.stream;
    expect(togetherOf({ ...given, stream })?.heads).toEqual([0, 1, 3, 0, 1]);
  });

  it("only while the selected layer is one of them, and never in a panel of one head", () => {
    const elsewhere = scene("mean", { together_layers: [1] });
    expect(togetherOf(elsewhere)).toEqual({ how: "mean", heads: [0, 1, 3] });
    const single = across("mean", { heads: [3] });
    expect(togetherOf(single)?.layers).toEqual([0, 1]);
    const panel = { paper: true, panel: true, axes: true, legend: true, threshold: 0 };
    const drawing = { ...panel, horizontal: false, rightToLeft: false };
    expect(togetherOf({ ...single, drawing })).toBeNull();
    expect(togetherOf(across("mean", { measure: "rollout" }))).toBeNull();
  });

  it("named by heads and layers, in the view and in the reading line", () => {
    const given = across("max", { query: 6, key: 1, queries: [6], keys: [1] });
    const surface = new RecordingSurface(frame.width, frame.height);
    headView.draw(surface, given, frame);
    expect(surface.texts.join(" | ")).toContain("maximum of heads 0–1, 3 of layers 0–1");
    const dense = Math.max(
      ...[0, 1].flatMap((layer) =>
        [0, 1, 3].map((head) => given.heads(layer, head).weights.row(6)[1] as number),
      ),
    );
    const said = readingText(reading(given, null));
    expect(said).toContain(`“mat” looks at “the”, ${dense.toFixed(3)}`);
    expect(said).toContain(" maximum of heads 0–1, 3 of layers 0–1 · ");
    expect(said).not.toContain("layer 0,");
  });
});

describe("pointing at one of the heads of several layers", () => {
  it("says which it is, and asks for none of its rows", () => {
    const given = scene("mean", { together_layers: [0, 1], query: 6, queries: [6] });
    const asked: string[] = [];
    const weights = (layer: number, head: number) => {
      asked.push(`${layer}·${head}`);
      return given.blocks.weights(layer, head);
    };
    const hover = { source: "toolbar" as const, layer: 0, head: 3 };
    const pointed = { ...given, hover, blocks: { ...given.blocks, weights } };
    const surface = new RecordingSurface(frame.width, frame.height);
    expect(readingText(reading(pointed, null))).toContain("layer 0, head 3");
    headView.draw(surface, pointed, frame);
    expect(asked).toEqual([]);
  });
});

describe("the strip of parts", () => {
  const pins = { query: 6, key: 1, queries: [6], keys: [1] };
  const across = (given: Given["state"] = {}) =>
    scene("mean", { together_layers: [0, 1], ...pins, ...given });
  const shares = (given: ReturnType<typeof scene>) => {
    const weight = (layer: number, head: number) =>
      given.heads(layer, head).weights.row(6)[1] as number;
    const heads = [0, 1, 3];
    const layers = [0, 1];
    const total = layers
      .flatMap((layer) => heads.map((head) => weight(layer, head)))
      .reduce((a, b) => a + b, 0);
    const sum = (all: readonly number[]) => all.reduce((a, b) => a + b, 0) / total;
    return [
      ...layers.map((layer) => sum(heads.map((head) => weight(layer, head)))),
      ...heads.map((head) => sum(layers.map((layer) => weight(layer, head)))),
    ];
  };
  const drawn = (given: ReturnType<typeof scene>, width = frame.width) => {
    const surface = new RecordingSurface(width, frame.height);
    headView.draw(surface, given, { ...frame, width });
    return surface;
  };

  it("each layer's and each head's part of the weight of the pinned link, in every form", () => {
    for (const form of ["lines", "matrix", "text"] as const) {
      const given = across({ form });
      const { texts } = drawn(given);
      const start = texts.indexOf("part of the mean: “mat” → “the”");
      const numbers = texts.slice(start).filter((text) => text.endsWith(" %"));
      expect(numbers, form).toEqual(shares(given).map((share) => `${Math.round(100 * share)} %`));
    }
  });

  it("bars are as high as what they say, within the view and apart from each other", () => {
    for (const width of [420, 520, 900]) {
      const given = across();
      const surface = drawn(given, width);
      const bars = surface.calls.filter(({ group, kind }) => group === "parts" && kind === "rect");
      expect(bars).toHaveLength(5);
      const expected = shares(given);
      const groups = [bars.slice(0, 2), bars.slice(2)];
      const parts = [expected.slice(0, 2), expected.slice(2)];
      groups.forEach((group, n) => {
        const heights = group.map(({ numbers }) => numbers[3] as number);
        const most = Math.max(...(parts[n] as number[]));
        heights.forEach((height, at) => {
          const part = (parts[n] as number[])[at] as number;
          expect(height / Math.max(...heights)).toBeCloseTo(part / most, 5);
        });
      });
      for (const { numbers } of bars) {
        const [x = 0, y = 0, wide = 0, high = 0] = numbers;
        expect(x).toBeGreaterThanOrEqual(0);
        expect(x + wide).toBeLessThanOrEqual(width);
        expect(y + high).toBeLessThanOrEqual(frame.height);
      }
      const row = bars.map(({ numbers }) => numbers as number[]);
      row.slice(1).forEach(([x = 0], n) => {
        const [before = 0, , wide = 0] = row[n] as number[];
        expect(x >= before + wide || x < before).toBe(true);
      });
    }
  });

  it("is looked at only: a card has the numbers, a click changes nothing", () => {
    const given = across();
    const bar = drawn(given).calls.filter(
      ({ group, kind }) => group === "parts" && kind === "rect",
    )[0];
    const [x = 0, y = 0, width = 0, height = 0] = bar?.numbers ?? [];
    const at = { x: x + width / 2, y: y + height - 1 };
    expect(headView.hit(given, frame, at.x, at.y)).toEqual({});
    const hovered = { ...given, hover: { source: "head" as const, ...at } };
    const { texts } = drawn(hovered);
    const [first = 0] = shares(given);
    expect(texts).toContain(`layer 0: ${(100 * first).toFixed(1)} % of the mean`);
    expect(texts).toContain("layer 0 head 3");
    // The link is pinned: its own card would stand at the pointer as well.
    expect(texts).not.toContain("“mat” → “the”");
    const names = headView.stops(given, frame).map(({ name }) => name);
    expect(names).toContain(`layer 0: ${Math.round(100 * first)} % of the mean`);
  });

  it("says when parts are alike because weights add up, and is not there for single heads", () => {
    const alike = drawn(across({ key: null, keys: [] })).texts.join(" | ");
    expect(alike).toContain("part of the mean: “mat” · alike");
    expect(drawn(across()).texts.join(" | ")).not.toContain("alike");
    expect(drawn(scene(null, pins)).texts.join(" | ")).not.toContain("part of");
    const aside = attentionScene({
      numHeads: 4,
      state: { heads: HEADS, together: "sum", aside: "first", query: 6, queries: [6] },
    });
    const surface = new RecordingSurface(frame.width, frame.height);
    headView.draw(surface, aside, frame);
    expect(surface.texts).toContain("part of the sum: “mat”, first token set aside");
  });

  it("names the bars while their numbers are on the way, and says why there are none", () => {
    const pending = attentionScene({
      numHeads: 4,
      blocks: "pending",
      state: { heads: HEADS, together: "mean", ...pins },
    });
    const surface = new RecordingSurface(frame.width, frame.height);
    headView.draw(surface, pending, frame);
    expect(surface.texts).toContain("part of the mean: “mat” → “the”");
    expect(surface.texts.filter((text) => text.endsWith(" %"))).toEqual([]);
    const failed = attentionScene({
      numHeads: 4,
      blocks: "failed",
      state: { heads: HEADS, together: "mean", ...pins },
    });
    const said = new RecordingSurface(frame.width, frame.height);
    headView.draw(said, failed, frame);
    expect(said.texts.filter((text) => text === "the kernel has gone away").length).toBe(2);
  });
});
