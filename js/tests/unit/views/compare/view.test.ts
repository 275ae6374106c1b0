import { expect, test } from "vitest";
import { NOTHING_ASIDE } from "../../../../src/data/aside.js";
import { formatSigned, formatWeight } from "../../../../src/marks/format.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { compareSelected } from "../../../../src/state/actions.js";
import type { Hit } from "../../../../src/state/interaction.js";
import { parseHex, toOklab } from "../../../../src/styles/colours.js";
import { themes } from "../../../../src/styles/theme.js";
import { comparedSeries, SIGNS } from "../../../../src/views/compare/layout.js";
import { compareView } from "../../../../src/views/compare/view.js";
import { differenceRows, signedSeries } from "../../../../src/views/shared/difference.js";
import type { Frame } from "../../../../src/views/view.js";
import { attentionScene } from "../../../support/attention-scene.js";
import { type Call, RecordingSurface } from "../../../support/recording-surface.js";

const QUERIES = "the cat sat because it".split(" ");
const KEYS = "[CLS] die Katze saß weil sie [SEP]".split(" ");
const FRAME: Frame = { width: 900, height: 320, scroll: 0 };
const PINNED: [number, number][] = [
  [0, 1],
  [1, 2],
  [1, 1],
];

type State = NonNullable<Parameters<typeof attentionScene>[0]>["state"];

const small = (state: State, rest: Parameters<typeof attentionScene>[0] = {}) =>
  attentionScene({ queries: QUERIES, keys: KEYS, ...rest, state: { compare: PINNED, ...state } });

function draw(scene: Scene, frame = FRAME): RecordingSurface {
  const surface = new RecordingSurface(frame.width, frame.height);
  compareView.draw(surface, scene, frame);
  expect(surface.broken).toEqual([]);
  return surface;
}

/** What is written right after some words. */
const after = (texts: readonly string[], words: string) =>
  texts.filter((_, i) => texts[i - 1] === words);

const at = (surface: RecordingSurface, text: string) =>
  (surface.calls.find((call) => call.text === text) as Call).numbers as [number, number];

test("without a pinned head one button compares those that are selected", () => {
  const scene = small({ compare: [], layer: 1, heads: [2, 0, 1] });
  const { texts } = draw(scene);
  expect(texts[0]).toBe("Compare heads 0–2 of layer 1");
  expect(texts.join(" ")).toContain("shift-click them among the heads, or press C");
  const [stop] = compareView.stops(scene, FRAME);
  if (!stop) throw new Error("no stop");
  const { x, y, width, height } = stop.rect;
  const hit = compareView.hit(scene, FRAME, x + width / 2, y + height / 2);
  expect(hit).toEqual({ action: "compare-selected" });
  expect(compareView.hit(scene, FRAME, 2, 2)).toBeNull();
  expect(compareSelected(scene.state).compare).toEqual([
    [1, 2],
    [1, 0],
    [1, 1],
  ]);
});

test("one head alone is shown, with a word on how to add another", () => {
  const { texts } = draw(small({ compare: [[1, 2]] }));
  expect(texts).toContain("layer 1 · head 2");
  expect(texts.some((text) => text.startsWith("Pin another head"))).toBe(true);
  expect(texts).not.toContain("B − A");
});

test.each(["lines", "matrix"] as const)(
  "pinned heads and the difference stand side by side: %s",
  (form) => {
    const surface = draw(small({ form }));
    const titles = ["layer 0 · head 1", "layer 1 · head 2", "B − A", "layer 1 · head 1"];
    const xs = titles.map((title) => at(surface, title)[0]);
    expect(xs).toEqual([...xs].sort((a, b) => a - b));
    expect(new Set(titles.map((title) => at(surface, title)[1])).size).toBe(1);
    expect(surface.texts).toEqual(expect.arrayContaining(["A", "B", "C"]));
  },
);

test("a head has the colour here that it has everywhere, and the signs have none of them", () => {
  const scene = small({});
  const colours = comparedSeries(scene).map(({ colour }) => colour);
  expect(colours).toEqual(PINNED.map(([, head]) => scene.theme.head(head, scene.layer.num_heads)));
  const signs = [scene.theme.positive, scene.theme.negative];
  for (const theme of Object.values(themes)) {
    const heads = Array.from({ length: 64 }, (_, head) => theme.head(head, 64));
    const light = (colour: string) => toOklab(parseHex(colour))[0];
    const [least, most] = [Math.min(...heads.map(light)), Math.max(...heads.map(light))];
    for (const sign of [theme.positive, theme.negative]) {
      const apart = theme.name === "light" ? least - light(sign) : light(sign) - most;
      expect(apart).toBeGreaterThan(0.02);
    }
  }
  expect(colours.some((colour) => signs.includes(colour))).toBe(false);
});

