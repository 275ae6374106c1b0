import { describe, expect, it } from "vitest";
import { type Blocks, Matrix, type When } from "../../../../src/data/blocks.js";
import { topLevel } from "../../../../src/data/tiles.js";
import { formatWeight } from "../../../../src/marks/format.js";
import { cellWidth, type MatrixCells, placeAt } from "../../../../src/marks/matrix/cells.js";
import type { HeadRef, MapWindow } from "../../../../src/protocol/generated.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { themes } from "../../../../src/styles/theme.js";
import { compareView } from "../../../../src/views/compare/view.js";
import { headView } from "../../../../src/views/head/view.js";
import { LARGEST_CELL, panned, windowOf, zoomed } from "../../../../src/views/map/window.js";
import { attentionScene, type Given } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const TOKENS = Array.from({ length: 60 }, (_, n) => `t${n}`);
const FRAME = { width: 520, height: 460, scroll: 0 };

const cellsFor = (rows: number, columns: number, width = 400, height = 400): MatrixCells => ({
  rect: { x: 50, y: 60, width, height },
  rows,
  columns,
  down: [0, rows],
  across: [0, columns],
});

function sceneOf(given: Given = {}, map: MapWindow | null = null): Scene {
  const state = { form: "matrix" as const, ...given.state };
  return attentionScene({
    queries: TOKENS,
    keys: TOKENS,
    ...given,
    state,
    options: { ...given.options, map },
  });
}

const windowAt = (queries: readonly [number, number], keys = queries): MapWindow => ({
  stream: "self",
  words: false,
  queries,
  keys,
});

function drawn(scene: Scene, view = headView): RecordingSurface {
  const surface = new RecordingSurface(FRAME.width, FRAME.height);
  view.draw(surface, scene, FRAME);
  return surface;
}

describe("a window onto a matrix", () => {
  it("keeps what is under the pointer there, in and out", () => {
    const cells = cellsFor(4096, 4096);
    const at = { x: 133, y: 377 };
    const before = placeAt(cells, at.x, at.y);
    let now: MatrixCells = cells;
    for (const factor of [2, 1.3, 4, 0.7, 3]) {
      now = { ...now, ...zoomed(now, factor, at) };
      const place = placeAt(now, at.x, at.y);
      expect(place.row).toBeCloseTo(before.row, 6);
      expect(place.column).toBeCloseTo(before.column, 6);
    }
  });

  it("ends at the largest cell and at the whole matrix", () => {
    const cells = cellsFor(300, 300);
    const near = { ...cells, ...zoomed(cells, 1e6, { x: 200, y: 200 }) };
    expect(cellWidth(near)).toBeCloseTo(LARGEST_CELL, 6);
    const far = zoomed(near, 1e-6, { x: 60, y: 70 });
    expect(far).toEqual({ down: [0, 300], across: [0, 300] });
    expect(windowOf(attentionScene({ queries: TOKENS }), { down: [0, 60], across: [0, 60] })).toBe(
      null,
    );
  });

  it("of cells that are no squares makes squares first", () => {
    const cells = cellsFor(20, 2000, 400, 320);
    const near = { ...cells, ...zoomed(cells, 16, { x: 250, y: 220 }) };
    expect(near.down).toEqual([0, 20]);
    expect(cellWidth(near)).toBeCloseTo(3.2, 6);
  });

  it("moves with the pointer, and stops at the edges", () => {
    const cells: MatrixCells = { ...cellsFor(1000, 800), down: [100, 200], across: [0, 100] };
    // Four pixels to a cell.
    expect(panned(cells, 40, -20)).toEqual({ down: [95, 195], across: [10, 110] });
    expect(panned(cells, -40, 1e6)).toEqual({ down: [900, 1000], across: [0, 100] });
  });
});

