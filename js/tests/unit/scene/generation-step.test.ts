import { describe, expect, it } from "vitest";
import { Matrix } from "../../../src/data/blocks.js";
import { numSteps } from "../../../src/data/meta.js";
import { composeSvg } from "../../../src/figure/compose.js";
import type { Generation, Meta, Prompt } from "../../../src/protocol/generated.js";
import {
  blocksAtStep,
  generationStepOf,
  isThere,
  stateAtStep,
} from "../../../src/scene/generation-step.js";
import type { Scene } from "../../../src/scene/scene.js";
import { nextStep, stepText } from "../../../src/shell/step-bar.js";
import type { State } from "../../../src/state/selection.js";
import { clampTo } from "../../../src/state/signals.js";
import { headView } from "../../../src/views/head/view.js";
import { layoutViews } from "../../../src/views/layout.js";
import { modelView } from "../../../src/views/model/view.js";
import { activeQuery } from "../../../src/views/neuron/data.js";
import { neuronView } from "../../../src/views/neuron/view.js";
import { candidates, expected, nextView } from "../../../src/views/next-token/view.js";
import { titleOf } from "../../../src/views/titles.js";
import { attentionScene, type Given } from "../../support/attention-scene.js";
import { RecordingSurface } from "../../support/recording-surface.js";

const TOKENS = "<bos> the cat sat on the mat".split(" ");
const GENERATION: Generation = {
  first: 3,
  ranks: 2,
  tokens: ["on", "in", "the", "mat", "rug", "."],
  top: [0, 1, 2, 1, 4, 0, 5, 3],
  probabilities: [0.75, 0.25, 0.9, 0.05, 0.5, 0.25, 1, 0],
  chosen: [0, 2, 3, null],
  chosen_probabilities: [0.75, 0.9, 0.125, null],
};

/** A record of four given and three generated tokens at a step, as the scene maker makes it. */
function at(step: number | null, given: Partial<State> = {}, more: Given = {}): Scene {
  const layer = { causal: true };
  const scene = attentionScene({
    queries: TOKENS,
    keys: TOKENS,
    layer,
    ...more,
    state: { ...given, step },
  });
  const prompt: Prompt = { queries: 4, keys: 4 };
  const stream = { ...scene.stream, prompt };
  const meta: Meta = { ...scene.meta, streams: [stream], generation: GENERATION };
  const generationStep = generationStepOf(meta, stream, step);
  return {
    ...scene,
    meta,
    stream,
    generationStep,
    state: stateAtStep(scene.state, generationStep),
    blocks: blocksAtStep(scene.blocks, generationStep),
  };
}

function textsOf(scene: Scene, view = headView, width = 460, height = 420) {
  const surface = new RecordingSurface(width, height);
  view.draw(surface, scene, { width, height, scroll: 0 });
  return surface.calls.filter(({ kind }) => kind === "text");
}

describe("the steps of a generation", () => {
  it("are one for each generated token, the last included", () => {
    const { meta, stream } = at(null);
    expect(numSteps(meta)).toBe(4);
    expect(generationStepOf(meta, stream, null)).toBeNull();
    expect(generationStepOf(meta, stream, 0)).toEqual({ step: 0, numQueries: 4, numKeys: 4 });
    expect(generationStepOf(meta, stream, 3)).toEqual({ step: 3, numQueries: 7, numKeys: 7 });
    const cross = { ...stream, prompt: { queries: 4, keys: null } };
    expect(generationStepOf(meta, cross, 1)).toEqual({ step: 1, numQueries: 5, numKeys: 7 });
    const { prompt: _, ...encoder } = stream;
    expect(generationStepOf(meta, encoder, 1)).toBeNull();
  });

  it("that do not exist are none", () => {
    const { meta, state } = at(1);
    expect(clampTo(meta, { ...state, step: 3 }).step).toBe(3);
    expect(clampTo(meta, { ...state, step: 4 }).step).toBeNull();
    const plain = attentionScene();
    expect(numSteps(plain.meta)).toBe(0);
    expect(clampTo(plain.meta, { ...plain.state, step: 0 }).step).toBeNull();
  });

  it("are played from the beginning, and again after the end", () => {
    expect([null, 0, 2, 3].map((step) => nextStep(step, 4))).toEqual([0, 1, 3, 0]);
  });

  it("are put in words", () => {
    expect(stepText(at(1))).toBe("2 of 4 · on → the");
    expect(stepText(at(3))).toBe("4 of 4 · mat → …");
    expect(stepText(at(null))).toBe("4 tokens generated");
  });
});

