// Cut links, hidden tokens and knocked-out heads, in every form that they are drawn in.

import { expect, test } from "vitest";
import { wordsOf } from "../../../../src/data/words.js";
import type { CutLinks, Intervention, Position } from "../../../../src/protocol/generated.js";
import { editedOf } from "../../../../src/scene/edited.js";
import type { RecordScene, Scene } from "../../../../src/scene/scene.js";
import { headView } from "../../../../src/views/head/view.js";
import { cutsIn } from "../../../../src/views/what-if/parts.js";
import { cutTicks, struckAt, struckFrom } from "../../../../src/views/what-if/struck.js";
import { attentionScene, type Given, WORDS } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";
import { long } from "../../../support/token-scenes.js";

const [IT, CAT, SAT] = [WORDS.indexOf("it"), WORDS.indexOf("cat"), WORDS.indexOf("sat")];
const cut = (query: CutLinks["cut"]["query"], key: CutLinks["cut"]["key"]): Intervention => ({
  cut: { query, key },
  heads: [[0, 1]],
  layers: null,
  stream: null,
  renormalise: true,
});
const OUT: Intervention = { ablate: [[0, 1]], how: "zero", stream: null, source: null };

const under = <S extends Scene>(scene: S, ...parts: Intervention[]): S => ({
  ...scene,
  edited: editedOf(parts, null, null),
});
const sceneOf = (form: Scene["state"]["form"], parts: Intervention[], more: Given["state"] = {}) =>
  under(attentionScene({ state: { heads: [1], form, ...more } }), ...parts);

const FRAME = { width: 460, height: 560, scroll: 0 };
function drawn(scene: Scene) {
  const surface = new RecordingSurface(FRAME.width, FRAME.height);
  headView.draw(surface, scene, FRAME);
  expect(surface.broken).toEqual([]);
  return surface.calls;
}
/** What is drawn in the colour of edits. */
const marks = (scene: Scene, group?: string) =>
  drawn(scene).filter(
    (call) =>
      call.style?.stroke === scene.theme.changed && (group === undefined || call.group === group),
  );
const texts = (scene: Scene) => drawn(scene).flatMap(({ text }) => text ?? []);
/** The lines through labels: where they begin and end. */
const strikes = (scene: Scene) =>
  marks(scene).filter(({ kind, group }) => kind === "line" && group !== "cut");

test("in a matrix a cut link has a dashed frame around its very cell, and the legend says what it is", () => {
  const scene = sceneOf("matrix", [cut(IT, CAT)]);
  const [frame, ...others] = marks(scene, "cut");
  expect(others).toEqual([]);
  expect(frame?.style?.dash).toBeDefined();
  const [x = 0, y = 0, width = 0, height = 0] = frame?.numbers ?? [];
  const matrix = drawn(scene).find(({ kind }) => kind === "image")?.numbers ?? [];
  const [left = 0, top = 0, wide = 0, high = 0] = matrix;
  const count = WORDS.length;
  expect([width, height]).toEqual([
    expect.closeTo(wide / count, 1),
    expect.closeTo(high / count, 1),
  ]);
  expect((x - left) / width).toBeCloseTo(CAT, 1);
  expect((y - top) / height).toBeCloseTo(IT, 1);
  expect(texts(scene)).toContain("dashed frame: cut links");
  const other = sceneOf("matrix", [cut(IT, CAT)], { heads: [0] });
  expect(marks(other)).toEqual([]);
  expect(texts(other)).not.toContain("dashed frame: cut links");
});

test("neighbouring cells that are cut have one frame, and a hidden token all of its column", () => {
  expect(marks(sceneOf("matrix", [cut(IT, [1, 2, 4])]), "cut").length).toBe(2);
  const [column] = marks(sceneOf("matrix", [cut(null, CAT)]), "cut");
  const [, , width = 0, height = 1] = column?.numbers ?? [];
  expect(height / width).toBeCloseTo(WORDS.length, 0);
});

test("a hidden token is struck through in lines, matrices and running text, a cut one is not", () => {
  for (const form of ["lines", "matrix", "text"] as const) {
    expect([form, strikes(sceneOf(form, [cut(null, CAT)])).length]).toEqual([form, 1]);
    expect([form, strikes(sceneOf(form, [cut(IT, CAT)])).length]).toEqual([form, 0]);
    expect([form, strikes(sceneOf(form, [])).length]).toEqual([form, 0]);
  }
});

test("in running text the tokens that the pinned one is cut from are struck through in dashes", () => {
  const pinned = { queries: [IT] };
  const [one, ...more] = strikes(sceneOf("text", [cut(IT, CAT), cut(null, SAT)], pinned));
  expect(more.length).toBe(1);
  const dashed = [one, ...more].filter((call) => call?.style?.dash);
  expect(dashed.length).toBe(1);
  // From another query the link is whole.
  expect(strikes(sceneOf("text", [cut(IT, CAT)], { queries: [SAT] }))).toEqual([]);
  // Read the other way round: what is cut from the pinned key.
  expect(strikes(sceneOf("text", [cut(IT, CAT)], { keys: [CAT] })).length).toBe(1);
});

