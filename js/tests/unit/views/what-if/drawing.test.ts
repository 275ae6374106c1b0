import { expect, test } from "vitest";
import type { EffectsOfHeads, Intervention, WhatIf } from "../../../../src/protocol/generated.js";
import { editedOf } from "../../../../src/scene/edited.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { partKey } from "../../../../src/state/edits.js";
import { SvgSurface } from "../../../../src/surface/svg.js";
import { headView } from "../../../../src/views/head/view.js";
import { layoutViews } from "../../../../src/views/layout.js";
import { headName } from "../../../../src/views/model/card.js";
import { boardOf } from "../../../../src/views/model/head-scores.js";
import { modelView } from "../../../../src/views/model/view.js";
import { titleOf } from "../../../../src/views/titles.js";
import { startOf } from "../../../../src/views/what-if/motion.js";
import { isOut } from "../../../../src/views/what-if/parts.js";
import { changeView } from "../../../../src/views/what-if/view.js";
import { attentionScene, WORDS } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const [IT, CAT] = [WORDS.indexOf("it"), WORDS.indexOf("cat")];
const CUT: Intervention = {
  cut: { query: IT, key: CAT },
  heads: [[0, 1]],
  layers: null,
  stream: null,
  renormalise: true,
};
const OUT: Intervention = { ablate: [[-1, 2]], how: "zero", stream: null, source: null };
const WHAT_IF: WhatIf = {
  state: "done",
  message: "",
  at: "it",
  position: IT,
  kind: "token",
  metric: "log p(“was”)",
  before: -0.7,
  after: -1.2,
  kl: 2,
  choices: [
    { label: "was", before: 0.5, after: 0.25 },
    { label: "lay", before: 0, after: 0.6 },
  ],
  method: "recomputed exactly",
  edits: [CUT],
};
const EFFECTS: EffectsOfHeads = {
  state: "running",
  message: "",
  metric: "log p(“was”)",
  how: "zero",
  at: "it",
  position: 8,
  streams: {
    self: {
      values: [
        [0.25, -4.68, null],
        [0, -0.02, 1],
      ],
      exact: [
        [true, true, false],
        [true, true, false],
      ],
    },
  },
  done: 4,
  of: 6,
};

type Given = { parts?: Intervention[]; whatIf?: WhatIf | null; effects?: EffectsOfHeads | null };
function edited(scene: Scene, { parts = [], whatIf = null, effects = null }: Given): Scene {
  const was = new Map([[partKey(CUT), 0.9987]]);
  return { ...scene, edited: editedOf(parts, whatIf, effects, { was }) };
}

const FRAME = { width: 420, height: 520, scroll: 0 };
function drawn(view: typeof headView, scene: Scene) {
  const surface = new RecordingSurface(FRAME.width, FRAME.height);
  view.draw(surface, scene, FRAME);
  return surface.calls;
}
const texts = (view: typeof headView, scene: Scene) =>
  drawn(view, scene).flatMap(({ text }) => text ?? []);
const svg = (view: typeof headView, scene: Scene) => {
  const surface = new SvgSurface({ width: FRAME.width, height: FRAME.height, scale: 2 });
  view.draw(surface, scene, FRAME);
  return surface.finish({ title: "" });
};

test("a cut link is dashed in the heads that it is cut in, and says what it weighed", () => {
  const scene = edited(attentionScene({ state: { heads: [1] } }), { parts: [CUT] });
  const calls = drawn(headView, scene).filter(({ group }) => group === "cut");
  expect(calls.filter(({ kind }) => kind === "path").length).toBe(1);
  expect(calls.flatMap(({ text }) => text ?? [])).toEqual(["was 0.999"]);
  expect(svg(headView, scene)).toContain("stroke-dasharray");
  const other = edited(attentionScene({ state: { heads: [0] } }), { parts: [CUT] });
  expect(drawn(headView, other).some(({ group }) => group === "cut")).toBe(false);
  const all = { ...CUT, heads: null };
  const every = edited(attentionScene({ state: { heads: [0] } }), { parts: [all] });
  expect(drawn(headView, every).some(({ group }) => group === "cut")).toBe(true);
});

