import { expect, test } from "vitest";
import { wordsOf } from "../../../../src/data/words.js";
import type { Position } from "../../../../src/protocol/generated.js";
import { click } from "../../../../src/state/actions.js";
import { themes } from "../../../../src/styles/theme.js";
import { geometryLayout, METHOD, planeIn } from "../../../../src/views/geometry/layout.js";
import { planeOf } from "../../../../src/views/geometry/points.js";
import { headView } from "../../../../src/views/head/view.js";
import { attentionScene, type Given, geometryOf } from "../../../support/attention-scene.js";
import { groupedScene } from "../../../support/grouped-scene.js";
import { draw, FRAME } from "../../../support/token-scenes.js";

const scene = (state: Given["state"] = {}, rest: Given = {}) =>
  attentionScene({ ...rest, state: { form: "geometry", heads: [1], ...state } });

/** Where a point is drawn. */
function placeOf(shown: ReturnType<typeof scene>, side: "query" | "key", index: number, head = 1) {
  const plane = geometryLayout(shown, FRAME).planes.find((each) => each.head === head);
  const points = plane && planeIn(plane)?.points;
  const point = points?.find((each) => each.side === side && each.index === index);
  if (!plane || !point) throw new Error("no such point");
  return plane.place(point);
}

test("each query is a circle and each key a square, where the block says, on one scale both ways", () => {
  const shown = scene();
  const surface = draw(shown);
  const own = surface.calls.filter(({ group }) => group === "points of head 1");
  const count = shown.queries.length;
  expect(own.filter(({ kind }) => kind === "circle")).toHaveLength(count);
  expect(own.filter(({ kind }) => kind === "rect")).toHaveLength(count);
  const { data } = geometryOf(shown.heads(0, 1)) as { data: Float32Array };
  const at = (place: number) => [data[3 * place] as number, data[3 * place + 1] as number] as const;
  const circles = own.filter(({ kind }) => kind === "circle").map(({ numbers }) => numbers);
  const [[x0, y0], [x1, y1]] = [at(0), at(1)];
  const across = ((circles[1]?.[0] ?? 0) - (circles[0]?.[0] ?? 0)) / (x1 - x0);
  const up = ((circles[0]?.[1] ?? 0) - (circles[1]?.[1] ?? 0)) / (y1 - y0);
  expect(across).toBeGreaterThan(0);
  expect(up).toBeCloseTo(across, 3);
  expect(surface.texts).toContain("across 50 %, up 25 % of the variance · c = 2");
  expect(surface.texts.join(" ")).toContain(METHOD);
});

test("a click on a point pins its token, and a pinned or hovered token is ringed and named", () => {
  const shown = scene();
  const { x, y } = placeOf(shown, "query", 3);
  const hit = headView.hit(shown, FRAME, x + 2, y - 1);
  expect(hit).toEqual({ layer: 0, head: 1, query: 3 });
  expect(click(shown.state, "head", hit ?? {}, false)).toEqual({ queries: [3] });
  const key = placeOf(shown, "key", 2);
  expect(headView.hit(shown, FRAME, key.x, key.y)).toEqual({ layer: 0, head: 1, key: 2 });
  const rings = (of: ReturnType<typeof scene>) =>
    draw(of).calls.filter(({ style }) => style?.stroke === themes.light.accent);
  expect(rings(shown)).toHaveLength(0);
  const pinned = rings(scene({ queries: [3], query: 3, keys: [2], key: 2 }));
  expect(pinned.map(({ kind }) => kind)).toEqual(["rect", "circle"]);
  expect(pinned[1]?.numbers.slice(0, 2)).toEqual([x, y]);
  // The pointer is elsewhere: on a token of the neuron view, say.
  const hovered = draw(scene({}, { hover: { source: "neuron", key: 2 } }));
  const ring = hovered.calls.find(
    ({ kind, style, group }) =>
      kind === "rect" && group === "points of head 1" && style?.stroke === themes.light.text,
  );
  expect((ring?.numbers[0] as number) + (ring?.numbers[2] as number) / 2).toBeCloseTo(key.x);
});

test("the card names the point under the pointer", () => {
  const shown = scene();
  const { x, y } = placeOf(shown, "key", 2);
  const surface = draw(scene({}, { hover: { source: "head", key: 2, x, y } }));
  expect(surface.texts).toContain("key 2 “cat”");
});

test("a panel a head, none hidden, and stops that say what is there", () => {
  const shown = scene({ heads: [0, 2] });
  const names = draw(shown).texts.filter((text) => text.startsWith("head "));
  expect(names).toEqual(["head 0", "head 2"]);
  const stops = headView.stops(scene({ queries: [3], query: 3 }), FRAME);
  expect(stops[0]?.name).toMatch(/^query 3 “sat”, length /);
  expect(stops.length).toBeLessThanOrEqual(80);
});

