import { expect, test } from "vitest";
import type { Rows } from "../../src/data/blocks.js";
import { rowMiddle, visibleRows } from "../../src/marks/axis.js";
import { formatWeight } from "../../src/views/format.js";
import { headView } from "../../src/views/head.js";
import { allLinks, type LinesInput, SEVERAL } from "../../src/views/lines-data.js";
import { linesLayout, linesOverflow, scrollTo } from "../../src/views/lines-layout.js";
import type { Frame, Hit, Scene } from "../../src/views/view.js";
import { attentionScene, random } from "./attention-scene.js";
import { type Call, RecordingSurface } from "./recording-surface.js";

const QUERIES = "the cat sat because it".split(" ");
const KEYS = "[CLS] die Katze saß weil sie [SEP]".split(" ");
const FRAME: Frame = { width: 460, height: 320, scroll: 0 };

function draw(scene: Scene, frame = FRAME): RecordingSurface {
  const surface = new RecordingSurface(frame.width, frame.height);
  headView.draw(surface, scene, frame);
  expect(surface.broken).toEqual([]);
  return surface;
}

const textsOf = (surface: RecordingSurface, text: string) =>
  surface.calls.filter((call) => call.text === text);

const place = ({ numbers }: Call) => ({ x: numbers[0] as number, y: numbers[1] as number });

const small = (given: Parameters<typeof attentionScene>[0] = {}) =>
  attentionScene({ queries: QUERIES, keys: KEYS, ...given });

/** A scene of many tokens whose rows are made when asked for; `asked` says which were. */
function long(count: number, rest: Parameters<typeof attentionScene>[0] = {}) {
  const scene = small(rest);
  const asked = new Set<number>();
  const positions = Array.from({ length: count }, (_, i) => ({
    label: `t${i}`,
    kind: "token" as const,
  }));
  const row = (query: number) => {
    asked.add(query);
    const weights = new Float32Array(count).fill(0.2 / count);
    weights[0] = 0.3;
    weights[query] = 0.1;
    weights[(query * 7919) % count] = 0.4;
    return weights;
  };
  const rows: Rows = { numQueries: count, numKeys: count, error: null, row };
  const blocks = { ...scene.blocks, weights: () => rows };
  return { scene: { ...scene, queries: positions, keys: positions, blocks }, asked, row };
}

test.each(["lines", "matrix"] as const)("hits find what was drawn: %s", (form) => {
  const scene = small({ state: { form, heads: [1] } });
  const surface = draw(scene);
  const labels: [string, Hit][] = [
    ...QUERIES.map((label, query): [string, Hit] => [label, { query }]),
    ...KEYS.map((label, key): [string, Hit] => [label, { key }]),
  ];
  for (const [label, expected] of labels) {
    const { x, y } = place(textsOf(surface, label)[0] as Call);
    const at = expected.query === undefined ? [x + 2, y - 1] : [x - 2, y];
    expect(headView.hit(scene, FRAME, at[0] as number, at[1] as number)).toEqual(expected);
  }
});

test("the middle of a drawn link is a hit on its head, query and key", () => {
  const scene = small({ state: { heads: [0, 2] } });
  const { weights } = scene.heads(0, 2);
  const found: Hit[] = [];
  for (const { kind, numbers } of draw(scene).calls) {
    if (kind !== "path") continue;
    // M and C: the curve's middle is half way between its ends, legend samples are level and short.
    const [x0, y0, , , , , x1, y1] = numbers as number[] as [number, ...number[]] as number[];
    const middle = [(x0 as number) + (x1 as number), (y0 as number) + (y1 as number)];
    if ((x1 as number) - (x0 as number) < 100) continue;
    const hit = headView.hit(scene, FRAME, (middle[0] as number) / 2, (middle[1] as number) / 2);
    if (hit) found.push(hit);
  }
  const strongest = weights
    .row(3)
    .reduce((best, w, k) => (w > (weights.row(3)[best] ?? 0) ? k : best), 0);
  expect(found).toContainEqual({ layer: 0, head: 2, query: 3, key: strongest });
  expect(new Set(found.map(({ head }) => head))).toEqual(new Set([0, 2]));
});

test("a cell of any of several matrices is a hit on its head, query and key", () => {
  const scene = small({ state: { form: "matrix", heads: [0, 2] } });
  const images = draw(scene).calls.filter(
    ({ kind, numbers }) => kind === "image" && (numbers[3] ?? 0) > 20,
  );
  expect(images.length).toBe(2);
  images.forEach(({ numbers }, n) => {
    const [x, y, width, height] = numbers as [number, number, number, number];
    const at: [number, number] = [x + (width * 5.5) / 7, y + (height * 3.5) / 5];
    const expected = { layer: 0, head: [0, 2][n], query: 3, key: 5 };
    expect(headView.hit(scene, FRAME, ...at)).toEqual(expected);
  });
});