describe("a matrix that is zoomed in", () => {
  const map = windowAt([20, 30], [5, 15]);

  it("shows the labels of what is in sight, and finds it under the pointer", () => {
    const scene = sceneOf({}, map);
    const texts = drawn(scene).texts;
    expect(texts).toContain("t20");
    expect(texts).toContain("t14");
    expect(texts).not.toContain("t3");
    expect(texts).not.toContain("t31");
    const seen = new Set<string>();
    for (let y = 0; y < FRAME.height; y += 5) {
      for (let x = 0; x < FRAME.width; x += 5) {
        const hit = headView.hit(scene, FRAME, x, y);
        if (hit?.query !== undefined && hit.key !== undefined) seen.add(`${hit.query}.${hit.key}`);
      }
    }
    const expected = new Set<string>();
    for (let q = 20; q < 30; q++) for (let k = 5; k < 15; k++) expected.add(`${q}.${k}`);
    // The minimap lies over a few.
    for (const pair of seen) expect(expected.has(pair)).toBe(true);
    expect(seen.size).toBeGreaterThan(80);
  });

  it("says the weights themselves once they have room, and no others", () => {
    const scene = sceneOf({ state: { heads: [1] } }, windowAt([20, 26]));
    const weights = scene.blocks.weights(0, 1);
    const texts = drawn(scene).texts;
    for (let q = 20; q < 26; q++) {
      for (let k = 20; k < 26; k++) {
        expect(texts).toContain(formatWeight(weights.row(q)?.[k] as number));
      }
    }
    const whole = drawn(sceneOf({ state: { shade: "fixed" } })).texts;
    expect(whole.some((text) => /^0\.\d{3}$/.test(text))).toBe(false);
  });

  it("has a small map of all of it: a click there brings that into the middle", () => {
    const scene = sceneOf({}, map);
    const surface = drawn(scene);
    const around = surface.calls.find(({ group, kind }) => group === "minimap" && kind === "image");
    const [x = 0, y = 0, width = 0, height = 0] = around?.numbers ?? [];
    const hit = headView.hit(scene, FRAME, x + 0.5 * width, y + 0.75 * height);
    expect(hit?.drags).toBe(true);
    expect(hit?.map?.queries).toEqual([40, 50]);
    expect(hit?.map?.keys).toEqual([25, 35]);
    expect(drawn(sceneOf()).calls.some(({ group }) => group === "minimap")).toBe(false);
  });

  it("marks pins that are out of sight at its edges: they jump there", () => {
    const scene = sceneOf({ state: { queries: [2, 25, 50], keys: [40] } }, map);
    const stops = headView.stops(scene, FRAME).filter(({ name }) => name.startsWith("Jump"));
    expect(stops.map(({ name }) => name)).toEqual([
      "Jump up to “t2”",
      "Jump down to “t50”",
      "Jump right to “t40”",
    ]);
    for (const stop of stops) {
      const { x, y, width, height } = stop.rect;
      const hit = headView.hit(scene, FRAME, x + width / 2, y + height / 2);
      expect(hit?.map).toEqual(stop.map);
    }
    expect(stops[1]?.map?.queries).toEqual([45, 55]);
    expect(stops[1]?.map?.keys).toEqual([5, 15]);
    expect(stops[2]?.map?.keys).toEqual([35, 45]);
    expect(drawn(scene).texts).toContain("t50");
  });

  it("is moved by a gesture, and shows what was pinned elsewhere", () => {
    const whole = sceneOf();
    const at = { x: 260, y: 250 };
    const near = headView.gesture?.(whole, FRAME, at, { kind: "zoom", factor: 4 });
    expect(near?.queries[1]).toBeCloseTo((near?.queries[0] ?? 0) + 15, 3);
    const scene = sceneOf({}, near ?? null);
    expect(headView.gesture?.(scene, FRAME, at, { kind: "fit" })).toBeNull();
    expect(headView.gesture?.(whole, FRAME, at, { kind: "pan", dx: 5, dy: 5 })).toBeUndefined();
    expect(headView.gesture?.(whole, FRAME, { x: 2, y: 2 }, { kind: "fit" })).toBeUndefined();
    expect(headView.revealOnMap?.(scene, FRAME, { query: 59 })?.queries).toEqual([45, 60]);
    expect(headView.revealOnMap?.(whole, FRAME, { query: 59 })).toBeUndefined();
  });

  it("is one window for pictures side by side, in a comparison too", () => {
    const compare: HeadRef[] = [
      [0, 1],
      [1, 2],
    ];
    const pinned = { compare, view: "compare" as const };
    const scene = sceneOf({ state: pinned }, map);
    const surface = drawn(scene, compareView);
    expect(surface.broken).toEqual([]);
    const hit = (x: number) => compareView.hit(scene, FRAME, x, 200);
    const rows = new Set<number>();
    for (let x = 60; x < FRAME.width; x += 8) rows.add(hit(x)?.query ?? -1);
    rows.delete(-1);
    expect(rows.size).toBe(1);
    expect([...rows][0]).toBeGreaterThanOrEqual(20);
  });

  it("in a figure is one picture and says which part it is, without what is for the pointer", () => {
    const drawing = {
      paper: false,
      panel: false,
      axes: true,
      legend: true,
      threshold: 0,
      horizontal: false,
      rightToLeft: false,
    };
    const scene = { ...sceneOf({ state: { keys: [40] } }, map), drawing };
    const { calls, texts } = drawn(scene);
    expect(calls.filter(({ kind, group }) => kind === "image" && group === "map")).toHaveLength(1);
    expect(texts.some((text) => text.includes("queries 20–29 of 60, keys 5–14 of 60"))).toBe(true);
    expect(calls.some(({ group }) => group === "minimap")).toBe(false);
    expect(headView.hit(scene, FRAME, 0, 0)).toBeNull();
  });
});

