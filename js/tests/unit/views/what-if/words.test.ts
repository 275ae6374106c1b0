import { expect, test } from "vitest";
import type { Intervention, WhatIf } from "../../../../src/protocol/generated.js";
import {
  changeTitle,
  editCaption,
  metricName,
  partName,
  partWords,
  whatIfWords,
} from "../../../../src/views/what-if/words.js";
import { attentionScene, WORDS } from "../../../support/attention-scene.js";
import { groupedScene } from "../../../support/grouped-scene.js";

const scene = attentionScene({ numLayers: 4, numHeads: 4 });
const [IT, CAT] = [WORDS.indexOf("it"), WORDS.indexOf("cat")];

const heads = (...ablate: [number, number][]): Intervention => ({
  ablate,
  how: "zero",
  stream: null,
  source: null,
});
const cut = (more: Record<string, unknown> = {}): Intervention =>
  ({
    cut: { query: IT, key: CAT },
    heads: [[3, 3]],
    layers: null,
    stream: null,
    renormalise: true,
    ...more,
  }) as Intervention;

const CHOICES = [
  { label: "was", before: 0.481, after: 0.298 },
  { label: "purred", before: 0.478, after: 0.003 },
  { label: "lay", before: 0.026, after: 0.626 },
];
const whatIf = (change: Partial<WhatIf> = {}): WhatIf => ({
  state: "done",
  message: "",
  at: "it",
  position: IT,
  kind: "token",
  metric: "log p(“was”)",
  before: Math.log(0.481),
  after: Math.log(0.298),
  kl: 2.5,
  choices: CHOICES,
  method: "recomputed exactly",
  edits: [cut()],
  ...change,
});
const sentence = (change: Partial<WhatIf> = {}, asked = false) => {
  const words = whatIfWords(scene, { whatIf: whatIf(change), asked });
  return words && `${words.lead}${words.said}`.replaceAll("\u00a0", " ");
};

test("a chip names what it takes away", () => {
  expect(partName(scene, heads([3, 3], [1, 2]))).toBe("− 3·3, 1·2");
  const without: Intervention = {
    remove_directions: [[0, 2]],
    vectors: [
      [1, 0],
      [0, 1],
    ],
    stream: null,
  };
  expect(partName(scene, without)).toBe("− 2 directions · 0·2");
  expect(partWords(scene, without)).toBe("2 directions of head 0·2");
  expect(partName(scene, { ...heads([3, 3]), how: "mean" } as Intervention)).toBe("− 3·3 (mean)");
  expect(partName(scene, cut())).toBe("it ✂ cat · 3·3");
  expect(partName(scene, cut({ heads: null, layers: [1, 2, 3] }))).toBe("it ✂ cat · layers 1–3");
  // As Python may name them: by text, from the end, and a list.
  expect(partName(scene, cut({ cut: { query: "it", key: [CAT, 3, 4] }, heads: null }))).toBe(
    "it ✂ cat, sat and 1 more",
  );
  expect(partName(scene, cut({ cut: { query: -1, key: 2 }, heads: null }))).toBe("tired ✂ cat");
  const hidden = cut({ cut: { query: null, key: CAT }, heads: null });
  expect(partName(scene, hidden)).toBe("hide “cat”");
  // What is not there is a number, and no error.
  expect(partName(scene, cut({ cut: { query: 99, key: CAT } }))).toBe("99 ✂ cat · 3·3");
});

test("a token of the input that is another one is no patched head", () => {
  const other: Intervention = { replace: "cat", with: " dog" };
  expect(partName(scene, other)).toBe("“dog” for “cat”");
  expect(partName(scene, { mask: -1 })).toBe(`a mask for token ${WORDS.length - 1}`);
  const words = whatIfWords(scene, { whatIf: whatIf({ edits: [other] }), asked: false });
  expect(words?.lead).toBe("With “dog” for “cat”");
});

test("all positions of a group are named by it", () => {
  const grouped = groupedScene({});
  const groups = grouped.stream.groupings?.flatMap((grouping) => grouping.groups) ?? [];
  const group = groups.find(({ name }) => name === "A");
  const key = group?.keys.flatMap(([from, to]) =>
    Array.from({ length: to - from }, (_, n) => from + n),
  );
  const part = cut({ cut: { query: null, key }, heads: null });
  expect(partName(grouped, part)).toBe("hide A");
});

