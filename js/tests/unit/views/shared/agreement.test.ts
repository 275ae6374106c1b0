import { expect, test } from "vitest";
import { composeSvg } from "../../../../src/figure/compose.js";
import type { AgreementOfMeasure, EffectsOfHeads } from "../../../../src/protocol/generated.js";
import { editedOf } from "../../../../src/scene/edited.js";
import { type Scene, withEdits } from "../../../../src/scene/scene.js";
import type { State } from "../../../../src/state/selection.js";
import { agreementNote, isUncompared } from "../../../../src/views/shared/agreement.js";
import { attentionScene } from "../../../support/attention-scene.js";

const NOT = "not compared with exact effects";

const EFFECTS: EffectsOfHeads = {
  state: "done",
  message: "",
  metric: "log p(“purred”)",
  at: "it",
  position: 8,
  how: "zero",
  streams: {},
  done: 16,
  of: 16,
};

const FOUND: AgreementOfMeasure = {
  correlation: 0.594,
  heads: 16,
  of: 16,
  first: false,
  most: "2.3",
  largest: "3.3",
};

/** A record with gradients, and what is known of exact effects. */
function sceneOf(effects: EffectsOfHeads | null, state: Partial<State> = {}): Scene {
  const scene = attentionScene({ state: { measure: "gradient", ...state } });
  const stream = { ...scene.stream, metric: "log p(“purred”)" };
  return withEdits({ ...scene, stream }, editedOf([], null, effects));
}

const noteOf = (gradient: AgreementOfMeasure, state: Partial<State> = {}) =>
  agreementNote(sceneOf({ ...EFFECTS, agreement: { gradient } }, state));

test("the rank correlation is said, of how many heads, and which head matters most", () => {
  expect(noteOf(FOUND)).toBe(
    "how far the measure agrees with exact effects: rank correlation 0.59 over 16 heads; the head that matters most is 2.3, by the measure 3.3",
  );
  const same = { ...FOUND, correlation: -0.2, heads: 7, first: true, largest: "2.3" };
  expect(noteOf(same)).toBe(
    "how far the measure agrees with exact effects: rank correlation −0.20 over 7 of 16 heads; the head that matters most is 2.3 by both",
  );
  expect(noteOf({ ...FOUND, correlation: null })).toBe(
    "the measure cannot be compared with exact effects: the same number for each of 16 heads",
  );
});

test("each measure has its own, and what is none of gradients has none", () => {
  const agreement = { gradient: FOUND, relevance: { ...FOUND, correlation: 0.25 } };
  const effects = { ...EFFECTS, agreement };
  expect(agreementNote(sceneOf(effects, { measure: "relevance" }))).toContain("0.25 over");
  for (const state of [
    { measure: "weights" },
    { measure: "rollout" },
    { view: "neuron" },
    { view: "head", form: "geometry" },
  ] as const)
    expect(agreementNote(sceneOf(effects, state))).toBeNull();
  const without = { ...sceneOf(effects), stream: attentionScene().stream };
  expect(agreementNote(without)).toBeNull();
});

test("where the effects are not known, or of something else, that is said", () => {
  expect(agreementNote(sceneOf(null))).toBe(NOT);
  const why = (effects: Partial<EffectsOfHeads>, offered = false) =>
    agreementNote(sceneOf({ ...EFFECTS, ...effects }), offered);
  expect(why({ metric: "log p(“was”)" })).toBe(`${NOT}: those found are of log p(“was”)`);
  expect(why({ metric: "log p(“was”)" }, true)).toBe(`${NOT} yet: those found are of log p(“was”)`);
  expect(why({ how: "mean" })).toBe(`${NOT}: those found are of heads set to their mean`);
  // The same metric, read elsewhere.
  expect(why({ at: "mat" })).toBe(`${NOT}: those found are after “mat”`);
  // Stopped before two heads were run, or before the first.
  expect(why({ state: "stopped", done: 1, agreement: {} })).toBe(
    `${NOT}: fewer than two heads were run`,
  );
  expect(why({ state: "refused", done: 0 })).toBe(NOT);
  const running = sceneOf({ ...EFFECTS, state: "running", done: 3, agreement: {} });
  expect(agreementNote(running)).toBe("comparing with exact effects: 3 of 16 heads");
  expect([isUncompared(sceneOf(null)), isUncompared(running)]).toEqual([true, false]);
  // Effects of another metric are under way.
  expect(isUncompared(sceneOf({ ...EFFECTS, state: "running" }))).toBe(true);
});

test("a figure says it under what it draws, without a legend in its title", () => {
  const scene = sceneOf({ ...EFFECTS, agreement: { gradient: FOUND } });
  const count = (figure: object) =>
    composeSvg(scene, { width: 900, figure: { whole: true, ...figure } }).split("agrees with")
      .length - 1;
  expect(count({ title: true })).toBe(1);
  expect(count({ title: true, legend: false })).toBe(1);
  expect(count({ legend: false })).toBe(0);
  expect(composeSvg(sceneOf(null), { width: 900 })).toContain(NOT);
  expect(composeSvg(sceneOf(null, { measure: "weights" }), { width: 900 })).not.toContain(NOT);
});