interface Asked {
  readonly head: number;
  readonly level: number;
  readonly place: string;
  readonly when: When;
}

/** A long head of which tiles come, as far as `here` says so. */
function longScene(
  length: number,
  map: MapWindow | null,
  here: (level: number) => boolean = () => true,
  given: Given = {},
  weight = (head: number, _column: number, _row: number): number => (head === 0 ? 0.25 : 0.75),
) {
  const asked: Asked[] = [];
  const labels = Array.from({ length }, (_, n) => String(n));
  const base = sceneOf({ queries: ["a", "b"], keys: ["a", "b"], ...given }, map);
  const positions = labels.map((label) => ({ label, kind: "token" as const }));
  const none = { numQueries: length, numKeys: length, row: () => null, error: null };
  const blocks: Blocks = {
    ...base.blocks,
    weights: () => none,
    tile(_layer, head, level, place, _as, when = "now") {
      asked.push({ head, level, place: place.join(), when });
      if (!here(level)) return null;
      const data = Float32Array.from({ length: 256 * 256 }, (_, at) =>
        weight(head, at % 256, Math.floor(at / 256)),
      );
      return new Matrix(256, 256, data);
    },
  };
  return { scene: { ...base, queries: positions, keys: positions, blocks }, asked };
}

describe("a head too long to come whole", () => {
  const now = (asked: readonly Asked[], when: When) =>
    new Set(
      asked.filter((one) => one.when === when).map(({ level, place }) => `${level}:${place}`),
    );

  it("asks for the tiles in sight at the level of its pixels, for all of it, later for those around", () => {
    const { scene, asked } = longScene(4096, null);
    const surface = drawn(scene);
    expect(topLevel(4096, 4096)).toBe(4);
    // Two device pixels to a pixel: some 700 of them for 4,096 positions.
    expect(now(asked, "now")).toEqual(new Set(["4:0,0", "3:0,0", "3:0,1", "3:1,0", "3:1,1"]));
    expect(surface.texts).toContain(
      "each cell of 8 × 8 shows its largest weight; numbers are exact",
    );
  });

  it("zoomed in asks for single weights, and for no rows", () => {
    const { scene, asked } = longScene(4096, windowAt([1000, 1100], [2000, 2100]));
    drawn(scene);
    expect(now(asked, "now")).toEqual(new Set(["4:0,0", "0:3,7", "0:3,8", "0:4,7", "0:4,8"]));
    expect(now(asked, "later")).toContain("0:5,9");
    expect(now(asked, "later")).not.toContain("0:6,9");
  });

  it("shows a coarser tile while a finer one is missing, and its thumbnail while none is here", () => {
    const near = windowAt([1000, 1100], [2000, 2100]);
    const images = (here: (level: number) => boolean) =>
      drawn(longScene(4096, near, here).scene).calls.filter(
        ({ kind, group }) => kind === "image" && group === "map",
      );
    expect(images(() => true)).toHaveLength(4);
    const [thumbnail, coarse] = images((level) => level === 4);
    expect(thumbnail?.pixels?.width).toBe(2);
    // All of the head, so large that the window is in its place.
    const cell = (coarse?.numbers[2] ?? 0) / 4096;
    const { scene } = longScene(4096, near);
    const at = {
      x: (coarse?.numbers[0] ?? 0) + 2050.5 * cell,
      y: (coarse?.numbers[1] ?? 0) + 1050.5 * cell,
    };
    expect(headView.hit(scene, FRAME, at.x, at.y)).toMatchObject({ query: 1050, key: 2050 });
    expect(images(() => false)).toHaveLength(1);
  });

  it("is compared cell by cell, and says so", () => {
    const compare: HeadRef[] = [
      [0, 0],
      [0, 1],
    ];
    const state = { compare, view: "compare" as const };
    const { scene } = longScene(4096, null, () => true, { state, numHeads: 2 });
    const { texts } = drawn(scene, compareView);
    expect(texts.some((text) => text.includes("difference of the two largest weights"))).toBe(true);
    expect(texts).toContain("+0.50");
  });
});