test("the sentence says how far the model still expects what moved most of what it expected", () => {
  expect(sentence()).toBe(
    "Without “it” → “cat” in head 3·3 the model no longer expects “purred”: 0.478 → 0.003.",
  );
  expect(whatIfWords(scene, { whatIf: whatIf(), asked: false })?.note).toBe(
    "most likely now: “lay” 0.626",
  );
  const moved = (before: number, after: number) =>
    sentence({ choices: [{ label: "was", before, after }], edits: [heads([3, 1])] });
  expect(moved(0.5, 0.4)).toBe("Without head 3·1 the model expects “was” less: 0.500 → 0.400.");
  expect(moved(0.4, 0.5)).toContain("expects “was” more: 0.400 → 0.500.");
  expect(moved(0.4, 0.4001)).toContain("expects “was” as before:");
});

test("what somebody asked to be measured is what the sentence is about", () => {
  expect(sentence({}, true)).toContain("the model expects “was” less: 0.481 → 0.298.");
  const pair = { metric: "logit(“purred”) − logit(“barked”)", before: 7.85, after: -5.13 };
  expect(sentence(pair, true)).toBe(
    "Without “it” → “cat” in head 3·3, logit(“purred”) − logit(“barked”): 7.85 → −5.13.",
  );
});

test("a label is given, and an embedding is as similar as it is", () => {
  const choices = [{ label: "POSITIVE", before: 0.9, after: 0.02 }];
  expect(sentence({ kind: "label", choices, at: null })).toContain(
    "the model no longer gives “POSITIVE”: 0.900 → 0.020.",
  );
  const embedding: Partial<WhatIf> = { kind: "embedding", choices: [], before: 1, after: 0.912 };
  expect(sentence(embedding)).toContain("the embedding’s similarity to the one before is 0.912.");
  expect(changeTitle({ whatIf: whatIf(embedding) })).toBe("The embedding, before and after");
  expect(changeTitle({ whatIf: whatIf() })).toBe("What it expects after “it”");
});

test("several edits, other ways of knocking out, and no edit", () => {
  expect(sentence({ edits: [cut(), heads([2, 1])] })).toContain(
    "Without “it” → “cat” in head 3·3 and head 2·1",
  );
  expect(sentence({ edits: [cut(), heads([2, 1]), heads([0, 0])] })).toContain(
    "With these 3 edits",
  );
  const mean = { ...heads([3, 3]), how: "mean" } as Intervention;
  expect(sentence({ edits: [mean] })).toContain("With head 3·3 at the mean of other texts");
  const hidden = cut({ cut: { query: null, key: CAT }, heads: null });
  expect(sentence({ edits: [hidden] })).toContain("Without any attention to “cat”");
  expect(sentence({ edits: [] })).toBeNull();
});

test("a metric is named by its token, a figure by its edits", () => {
  expect(metricName("log p(“purred”)")).toBe("“purred”");
  expect(metricName("cosine to before")).toBe("cosine to before");
  const edited = { parts: [cut()], whatIf: null, effects: null, was: new Map(), asked: false };
  expect(editCaption({ ...scene, edited })).toBe("without “it” → “cat” in head 3·3");
  expect(editCaption(scene)).toBeNull();
  // A record that was made under edits has their calls; those of the view are said in words.
  const meta = { ...scene.meta, edits: ["ablate(heads=[(3, 3)])", "mask(3)"] };
  expect(editCaption({ ...scene, meta })).toBe("under ablate(heads=[(3, 3)]) + mask(3)");
  expect(editCaption({ ...scene, meta, edited })).toBe("without “it” → “cat” in head 3·3");
  const many = { ...meta, edits: ["ablate(heads=[(3, 3)])", "x".repeat(80)] };
  expect(editCaption({ ...scene, meta: many })).toHaveLength(66);
  expect(editCaption({ ...scene, meta: many })?.endsWith("x…")).toBe(true);
});