describe("at a step", () => {
  it("the newest query is in question, unless one that is there is pinned", () => {
    expect(activeQuery(at(2)).query).toBe(5);
    expect(activeQuery(at(2, { query: 1 })).query).toBe(1);
    expect(activeQuery(at(2, { query: 6 })).query).toBe(5);
    expect(at(2, { key: 6 }).state.key).toBeNull();
  });

  it("rows that are not there yet are empty, all others exact", () => {
    const [some, all] = [at(1), at(null)];
    for (let query = 0; query < 7; query++) {
      const row = some.blocks.weights(0, 0).row(query);
      if (query < 5) expect(row).toEqual(all.blocks.weights(0, 0).row(query));
      else expect(row?.every((weight) => weight === 0)).toBe(true);
    }
    const whole = new Matrix(7, 7, new Float32Array(49).fill(0.5));
    const blocks = { ...all.blocks, tile: () => whole };
    const tile = blocksAtStep(blocks, some.generationStep).tile(0, 0, 0, [0, 0]);
    expect(tile?.row(4)).toEqual(whole.row(4));
    expect(tile?.row(5).every((weight) => weight === 0)).toBe(true);
    // Two queries to a cell: the third cell holds one that is there.
    const coarse = blocksAtStep(blocks, some.generationStep).tile(0, 0, 1, [0, 0]);
    expect(coarse?.row(2)).toEqual(whole.row(2));
    expect(coarse?.row(3).every((weight) => weight === 0)).toBe(true);
    expect(whole.row(5).every((weight) => weight === 0.5)).toBe(true);
  });

  it("rows that have not come are not empty but awaited", () => {
    const pending = at(1, {}, { blocks: "pending" });
    expect(pending.blocks.weights(0, 0).row(6)).toBeNull();
  });

  it("what is not there yet is nothing to point at", () => {
    const { generationStep } = at(1);
    expect(isThere(generationStep, { query: 4, key: 4 })).toBe(true);
    expect(isThere(generationStep, { query: 5 })).toBe(false);
    expect(isThere(generationStep, { key: 5 })).toBe(false);
    expect(isThere(null, { query: 6 })).toBe(true);
  });

  it.each(["lines", "matrix"] as const)("labels to come are faint in %s", (form) => {
    const faint = textsOf(at(1, { form })).filter(({ style }) => style?.opacity !== undefined);
    expect(faint.map(({ text }) => text)).toEqual(["the", "mat", "the", "mat"]);
    const none = textsOf(at(null, { form })).filter(({ style }) => style?.opacity);
    expect(none).toEqual([]);
  });

  it("nothing moves", () => {
    const heights = [null, 0, 1, 3].map((step) =>
      [400, 700, 1300].map((width) =>
        layoutViews(at(step), width).boxes.map(({ view, rect }) => [view.name, rect]),
      ),
    );
    for (const each of heights) expect(each).toEqual(heights[0]);
    for (const view of [headView, neuronView, modelView]) {
      const contents = [null, 0, 3].map((step) => view.contentHeight(at(step), 400, 500));
      expect(new Set(contents).size).toBe(1);
    }
  });
});

describe("next tokens", () => {
  it("are read row by row", () => {
    expect(candidates(GENERATION, 4)).toEqual([
      { label: "the", probability: 0.9, chosen: true },
      { label: "in", probability: 0.05, chosen: false },
    ]);
    expect(candidates(GENERATION, 2)).toEqual([]);
    expect(candidates(GENERATION, 7)).toEqual([]);
  });

  it("that came unexpectedly stand at the end of the list", () => {
    expect(candidates(GENERATION, 5)).toEqual([
      { label: "rug", probability: 0.5, chosen: false },
      { label: "mat", probability: 0.125, chosen: true },
    ]);
  });

  it("are those of the step, whatever is pinned; without a step those of the pinned query", () => {
    expect(expected(at(1, { query: 3 })).label).toBe("on");
    expect(expected(at(null, { query: 3 })).label).toBe("sat");
    expect(expected(at(null, { query: 1 })).label).toBe("mat");
    expect(expected(at(null)).list[0]?.label).toBe(".");
  });

  it("are drawn as bars in proportion, the chosen one bold", () => {
    const texts = textsOf(at(0), nextView, 420, 80);
    const words = texts.map(({ text }) => text);
    expect(words).toContain("0.750");
    expect(words[0]).toMatch(/^after “sat” · softmax of the model’s own logits/);
    const bold = texts.filter(({ style }) => style?.weight === "bold");
    expect(bold.map(({ text }) => text)).toEqual(["on", "0.750"]);
  });

  it("stand above the views, in figures too, and only where something was generated", () => {
    const scene = at(1);
    expect(layoutViews(scene, 900).boxes[0]?.view.name).toBe("next");
    expect(layoutViews(attentionScene(), 900).boxes.map(({ view }) => view.name)).not.toContain(
      "next",
    );
    expect(titleOf(scene, "next")).toBe("Next token · step 2 of 4");
    expect(composeSvg(scene, { width: 900 })).toContain(">Next token · step 2 of 4<");
  });
});