test("hovering a query puts its exact weights beside the keys", () => {
  const scene = small({ state: { heads: [1] }, hover: { source: "head", query: 2 } });
  const surface = draw(scene);
  const row = scene.heads(0, 1).weights.row(2);
  KEYS.forEach((label, key) => {
    const { y } = place(textsOf(surface, label)[0] as Call);
    const beside = surface.calls.filter(
      (call) => call.text?.match(/^\d\.\d{3}$/) && place(call).y === y,
    );
    const weight = row[key] as number;
    expect(beside.map((call) => call.text)).toEqual(weight >= 0.005 ? [formatWeight(weight)] : []);
  });
});

test("hovering a key puts who attends to it beside the queries, one number per head", () => {
  const scene = small({ state: { heads: [0, 2] }, hover: { source: "neuron", key: 4 } });
  const surface = draw(scene, { ...FRAME, width: 700 });
  QUERIES.forEach((label, query) => {
    const { y } = place(textsOf(surface, label)[0] as Call);
    const beside = surface.calls.filter(
      (call) => call.text?.match(/^\d\.\d{3}$/) && place(call).y === y,
    );
    const weights = [0, 2].map((head) => scene.heads(0, head).weights.row(query)[4] as number);
    expect(Math.max(...weights)).toBeGreaterThan(0.005);
    expect(beside.map((call) => call.text)).toEqual(weights.map(formatWeight));
  });
});

test("of more heads than there is room for, the mean is shown and said to be one", () => {
  const scene = small({
    numHeads: 5,
    state: { heads: [0, 1, 2, 3, 4] },
    hover: { source: "head", query: 0 },
  });
  const { texts } = draw(scene);
  expect(texts).toContain("numbers beside tokens: mean of the 5 heads");
  const known = [0, 1, 2, 3, 4].map((head) => scene.heads(0, head).weights.row(0)[6] as number);
  expect(texts).toContain(formatWeight(known.reduce((a, b) => a + b, 0) / 5));
});

test("the card has the pair's tokens and each head's exact weight and rank", () => {
  const scene = small({
    state: { form: "matrix", heads: [0, 1] },
    hover: { source: "head", query: 3, key: 5, x: 455, y: 315 },
  });
  const surface = draw(scene);
  expect(surface.texts).toContain("“because” → “sie”");
  for (const head of [0, 1]) {
    const row = scene.heads(0, head).weights.row(3);
    const rank = row.filter((weight) => weight > (row[5] as number)).length + 1;
    expect(surface.texts).toContain(formatWeight(row[5] as number));
    const ordinals = ["1st", "2nd", "3rd", "4th", "5th", "6th", "7th"];
    expect(surface.texts).toContain(`(${ordinals[rank - 1]} of 7)`);
  }
  const box = surface.calls.find((call) => call.group === "card" && call.kind === "rect") as Call;
  const [x, y, width, height] = box.numbers as [number, number, number, number];
  expect(Math.min(x, y)).toBeGreaterThanOrEqual(0);
  expect([x + width <= FRAME.width, y + height <= FRAME.height]).toEqual([true, true]);
});

test("another view's pointer brings no card", () => {
  const hover = { source: "neuron", query: 3, key: 5, x: 20, y: 20 } as const;
  const { calls } = draw(small({ hover }));
  expect(calls.filter(({ group }) => group === "card")).toEqual([]);
});

test("hovering a chip shows that head alone, without moving anything", () => {
  const given = { numHeads: 4, state: { heads: [0, 1, 2, 3] as [number, ...number[]] } };
  const ends = (scene: Scene) =>
    textsOf(draw(scene), "the")
      .concat(textsOf(draw(scene), "weil"))
      .map(place);
  const idle = small(given);
  const alone = small({ ...given, hover: { source: "keyboard", layer: 0, head: 2 } });
  expect(ends(alone)).toEqual(ends(idle));
  const links = (scene: Scene) =>
    draw(scene).calls.filter(({ kind, group }) => kind === "path" && group === "links");
  expect(links(alone).length).toBe(links(small({ ...given, state: { heads: [2] } })).length);
  expect(links(alone).length).toBeLessThan(links(idle).length / 2);
  const other = small({ ...given, hover: { source: "model", layer: 1, head: 2 } });
  expect(draw(other).calls).toEqual(draw(idle).calls);
});