test("a head that is out is dashed in its cell, counted from the end too, and read out", () => {
  const scene = edited(attentionScene(), { parts: [OUT] });
  expect([isOut(scene, 1, 2), isOut(scene, 0, 2)]).toEqual([true, false]);
  const colour = scene.theme.changed;
  const dashed = (of: Scene) =>
    drawn(modelView, of).filter(({ kind, style }) => kind === "rect" && style?.stroke === colour);
  expect(dashed(scene).length).toBe(1);
  expect(dashed(attentionScene())).toEqual([]);
  const named = modelView.stops(scene, FRAME).filter(({ name }) => name.includes("knocked out"));
  expect(named.map(({ layer, head }) => [layer, head])).toEqual([[1, 2]]);
});

test("below each head stands its effect, an estimate marked as one, and over them what it is on", () => {
  const scene = edited(attentionScene(), { effects: EFFECTS });
  const shown = texts(modelView, scene);
  for (const text of ["+0.25", "−4.68", "+0.00", "−0.02", "≈+1.00"]) expect(shown).toContain(text);
  expect(shown).toContain("change of log p(“was”) when the head is zeroed");
  expect(shown).toContain("after “it” · solid: exact · hatched, ≈: an estimate");
  expect(titleOf(scene, "model")).toBe("Heads by effect on “was”");
  // Where the list of scores leaves no room for all of it, the name of the metric stays.
  const fits = (title: string) => title.length < 20;
  expect(titleOf(scene, "model", fits)).toBe("Effect on “was”");
  const scored = { ...scene, state: { ...scene.state, score: "effect" } };
  expect(titleOf(scored, "model", fits)).toBe("Heads");
  expect(titleOf(scored, "model")).toBe("Heads by effect on “was”");
  expect(titleOf(attentionScene(), "model")).toBe("Heads");
  const all = edited(attentionScene(), { effects: { ...EFFECTS, state: "done", done: 6 } });
  expect(texts(modelView, all)).toContain("after “it” · all exact");
  const refused = edited(attentionScene(), { effects: { ...EFFECTS, state: "refused" } });
  expect(titleOf(refused, "model")).toBe("Heads");
});

test("a head whose mean says something else than zero says both, where there is room, and a sign stands for it elsewhere", () => {
  const stream = {
    ...EFFECTS.streams.self,
    means: [
      [0.24, -0.02, null],
      [0, -0.02, null],
    ],
    differs: [
      [false, true, false],
      [false, false, false],
    ],
  };
  const both: EffectsOfHeads = { ...EFFECTS, streams: { self: stream as never } };
  const scene = edited(attentionScene(), { effects: both });
  const note = "≠: set to its mean, it differs by more than 3 ×";
  const wide = texts(modelView, scene);
  expect(wide).toContain(note);
  expect(wide).toContain("+0.25");
  expect(wide).toContain("zero −4.68, mean −0.02");
  const narrow = new RecordingSurface(230, 300);
  modelView.draw(narrow, scene, { width: 230, height: 300, scroll: 0 });
  const shown = narrow.calls.flatMap(({ text }) => text ?? []);
  expect(shown).toContain("−4.68≠");
  expect(shown).not.toContain("zero −4.68, mean −0.02");
  const head = { index: 1, row: 0, layer: 0, head: 1 } as never;
  expect(headName(scene, null, head)).toContain("effect zero −4.68, mean −0.02");
  const plain = edited(attentionScene(), { effects: EFFECTS });
  expect(texts(modelView, plain)).not.toContain(note);
  expect(headName(plain, null, head)).toContain("effect −4.68");
});

test("as a score, effects rank by their size, those that are not known last", () => {
  const scene = edited(attentionScene({ state: { score: "effect" } }), { effects: EFFECTS });
  const board = boardOf(scene);
  expect(board?.score.title).toBe("effect on “was”");
  expect(board?.most).toBeCloseTo(4.7);
  expect(board?.order.map(({ layer, head }) => [layer, head])).toEqual([
    [0, 1],
    [1, 2],
    [0, 0],
    [1, 1],
    [1, 0],
    [0, 2],
  ]);
});