test.each(["lines", "matrix"] as const)(
  "a pair under the pointer is read in every panel: %s",
  (form) => {
    const hover = {
      source: "compare",
      layer: 1,
      head: 2,
      query: 3,
      key: 5,
      x: 100,
      y: 100,
    } as const;
    const scene = small({ form }, { hover });
    const { texts } = draw(scene);
    const weights = PINNED.map(([l, h]) => scene.heads(l, h).weights.row(3)[5] as number);
    for (const weight of weights) {
      expect(
        after(texts, "“because” → “sie”").some((t) => t.startsWith(formatWeight(weight))),
      ).toBe(true);
    }
    const difference = formatSigned((weights[1] as number) - (weights[0] as number));
    expect(after(texts, "“because” → “sie”")).toContain(difference);
  },
);

test("a query under the pointer names its strongest key in every panel", () => {
  const scene = small({}, { hover: { source: "head", query: 1 } });
  const { texts } = draw(scene);
  for (const [l, h] of PINNED) {
    const row = scene.heads(l, h).weights.row(1);
    const best = row.reduce(
      (most, weight, key) => (weight > (row[most] as number) ? key : most),
      0,
    );
    const numbers = after(texts, `“cat” most to “${KEYS[best]}”`);
    expect(numbers).toContain(formatWeight(row[best] as number));
  }
});

test("a difference is split by sign without loss", () => {
  const scene = small({});
  const [a, b] = comparedSeries(scene);
  if (!a || !b) throw new Error("two heads are pinned");
  const colours = { positive: "#aa0000", negative: "#0000aa" };
  const [more, less] = signedSeries(a, b, NOTHING_ASIDE, colours, SIGNS).map(({ rows }) =>
    rows.row(2),
  );
  const difference = differenceRows(a.rows, b.rows, NOTHING_ASIDE).row(2);
  for (let key = 0; key < KEYS.length; key++) {
    const exact = (a.rows.row(2)?.[key] as number) - (b.rows.row(2)?.[key] as number);
    expect(difference?.[key]).toBeCloseTo(exact, 6);
    expect((more?.[key] as number) - (less?.[key] as number)).toBeCloseTo(exact, 6);
    expect(Math.min(more?.[key] as number, less?.[key] as number)).toBe(0);
  }
});

test("with the sink aside, the difference is of what is left, and the number stays", () => {
  const scene = small({ aside: "first" }, { hover: { source: "compare", query: 2, key: 4 } });
  const [a, b] = comparedSeries(scene);
  if (!a || !b) throw new Error("two heads are pinned");
  const [rowA, rowB] = [a.rows.row(2), b.rows.row(2)] as [Float32Array, Float32Array];
  const row = differenceRows(a.rows, b.rows, scene.aside).row(2);
  const rest = (r: Float32Array) => (r[4] as number) / (1 - (r[0] as number));
  expect(row?.[4]).toBeCloseTo(rest(rowA) - rest(rowB), 5);
  expect(row?.[0]).toBe(0);
  const exact = formatSigned((rowB[4] as number) - (rowA[4] as number));
  expect(after(draw(scene).texts, "“sat” → “weil”")).toContain(exact);
});

test("badges make a head the first, crosses unpin it", () => {
  const scene = small({});
  const surface = draw(scene);
  const badge = (letter: string): Hit | null =>
    compareView.hit(scene, FRAME, ...at(surface, letter));
  expect(badge("B")).toEqual({ layer: 1, head: 2, action: "make-first" });
  expect(badge("C")).toEqual({ layer: 1, head: 1, action: "make-first" });
  expect(badge("A")).toBeNull();
  const stops = compareView.stops(scene, FRAME).filter(({ action }) => action !== undefined);
  expect(stops.map(({ name }) => name)).toEqual([
    "Unpin layer 0 · head 1",
    "Make layer 1 · head 2 the first",
    "Unpin layer 1 · head 2",
    "Make layer 1 · head 1 the first",
    "Unpin layer 1 · head 1",
  ]);
  for (const { rect, layer, head, action } of stops) {
    const hit = compareView.hit(scene, FRAME, rect.x + rect.width / 2, rect.y + rect.height / 2);
    expect(hit).toEqual({ layer, head, action });
  }
});

