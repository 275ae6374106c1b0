import { expect, test } from "vitest";
import {
  equationTerms,
  equationText,
  pieceLines,
  placePieces,
  scorePieces,
  weightPieces,
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

test("a line says the sum, what it is divided by, and the score", () => {
  const say = (pieces: readonly { text: string }[]) => pieces.map(({ text }) => text).join(" ");
  const link = { dot: -12.41, scaling: 1 / Math.sqrt(32), softcap: null, bias: undefined };
  const known = { ...link, score: -2.194, weight: 0.9994, numKeys: 9, sink: null };
  expect(say(scorePieces(known, 32))).toBe("sum −12.41 ÷ √32 = −2.19");
  // Another factor than the usual one is said as it is.
  expect(say(scorePieces({ ...known, scaling: 0.25 }, 32))).toBe("sum −12.41 × 0.25 = −3.10");
  const capped = { ...known, scaling: 0.25, softcap: 50, bias: 0.5, score: -2.6 };
  expect(say(scorePieces(capped, 32))).toBe(
    "sum −12.41 × 0.25 = −3.10 → softcap 50 −3.10 + bias 0.50 = −2.60",
  );
  expect(say(weightPieces(known))).toBe("e^score 0.1115 ÷ 0.1115 over 9 keys = 0.999");
  expect(say(weightPieces({ ...known, numKeys: 1, weight: 0.25, sink: 0.4 }))).toBe(
    "e^score 0.1115 ÷ 0.4459 over 1 key and the sink = 0.250",
  );
});

test("powers that no number holds are left out, and nothing is made up while numbers are missing", () => {
  const link = { dot: 1, scaling: null, softcap: null, bias: undefined, numKeys: 3, sink: null };
  const texts = (score: number | null, weight: number | null) =>
    weightPieces({ ...link, score, weight }).map(({ text }) => text);
  expect(texts(800, 0.5)).toEqual(["e^score, as a share of 3 keys", "=", "0.500"]);
  expect(texts(Number.NEGATIVE_INFINITY, 0)).toEqual(["e^score, as a share of 3 keys", "=", "0"]);
  expect(texts(-20, 0.5)).toContain("2.061e−9");
  expect(texts(null, null)).toEqual([]);
});

test("pieces wrap inside the width, in order, an operation with what it is done to", () => {
  const pieces = scorePieces({ ...given, softcap: 50, bias: -0.3, sink: 0.41 }, 64);
  expect(pieceLines(pieces, 1200)).toBe(1);
  expect(pieceLines(pieces, 200)).toBeGreaterThan(1);
  const places = placePieces(pieces, 200);
  places.forEach(({ x, line }, i) => {
    const [before, piece] = [places[i - 1], pieces[i]];
    if (before?.line === line) expect(x).toBeGreaterThan(before.x);
    else if (before) expect([x, line]).toEqual([0, before.line + 1]);
    const next = places[i + 1];
    if (piece?.role === "muted" && next) expect(next.line).toBe(line);
  });
});
