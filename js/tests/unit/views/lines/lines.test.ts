import { expect, test } from "vitest";
import { formatWeight } from "../../../../src/marks/format.js";
import { rowMiddle, visibleRows } from "../../../../src/marks/text/token-axis.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { headView } from "../../../../src/views/head/view.js";
import {
  columnWidths,
  linesLayout,
  linesOverflow,
  scrollTo,
} from "../../../../src/views/lines/layout.js";
import {
  allLinks,
  drawnShare,
  type LinesInput,
  pictureKey,
  SEVERAL,
  shareKey,
} from "../../../../src/views/lines/links.js";
import type { Call } from "../../../support/recording-surface.js";
import { draw, FRAME, long, place, small, textsOf } from "../../../support/token-scenes.js";

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

test("a pinned query that was scrolled away stays at the edge with its fan", () => {
  const { scene, row } = long(500, { state: { query: 3 } });
  const surface = draw(scene, { ...FRAME, scroll: 4000 });
  expect(textsOf(surface, "t3").length).toBe(1);
  const links = surface.calls.filter(
    ({ kind, group }) => kind === "path" && group.startsWith("links"),
  );
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
  const { queries, keys, blocks } = scene;
  const rect = { x: 0, y: 20, width: 460, height };
  const rows = { rect, queries, keys, rowHeight: 16, scroll, numbers: 1, labelSize: 12 };
  const series = [
    { layer: 0, head: 0, name: "head 0", colour: "#000000", rows: blocks.weights(0, 0), blocks },
  ];
  return {
    layout: linesLayout(rows),
    series,
    pinned: { query: null, key: null },
    aside: scene.aside,
    thinning: scene.state,
    full: false,
    focus: { about: "all", query: null, key: null, queries: [], keys: [] },
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
  const aside = small({ ...given, state: { ...given.state, aside: "first" } });
  const numbers = (scene: Scene) => draw(scene).texts.filter((text) => /^\d\.\d{3}$/.test(text));
  expect(numbers(aside)).toEqual(numbers(plain));
  expect(draw(aside).texts).toContain("first token set aside: shades rescaled, numbers unchanged");
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

/** The input with a query and a key in focus, as under the pointer. */
function pointedAt(input: LinesInput, query: number, key: number): LinesInput {
  return { ...input, focus: { about: "query", query, key, queries: [query], keys: [key] } };
}

test("the key under the pointer makes nothing anew that it does not change", () => {
  const { scene } = long(500);
  const input = inputOf(scene, 4000);
  const [one, other] = [pointedAt(input, 260, 251), pointedAt(input, 260, 252)];
  expect(pictureKey(one)).toBe(pictureKey(other));
  expect(allLinks(one)).toEqual(allLinks(other));
  const thinned = [one, other].map((of) => ({ ...of, thinning: { top_k: 1, mass: null } }));
  const [first, second] = thinned as [LinesInput, LinesInput];
  // Links to the key in focus are drawn though they are none of the strongest.
  expect(allLinks(first)).not.toEqual(allLinks(second));
  expect(pictureKey(first)).not.toBe(pictureKey(second));
  expect(drawnShare(first)).toBe(drawnShare(second));
  expect(shareKey(first)).toBe(shareKey(second));
  expect(shareKey(first)).not.toBe(shareKey(one));
});

test("long labels take room from the links, and a short column leaves its own to the other", () => {
  const labelled = (labels: readonly string[]) =>
    labels.map((label, index) => ({ index, label, special: false })) as never;
  const short = labelled(["a", "of"]);
  const long = labelled(["internationalisation", "antidisestablishmentarianism"]);
  const widthsOf = (queries: never, keys: never, width = 330) =>
    columnWidths({
      rect: { x: 0, y: 0, width, height: 300 },
      queries,
      keys,
      labelSize: 12,
      numbers: 1,
    });
  const both = widthsOf(long, long);
  expect(both.query).toBe(both.key);
  // More than two fifths of the width would leave them; a link can still be followed.
  expect(both.query).toBeGreaterThan((0.6 * 330 - 72) / 2 + 10);
  expect(330 - both.query - both.key - 72).toBeGreaterThanOrEqual(0.28 * 330);
  const one = widthsOf(short, long);
  expect(one.query).toBe(widthsOf(short, short).query);
  expect(one.key).toBeGreaterThan(both.key);
});