test("8,000 tokens: only the window is drawn and read", () => {
  const { scene, asked } = long(8000);
  const scroll = 60_000;
  const surface = draw(scene, { ...FRAME, scroll });
  expect(surface.calls.length).toBeLessThan(400);
  const rows = [...asked].sort((a, b) => a - b);
  expect(rows.length).toBeLessThan(40);
  expect((rows.at(-1) as number) - (rows[0] as number)).toBe(rows.length - 1);
  expect(surface.texts).toContain(`t${rows[2]}`);
  expect(surface.texts).not.toContain("t0");
  const stops = headView.stops(scene, { ...FRAME, scroll });
  expect(stops.length).toBeLessThanOrEqual(80);
  expect(asked.size).toBe(rows.length);
});

test("scrolled to the end, the last token is in the window", () => {
  const { scene } = long(300);
  const content = headView.contentHeight(scene, FRAME.width, FRAME.height);
  const end = { ...FRAME, scroll: content - FRAME.height };
  expect(textsOf(draw(scene, end), "t299").length).toBe(2);
  expect(textsOf(draw(scene), "t0").length).toBe(2);
});

test("a few tokens need no scrolling and are not stretched", () => {
  const scene = small();
  const natural = headView.contentHeight(scene, 460, 500);
  expect(natural).toBeLessThan(7 * 24 + 80);
  const surface = draw(scene, { width: 460, height: natural, scroll: 0 });
  const [first, second] = KEYS.map((label) => place(textsOf(surface, label)[0] as Call).y);
  expect((second as number) - (first as number)).toBe(24);
  expect(headView.contentHeight(scene, 460, natural)).toBe(natural);
});

test("a pinned query that was scrolled away stays at the edge with its fan", () => {
  const { scene, row } = long(500, { state: { query: 3 } });
  const surface = draw(scene, { ...FRAME, scroll: 4000 });
  expect(textsOf(surface, "t3").length).toBe(1);
  const links = surface.calls.filter(({ kind, group }) => kind === "path" && group === "links");
  expect(links.length).toBeGreaterThan(0);
  // Its strongest key is in the window, its number beside that.
  const key = (3 * 7919) % 500;
  const [, y] = textsOf(surface, `t${key}`)[0]?.numbers ?? [];
  const numbers = textsOf(surface, formatWeight(row(3)[key] as number));
  expect(numbers.map((call) => place(call).y)).toEqual([y]);
});

test("a marker for a link out of the window jumps to where its end is in the window", () => {
  const { scene } = long(500, { state: { query: 260 } });
  const frame = { ...FRAME, scroll: 4000 };
  const surface = draw(scene, frame);
  const marker = surface.calls.find(({ text }) => text?.startsWith("▲ 0 · t0 0.300")) as Call;
  const { x, y } = place(marker);
  const hit = headView.hit(scene, frame, x + 3, y);
  expect(hit).toEqual({ scrollTo: 0 });
  expect(textsOf(draw(scene, { ...frame, scroll: hit?.scrollTo ?? -1 }), "t0").length).toBe(2);
  const named = headView.stops(scene, frame).find(({ scrollTo }) => scrollTo === 0);
  expect(named?.name).toBe("Jump to key 0 “t0”, weight 0.300");
});

function inputOf(scene: Scene, scroll: number, height = 160): LinesInput {
  const { queries, keys, blocks, options } = scene;
  const rect = { x: 0, y: 20, width: 460, height };
  const rows = { rect, queries, keys, rowHeight: 16, scroll, numbers: 1, labelSize: 12 };
  const series = [
    { layer: 0, head: 0, name: "head 0", colour: "#000000", rows: blocks.weights(0, 0) },
  ];
  return {
    layout: linesLayout(rows),
    series,
    pinned: { query: null, key: null },
    sinkAside: options.setSinkAside,
    focus: { about: "all", query: null, key: null },
    pictures: 1,
  };
}

test("keys out of the window are summed to one link a side: no weight is lost", () => {
  const { scene, row } = long(500);
  const links = allLinks(inputOf(scene, 4000));
  const [first] = visibleRows(inputOf(scene, 4000).layout.queries.axis);
  for (const query of [first, first + 5]) {
    let sum = 0;
    for (let i = 0; i < links.length; i++) {
      if (links.query[i] === query) sum += links.weight[i] as number;
    }
    const least = row(query).reduce((a, b) => a + b, 0);
    // Links too faint to show are left out.
    expect(sum).toBeLessThanOrEqual(least + 1e-5);
    expect(sum).toBeGreaterThan(least - 0.02);
  }
  const several = links.key.subarray(0, links.length).filter((key) => key === SEVERAL);
  expect(several.length).toBeGreaterThan(0);
});