test("heads stay apart whatever is taken together", () => {
  const shown = scene({ heads: [0, 2], together: "mean" });
  expect(draw(shown).texts.filter((text) => text.startsWith("head "))).toHaveLength(2);
});

test("colours run with the position or the length, one scale for all panels", () => {
  const fills = (given: Given["state"]) =>
    new Set(
      draw(scene(given)).calls.flatMap(({ group, kind, style }) =>
        group.startsWith("points") && kind === "circle" ? (style?.fill ?? []) : [],
      ),
    );
  expect(fills({}).size).toBe(scene().queries.length);
  const byLength = draw(scene({ colour: "norm", heads: [0, 1] }));
  expect(byLength.texts).toContain("length of the vector");
  const norms = [0, 1].flatMap((head) => {
    const plane = planeOf(scene({ heads: [0, 1] }), 0, head);
    return plane && !("error" in plane) ? plane.points.map(({ norm }) => norm) : [];
  });
  const last = byLength.texts.filter((text) => /^\d+(\.\d+)?$/.test(text)).at(-1);
  expect(Number(last)).toBeCloseTo(Math.max(...norms), 1);
});

test("groups have a colour each, and positions theirs where no groups are marked", () => {
  const shown = groupedScene({ state: { form: "geometry", colour: "group", heads: [1] } });
  const names = shown.stream.groupings?.[0]?.groups.map(({ name }) => name) ?? [];
  const surface = draw(shown);
  for (const name of names) expect(surface.texts).toContain(name);
  const plain = draw(scene({ colour: "group" }));
  expect(plain.texts).toContain("position");
});

test("a word lies at the mean of its pieces", () => {
  const shown = scene();
  const pieces: Position[] = shown.keys.map((position, at) =>
    at === 3 ? { ...position, continues: true } : position,
  );
  const record = { ...shown, queries: pieces, keys: pieces, recorded: null };
  const words = wordsOf(pieces)?.positions ?? [];
  const merged = {
    ...record,
    queries: words,
    keys: words,
    state: { ...shown.state, positions: "words" as const },
    recorded: record,
  };
  const [plane, whole] = [planeOf(merged, 0, 1), planeOf(record, 0, 1)];
  if (!plane || !whole || "error" in plane || "error" in whole) throw new Error("no plane");
  expect(plane.points).toHaveLength(2 * words.length);
  const of = (points: typeof plane.points, index: number) =>
    points.find((each) => each.side === "key" && each.index === index)?.x ?? Number.NaN;
  expect(of(plane.points, 2)).toBeCloseTo((of(whole.points, 2) + of(whole.points, 3)) / 2, 6);
  expect(of(plane.points, 3)).toBeCloseTo(of(whole.points, 4), 6);
});

test("of a step of a generation only what is there by then", () => {
  const step = { step: 1, numQueries: 4, numKeys: 5 };
  const plane = planeOf({ ...scene(), generationStep: step }, 0, 1);
  expect(plane && "points" in plane && plane.points.length).toBe(9);
});

test("what has not come, or cannot, is said in place", () => {
  expect(draw(scene({}, { blocks: "pending" })).texts).toContain("loading");
  expect(draw(scene({}, { blocks: "failed" })).texts.join(" ")).toContain(
    "the kernel has gone away",
  );
});

test("everything lies within the frame at any width", () => {
  for (const width of [180, 320, 700, 1200]) {
    const shown = scene({ heads: [0, 1, 2] });
    const frame = { ...FRAME, width, height: headView.contentHeight(shown, width, 400) };
    for (const { kind, numbers } of draw(shown, frame).calls) {
      const [x = 0, y = 0, w = 0, h = 0] = numbers;
      if (kind !== "rect") continue;
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + w).toBeLessThanOrEqual(width + 1);
      expect(y + h).toBeLessThanOrEqual(frame.height + 1);
    }
  }
});

test("of many points each is small, so that their shape is seen", () => {
  const radius = (count: number) => {
    const words = Array.from({ length: count }, (_, at) => `t${at}`);
    const shown = scene({}, { queries: words });
    const circle = draw(shown).calls.find(
      ({ kind, group }) => kind === "circle" && group === "points of head 1",
    );
    return circle?.numbers[2] as number;
  };
  expect(radius(10)).toBe(4);
  expect(radius(400)).toBeLessThan(4);
  expect(radius(400)).toBeGreaterThanOrEqual(1.5);
});