test("a cell of the second matrix is that head's, one of the difference nobody's", () => {
  const scene = small({ form: "matrix" });
  const images = draw(scene).calls.filter(
    ({ kind, numbers }) => kind === "image" && (numbers[3] ?? 0) > 20,
  );
  const hits = images.map(({ numbers: [x = 0, y = 0, width = 0, height = 0] }) =>
    compareView.hit(scene, FRAME, x + (width * 2.5) / 7, y + (height * 1.5) / 5),
  );
  expect(hits).toEqual([
    { layer: 0, head: 1, query: 1, key: 2 },
    { layer: 1, head: 2, query: 1, key: 2 },
    { query: 1, key: 2 },
    { layer: 1, head: 1, query: 1, key: 2 },
  ]);
});

test("the diverging legend ends at the largest difference", () => {
  const scene = small({ form: "matrix" });
  const [a, b] = comparedSeries(scene);
  let most = 0;
  for (let query = 0; query < QUERIES.length; query++) {
    a?.rows.row(query)?.forEach((weight, key) => {
      most = Math.max(most, Math.abs(weight - (b?.rows.row(query)?.[key] as number)));
    });
  }
  const { texts } = draw(scene);
  expect(texts).toContain(formatSigned(most, 2));
  expect(texts).toContain(formatSigned(-most, 2));
});

test("more panels than fit are scrolled to, and all of them can be reached", () => {
  const compare = [0, 1].flatMap((layer) =>
    [0, 1, 2].map((head): [number, number] => [layer, head]),
  );
  const scene = small({ compare });
  const frame = { width: 420, height: 300, scroll: 0 };
  const content = compareView.contentHeight(scene, frame.width, frame.height);
  expect(content).toBeGreaterThan(frame.height);
  expect(draw(scene, frame).texts).not.toContain("layer 1 · head 2");
  expect(draw(scene, { ...frame, scroll: content - frame.height }).texts).toContain(
    "layer 1 · head 2",
  );
});

test("long inputs are squeezed, then windowed, with the last token at the end of the scroll", () => {
  const tokens = Array.from({ length: 400 }, (_, i) => `t${i}`);
  const scene = small(
    { compare: PINNED.slice(0, 2) },
    { queries: tokens, keys: tokens, headDim: 2 },
  );
  const content = compareView.contentHeight(scene, FRAME.width, FRAME.height);
  const end = draw(scene, { ...FRAME, scroll: content - FRAME.height });
  expect(draw(scene).texts).toContain("t0");
  expect(end.texts).not.toContain("t0");
  expect(end.texts).toContain("t395");
  expect(end.calls.length).toBeLessThan(1500);
});

test("a pin scrolled out of low rows keeps a place as high as its label, and answers there", () => {
  const tokens = Array.from({ length: 400 }, (_, i) => `t${i}`);
  const scene = small(
    { compare: PINNED.slice(0, 2), query: 390 },
    { queries: tokens, keys: tokens, headDim: 2 },
  );
  const label = draw(scene).calls.find(({ text }) => text === "t390") as Call;
  const [x = 0, y = 0] = label.numbers;
  const pinned = { query: 390 };
  for (const dy of [-6, 0, 6]) expect(compareView.hit(scene, FRAME, x - 2, y + dy)).toEqual(pinned);
  expect(compareView.hit(scene, FRAME, x - 2, y - 12)).not.toEqual(pinned);
});

test("loading and errors are said in each panel", () => {
  const pending = draw(small({}, { blocks: "pending" }));
  expect(pending.texts.filter((text) => text === "loading").length).toBe(4);
  const failed = draw(small({ form: "matrix" }, { blocks: "failed" }));
  expect(failed.texts.filter((text) => text === "the kernel has gone away").length).toBe(3);
});

test("a difference is here where both its terms are", () => {
  const rows = (here: readonly number[]) => ({
    numQueries: 5,
    numKeys: 7,
    error: null,
    row: (query: number) => (here.includes(query) ? new Float32Array(7).fill(0.1) : null),
  });
  const difference = differenceRows(rows([0, 1, 3]), rows([1, 3, 4]), NOTHING_ASIDE);
  const queries = [0, 1, 2, 3, 4];
  expect(queries.filter((query) => difference.has?.(query))).toEqual([1, 3]);
  expect(queries.filter((query) => difference.row(query) !== null)).toEqual([1, 3]);
});
