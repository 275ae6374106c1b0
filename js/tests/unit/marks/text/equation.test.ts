import { expect, test } from "vitest";
import {
  equationLines,
  equationTerms,
  equationText,
  placeTerms,
} from "../../../../src/marks/text/equation.js";
import type { LayerMeta } from "../../../../src/protocol/generated.js";
import { focusTerms, readNeuron } from "../../../../src/views/neuron/data.js";
import { attentionScene } from "../../../support/attention-scene.js";

const given = {
  dot: 12.31,
  scaling: 0.125,
  softcap: null,
  bias: undefined,
  score: 1.53875,
  weight: 0.634,
  numKeys: 9,
  sink: null,
} as const;

test("only the terms that the layer has", () => {
  const words = (terms: ReturnType<typeof equationTerms>) =>
    terms.map(({ operator, caption, text }) => `${operator}${caption}:${text}`);
  expect(words(equationTerms(given))).toEqual([
    "q · k:12.31",
    "×scaling:0.125",
    "=score:1.54",
    "→softmax over 9 keys:0.634",
  ]);
  expect(words(equationTerms({ ...given, scaling: null, score: 12.31, numKeys: 1 }))).toEqual([
    "q · k = score:12.31",
    "→softmax over 1 key:0.634",
  ]);
  const full = { ...given, softcap: 50, bias: -0.3, score: 1.2382, sink: 0.41 };
  expect(words(equationTerms(full))).toEqual([
    "q · k:12.31",
    "×scaling:0.125",
    "=scaled:1.54",
    "→softcap 50:1.54",
    "+bias:−0.30",
    "=score:1.24",
    "→softmax over 9 keys (+ sink 0.41):0.634",
  ]);
  expect(equationText(equationTerms(given))).toBe(
    "q · k 12.31 × scaling 0.125 = score 1.54 → softmax over 9 keys 0.634",
  );
});

test("a masked key says so instead of a score", () => {
  const masked = { ...given, score: Number.NEGATIVE_INFINITY, weight: 0 };
  const terms = equationTerms(masked);
  expect(terms).toHaveLength(equationTerms(given).length);
  expect(terms.slice(-2).map(({ text }) => text)).toEqual(["−∞", "0"]);
  expect(terms.at(-2)?.caption).toBe("mask");
  const biased = equationTerms({ ...masked, bias: Number.NEGATIVE_INFINITY });
  expect(biased.slice(-3).map(({ caption }) => caption)).toEqual([
    "mask",
    "score",
    "softmax over 9 keys",
  ]);
});

test("what is not here yet is an ellipsis, not a zero", () => {
  const terms = equationTerms({ ...given, dot: null, score: null, weight: null, bias: null });
  expect(terms.map(({ text }) => text)).toEqual(["…", "0.125", "…", "…", "…", "…"]);
});

const layers: readonly [string, Partial<LayerMeta>][] = [
  ["plain", {}],
  ["no scaling", { scaling: null }],
  ["causal window", { causal: true, window: 4 }],
  ["everything", { softcap: 2, bias: true, sinks: [0.41, -1, 2], causal: true }],
];

test.each(layers)(
  "%s: the terms give the recorded score, and softmax of it the weight",
  (_, layer) => {
    for (const head of [0, 2]) {
      const scene = attentionScene({ layer, state: { heads: [head], query: 6 } });
      const { scores, weights } = scene.heads(0, head);
      for (let key = 0; key < scene.keys.length; key++) {
        const pinned = { ...scene, state: { ...scene.state, key } };
        const data = readNeuron(pinned);
        const terms = focusTerms(pinned, data);
        let value = 0;
        for (const { operator, caption, value: term } of terms.slice(0, -1)) {
          if (operator === "") value = term ?? Number.NaN;
          else if (operator === "×") value *= term ?? Number.NaN;
          else if (operator === "+") value += term ?? Number.NaN;
          else if (operator === "→") {
            value = (layer.softcap ?? 0) * Math.tanh(value / (layer.softcap ?? 0));
            expect(term).toBeCloseTo(value, 10);
          } else if (caption === "scaled") expect(term).toBeCloseTo(value, 10);
        }
        const score = scores.row(6)[key] as number;
        if (score === Number.NEGATIVE_INFINITY) expect(value).toBe(score);
        else expect(value).toBeCloseTo(score, 4);
        const sum = Array.from(scores.row(6)).reduce((total, s) => total + Math.exp(s), 0);
        const sink = layer.sinks ? Math.exp(layer.sinks[head] as number) : 0;
        expect(terms.at(-1)?.value).toBe(weights.row(6)[key]);
        expect(terms.at(-1)?.value).toBeCloseTo(Math.exp(value) / (sum + sink), 5);
      }
    }
  },
);

test("terms wrap inside the width, in order, and never overlap", () => {
  const terms = equationTerms({ ...given, softcap: 50, bias: -0.3, sink: 0.41 });
  expect(equationLines(terms, 1200)).toBe(1);
  expect(equationLines(terms, 330)).toBeGreaterThan(1);
  const places = placeTerms(terms, 330);
  places.forEach(({ x, line, width }, i) => {
    expect(x + width).toBeLessThanOrEqual(330);
    const before = places[i - 1];
    if (before && before.line === line) expect(x).toBeGreaterThan(before.x + before.width);
    else if (before) expect(line).toBe(before.line + 1);
  });
});