test("setting the sink aside rescales the links and leaves the numbers", () => {
  const given = { state: { heads: [0] as [number] }, hover: { source: "head", query: 1 } as const };
  const plain = small(given);
  const aside = small({ ...given, options: { setSinkAside: true } });
  const numbers = (scene: Scene) => draw(scene).texts.filter((text) => /^\d\.\d{3}$/.test(text));
  expect(numbers(aside)).toEqual(numbers(plain));
  expect(draw(aside).texts).toContain("“[CLS]” set aside: links rescaled, numbers unchanged");
  const links = allLinks(inputOf(aside, 0));
  const row = aside.heads(0, 0).weights.row(1);
  for (let i = 0; i < links.length; i++) {
    expect(links.key[i]).not.toBe(0);
    if (links.query[i] !== 1) continue;
    const key = links.key[i] as number;
    expect(links.weight[i]).toBeCloseTo((row[key] as number) / (1 - (row[0] as number)), 5);
  }
});

test.each([
  [12, 90],
  [90, 12],
  [60, 90],
])("%d queries and %d keys share the scroll by proportion", (numQueries, numKeys) => {
  const positions = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ label: `${i}`, kind: "token" as const }));
  const request = {
    rect: { x: 0, y: 20, width: 460, height: 320 },
    queries: positions(numQueries),
    keys: positions(numKeys),
    rowHeight: 16,
    numbers: 1,
    labelSize: 12,
  };
  const range = linesOverflow(90, 16, 320);
  for (const part of [0, 0.25, 1]) {
    const { queries, keys } = linesLayout({ ...request, scroll: part * range });
    for (const { axis } of [queries, keys]) {
      const own = Math.max(0, axis.count * 16 - 320);
      expect(axis.offset).toBeCloseTo(part * own, 6);
    }
  }
  const layout = linesLayout({ ...request, scroll: 0 });
  for (const which of ["queries", "keys"] as const) {
    const index = Math.floor(layout[which].axis.count * 0.7);
    const scroll = scrollTo(layout, layout[which], index);
    const { axis } = linesLayout({ ...request, scroll })[which];
    expect(rowMiddle(axis, index)).toBeGreaterThan(axis.top);
    expect(rowMiddle(axis, index)).toBeLessThan(axis.top + axis.height);
  }
});

test("a position set elsewhere is revealed, one in sight is left alone", () => {
  const { scene } = long(300);
  expect(headView.reveal?.(scene, FRAME, { query: 2 })).toBeNull();
  const scroll = headView.reveal?.(scene, FRAME, { query: 200 });
  expect(textsOf(draw(scene, { ...FRAME, scroll: scroll ?? 0 }), "t200").length).toBe(2);
});

test.each(["lines", "matrix"] as const)(
  "while numbers are on their way the tokens stand: %s",
  (form) => {
    const { texts, calls } = draw(small({ blocks: "pending", state: { form } }));
    for (const label of [...QUERIES, ...KEYS]) expect(texts).toContain(label);
    expect(texts.includes("loading")).toBe(form === "lines");
    expect(calls.filter(({ kind, group }) => kind === "path" && group === "links")).toEqual([]);
  },
);

test.each(["lines", "matrix"] as const)("what went wrong is said in place: %s", (form) => {
  const { calls } = draw(small({ blocks: "failed", state: { form } }));
  const notice = calls.filter(({ group }) => group === "notice");
  expect(notice.map(({ text }) => text).join(" ")).toBe("the kernel has gone away");
});

test("stops have the names a screen reader needs", () => {
  const scene = small({ state: { heads: [2] } });
  const row = scene.heads(0, 2).weights.row(3);
  const best = row.reduce((most, weight, key) => (weight > (row[most] as number) ? key : most), 0);
  const names = headView.stops(scene, FRAME).map(({ name }) => name);
  const weight = formatWeight(row[best] as number);
  expect(names).toContain(`query 3 “because”, attends most to “${KEYS[best]}” ${weight}`);
  expect(names).toContain("key 2 “Katze”");
  expect(names.length).toBe(QUERIES.length + KEYS.length);
});

test("every frame from 260 to 1400 pixels is drawn with whole numbers inside it", () => {
  const next = random(5);
  for (const width of [260, 320, 400, 460, 700, 1400]) {
    for (const form of ["lines", "matrix"] as const) {
      const heads = [0, 1, 2].slice(0, 1 + Math.floor(1.5 * (next() + 1))) as [number];
      const scene = small({ state: { form, heads } });
      const { calls } = draw(scene, { ...FRAME, width });
      for (const { kind, numbers } of calls) {
        if (kind !== "image") continue;
        const [x, , w] = numbers as [number, number, number];
        expect([x >= -0.01, x + w <= width + 0.01]).toEqual([true, true]);
      }
    }
  }
});
