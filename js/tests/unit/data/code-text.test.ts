import { expect, test } from "vitest";
import { isCode } from "../../../src/data/code-text.js";
import { readingPieces } from "../../../src/data/text-pieces.js";
import { flowText } from "../../../src/marks/text/text-flow.js";
import type { Position } from "../../../src/protocol/generated.js";
import { textWidth } from "../../../src/surface/text.js";
import { headView } from "../../../src/views/head/view.js";
import { attentionScene } from "../../support/attention-scene.js";
import { RecordingSurface } from "../../support/recording-surface.js";

/** As a tokenizer that keeps white space cuts a text. */
const cut = (text: string): readonly Position[] =>
  (text.match(/\n|[ \t]+(?=[ \t])|[ \t]?[^\s]+|[ \t]/g) ?? []).map((piece) => ({
    label: piece,
    text: piece,
    kind: "token",
  }));

const PYTHON = "def double(x):\n    y = 2 * x\n    return y\n\nprint(double(4))\n";

test.each([
  ["Python", PYTHON],
  ["JavaScript", "function f(a) {\n  const b = a + 1;\n  return b;\n}\n"],
  ["C with tabs", "int main(void) {\n\tint a = 1;\n\treturn a;\n}\n"],
])("%s is code", (_, text) => {
  expect(
    readingPieces(cut(text))
      .map(({ gap, text }) => gap + text)
      .join(""),
  ).toBe(text);
  expect(isCode(cut(text))).toBe(true);
});

test.each([
  ["a sentence", "The cat sat on the mat because it was tired."],
  ["paragraphs", "The cat sat.\nIt was tired (very tired).\n\nThen it slept; nobody knew why.\n"],
  ["a list", "To buy:\n  bread\n  milk\n  two apples\n"],
  ["a formula in prose", "Now let x = 4 be given.\nThen x is even.\nSo is its square.\n"],
  ["one line of code", "y = 2 * x"],
  ["a dialogue", "user: what is red?\nassistant: the cat is.\n"],
  ["nothing", ""],
])("%s is not", (_, text) => {
  expect(isCode(cut(text))).toBe(false);
});

test("code is set in letters of one width, its lines as they were written", () => {
  const positions = cut(PYTHON);
  const pieces = readingPieces(positions);
  const flow = flowText({
    pieces,
    width: 600,
    marks: new Map(),
    rightToLeft: false,
    family: "mono",
  });
  const y = flow.fragments.find(({ text }) => text === "y");
  const back = flow.fragments.find(({ text }) => text === "return");
  expect(y?.x).toBe(back?.x);
  expect(y?.x).toBeCloseTo(4 * textWidth(" ", flow.size.words, "mono"), 6);
  for (const { text, width, kind } of flow.fragments) {
    if (kind === "text" && text !== "") {
      expect(width).toBeCloseTo(text.length * 0.602 * flow.size.words, 6);
    }
  }
});

test("the text form of code is drawn so, of prose not", () => {
  const families = (text: string) => {
    const positions = cut(text);
    const labels = positions.map(({ label }) => label);
    const scene = attentionScene({ queries: labels, headDim: 4, state: { form: "text" } });
    const surface = new RecordingSurface(600, 400);
    const shown = { ...scene, queries: positions, keys: positions };
    headView.draw(surface, shown, { width: 600, height: 400, scroll: 0 });
    const words = surface.calls.filter(({ text }) => text === "print(double(4))" || text === "cat");
    return words.map(({ style }) => (style as { family?: string }).family);
  };
  expect(new Set(families(PYTHON))).toContain("mono");
  expect(families("the cat sat on the mat")).toContain("sans");
});