test("the bars are as long as the probabilities, before over after, within their room", () => {
  const scene = edited(attentionScene(), { parts: [CUT], whatIf: WHAT_IF });
  const calls = drawn(changeView, scene);
  const { muted, changed } = scene.theme;
  const bars = (fill: string) =>
    calls
      .filter(
        ({ kind, style, numbers }) => kind === "rect" && style?.fill === fill && numbers[3] === 10,
      )
      .map(({ numbers: [x = 0, , width = 0] }) => ({ x, width }));
  const [was, lay] = [bars(muted), bars(changed)];
  expect([was.length, lay.length]).toEqual([2, 2]);
  expect((lay[0]?.width ?? 0) / (was[0]?.width ?? 1)).toBeCloseTo(0.5);
  expect((lay[1]?.width ?? 0) / (was[0]?.width ?? 1)).toBeCloseTo(1.2);
  for (const { x, width } of [...was, ...lay]) expect(x + width).toBeLessThan(FRAME.width - 40);
  const words = calls.flatMap(({ text }) => text ?? []);
  expect(words).toEqual(
    expect.arrayContaining(["before", "after", "was", "0.500", "0.250", "0.000"]),
  );
});

test("the bars have a place at every width while something is edited, and none without", () => {
  const names = (scene: Scene, width: number) =>
    layoutViews(scene, width).boxes.map(({ view }) => view.name);
  const scene = edited(attentionScene(), { parts: [CUT], whatIf: WHAT_IF });
  for (const width of [1400, 1000, 700, 420]) {
    expect(names(scene, width)).toContain("change");
    expect(names(attentionScene(), width)).not.toContain("change");
    const { boxes, height } = layoutViews(scene, width);
    for (const { rect } of boxes) {
      expect(rect.x + rect.width).toBeLessThanOrEqual(width);
      expect(rect.y + rect.height).toBeLessThanOrEqual(height);
      expect(rect.height).toBeGreaterThan(0);
    }
  }
  // Effects alone change nothing that a model would say.
  expect(names(edited(attentionScene(), { effects: EFFECTS }), 1400)).not.toContain("change");
});

test("bars on their way are drawn there, numbers at their end at once, and at rest pixel for pixel", () => {
  const scene = edited(attentionScene(), { parts: [CUT], whatIf: WHAT_IF });
  const from = startOf(WHAT_IF.choices);
  const at = (part: number) => ({ ...scene, moving: { from, part } });
  const width = (of: Scene, n: number) =>
    drawn(changeView, of).filter(
      ({ kind, style, numbers }) =>
        kind === "rect" && style?.fill === scene.theme.changed && numbers[3] === 10,
    )[n]?.numbers[2] ?? 0;
  // "was" shrinks from 0.5, "lay" grows from nothing to the end of the scale.
  expect(width(at(0), 0)).toBeGreaterThan(width(at(0.4), 0));
  expect(width(at(0.4), 1)).toBeLessThan(width(scene, 1));
  expect(width(at(0), 1)).toBe(1);
  expect(texts(changeView, at(0.1))).toEqual(texts(changeView, scene));
  expect(drawn(changeView, at(1))).toEqual(drawn(changeView, scene));
});

test("as an axis of the scatter effects have a scale of their own, and no dot lies beyond it", () => {
  const given = { score: "broad", other_score: "effect", arrange: "scatter" } as const;
  const values = Float32Array.from({ length: 2 * 6 * 3 }, (_, n) => (n % 7) / 10);
  const scene = edited(
    attentionScene({
      state: given,
      headNumbers: (request) =>
        request.what === "head_scores" ? { data: values, shape: [2, 6, 3] } : null,
    }),
    { effects: { ...EFFECTS, state: "done" } },
  );
  const calls = drawn(modelView, scene);
  const dots = calls.filter(({ kind, group }) => kind === "circle" && group === "heads");
  // One head has no effect yet.
  expect(dots.length).toBe(5);
  expect(calls.flatMap(({ text }) => text ?? [])).toEqual(
    expect.arrayContaining(["effect on “was”", "4.7"]),
  );
  const high = Math.min(...dots.map(({ numbers: [, y = 0] }) => y));
  const lines = calls.filter(({ kind, group }) => kind === "line" && group === "axes");
  const top = Math.min(...lines.map(({ numbers: [, y = 0] }) => y));
  expect(high).toBeGreaterThanOrEqual(top);
  expect(high - top).toBeLessThan(5);
});