describe("the scale of long heads", () => {
  /** All on the first key, and so much on the others. */
  const faint =
    (...most: readonly number[]) =>
    (head: number, column: number) =>
      column === 0 ? 1 : (most[head] ?? 0);
  const long = (
    weight: (head: number, column: number, row: number) => number,
    given: Given = {},
    map: MapWindow | null = null,
    here: (level: number) => boolean = () => true,
  ) => longScene(4096, map, here, { numHeads: 2, ...given }, weight).scene;
  const both = { state: { heads: [0, 1] } };

  it("ends above the largest weight that is not on the first keys, for all heads alike", () => {
    expect(drawn(long(faint(0.015, 0.2))).texts).toContain("≥ 0.02");
    const { texts, calls } = drawn(long(faint(0.015, 0.03), both));
    expect(texts).toContain("≥ 0.05");
    const colours = calls.flatMap(({ kind, pixels }) =>
      kind === "image" && pixels?.height === 256 ? [[...pixels.data.slice(4, 7)]] : [],
    );
    const { sequential } = themes.light;
    const shade = (weight: number) => {
      const at = 3 * Math.round(255 * Math.sqrt(Math.fround(weight) / 0.05));
      return [...sequential.subarray(at, at + 3)];
    };
    expect(new Set(colours.map(String))).toEqual(new Set([shade(0.015), shade(0.03)].map(String)));
  });

  it("leaves out early queries where keys that come later are not seen", () => {
    const early = (_head: number, _column: number, row: number) => (row < 16 ? 0.3 : 0.004);
    const causal = long(early, { layer: { causal: true } });
    expect(drawn(causal).texts).toContain("≥ 0.005");
    expect(drawn(long(early)).texts).toContain("≥ 0.5");
  });

  it("ends at 1 where a head gives half or more to one key, and for other measures", () => {
    for (const scene of [
      long(faint(0.015, 0.6), both),
      long(faint(0.015), { state: { measure: "rollout" } }),
    ]) {
      const { texts } = drawn(scene);
      expect(texts).toContain("1");
      expect(texts.some((text) => text.startsWith("≥"))).toBe(false);
    }
  });

  it("is the same wherever the map is, and does not wait for finer tiles", () => {
    const near = windowAt([1000, 1100], [2000, 2100]);
    for (const here of [() => true, (level: number) => level === 4]) {
      expect(drawn(long(faint(0.015), {}, near, here)).texts).toContain("≥ 0.02");
    }
  });

  it("ends above the largest weight in sight, unless it is fixed: then at 1", () => {
    // One corner is fainter than the rest, in cells of the tile that shows all.
    const corner = (_head: number, column: number, row: number) =>
      row < 8 && column > 64 ? 0.0004 : 0.015;
    const there = windowAt([0, 60], [1500, 1560]);
    expect(drawn(long(corner)).texts).toContain("weight, full shade 0.02");
    expect(drawn(long(corner, {}, there)).texts).toContain("weight, full shade 0.0005");
    const { texts } = drawn(long(corner, { state: { shade: "fixed" } }, there));
    expect(texts).toContain("weight");
    expect(texts).toContain("1");
  });

  it("is shared by the two of a comparison", () => {
    const compare: HeadRef[] = [
      [0, 0],
      [0, 1],
    ];
    const given = { state: { compare, view: "compare" as const } };
    expect(drawn(long(faint(0.015, 0.03), given), compareView).texts).toContain("≥ 0.05");
  });
});