test("each panel of small multiples has the cuts of its own head", () => {
  const panels = { heads: [0, 1], panels: "one a head" as const };
  const scene = sceneOf("lines", [cut(IT, CAT)], panels);
  expect(marks(scene, "cut").filter(({ kind }) => kind === "path").length).toBe(1);
});

test("between words a link is cut where a link between their pieces is", () => {
  const piece = (label: string, continues = false): Position => ({
    label,
    kind: "token",
    ...(continues ? { continues } : {}),
  });
  const pieces = [
    piece("un"),
    piece("believ", true),
    piece("able", true),
    piece("cat"),
    piece("s", true),
  ];
  const record = { ...attentionScene({ state: { heads: [1] } }), queries: pieces, keys: pieces };
  const { positions } = wordsOf(pieces) ?? { positions: [] };
  const recorded = under(record as RecordScene, cut(4, [0, 2]), cut(null, 3));
  const scene: Scene = { ...recorded, queries: positions, keys: positions, recorded };
  const heads = [{ layer: 0, head: 1 }];
  expect(cutsIn(scene, heads).map(({ queries, keys }) => [queries, keys])).toEqual([
    [[1], [0]],
    [null, [1]],
  ]);
  expect(struckAt(scene, heads, "key")?.(1)).toBe(true);
  expect(struckAt(scene, heads, "query")).toBeUndefined();
});

test("a head that is out has a dashed swatch, dashed links, and a word for it, in every form", () => {
  for (const form of ["lines", "matrix", "text"] as const) {
    const scene = sceneOf(form, [OUT], { heads: [0, 1], queries: [IT] });
    const words = texts(scene);
    expect([form, words.some((text) => text.includes("1 · out"))]).toEqual([form, true]);
    expect(words).toContain("out: knocked out; what is drawn is what it would have looked at");
    expect(words.some((text) => text.includes("0 · out"))).toBe(false);
    const colour = scene.theme.head(1, 3);
    const swatch = drawn(scene).filter(
      ({ kind, style }) => kind === "rect" && style?.stroke === colour && style.dash,
    );
    expect([form, swatch.length]).toEqual([form, 1]);
  }
  const links = drawn(sceneOf("lines", [OUT], { heads: [0, 1], queries: [IT] })).filter(
    ({ kind, style }) => kind === "path" && style?.dash,
  );
  const { theme } = sceneOf("lines", []);
  expect(new Set(links.map(({ style }) => style?.stroke))).toEqual(new Set([theme.head(1, 3)]));
});

test("of two records side by side the first is drawn as it was before the edits", () => {
  const scene = attentionScene({ state: { heads: [1] } });
  const after = { ...scene.blocks };
  const both = under({ ...scene, sides: [scene.blocks, after] }, cut(IT, CAT));
  const head = { layer: 0, head: 1 };
  expect(cutsIn(both, [{ ...head, blocks: scene.blocks }])).toEqual([]);
  expect(cutsIn(both, [{ ...head, blocks: after }]).length).toBe(1);
});

test("a rollout, which mixes all heads, has no head that is out and no cut link", () => {
  const scene = sceneOf("lines", [OUT, cut(IT, CAT)], { measure: "rollout" });
  expect(marks(scene)).toEqual([]);
  expect(texts(scene).some((text) => /· out|knocked/.test(text))).toBe(false);
});

test("the strip of a long input has a tick for each token that is cut", () => {
  const { scene } = long(2000, { state: { heads: [1], form: "lines" } });
  const edited = under(scene, cut(1500, 700), cut(null, 1900));
  const heads = [{ layer: 0, head: 1 }];
  expect(cutTicks(edited, heads)).toEqual([
    { axis: "query", index: 1500 },
    { axis: "key", index: 700 },
    { axis: "key", index: 1900 },
  ]);
  for (const form of ["lines", "text"] as const) {
    const shown = { ...edited, state: { ...edited.state, form } };
    const ticks = drawn(shown).filter(
      ({ kind, group, style }) =>
        kind === "rect" && group === "overview" && style?.fill === scene.theme.changed,
    );
    expect([form, ticks.length]).toEqual([form, 3]);
  }
});

test("from pinned tokens only what is cut of their links is struck", () => {
  const scene = sceneOf("text", [cut(IT, CAT)]);
  const heads = [{ layer: 0, head: 1 }];
  expect(struckFrom(scene, heads, "key", [IT])?.(CAT)).toBe(true);
  expect(struckFrom(scene, heads, "key", [SAT])).toBeUndefined();
  expect(struckFrom(scene, [{ layer: 0, head: 0 }], "key", [IT])).toBeUndefined();
});
