import { expect, test } from "vitest";
import { readingPieces } from "../../../../src/data/text-pieces.js";
import { wordsOf } from "../../../../src/data/words.js";
import { placeLine } from "../../../../src/marks/text/bidi.js";
import {
  type Flow,
  flowText,
  lineCount,
  lineFragments,
} from "../../../../src/marks/text/text-flow.js";
import type { Position } from "../../../../src/protocol/generated.js";
import { findText } from "../../../../src/state/search.js";
import { textWidth } from "../../../../src/surface/text.js";

/** Pieces as a byte-level tokenizer has them: with their own spaces. */
const spaced = (...texts: string[]): Position[] =>
  texts.map((text) => ({ kind: "token", label: text.trim() || "␣", text }));
/** Pieces as WordPiece has them: without. */
const pieces = (...texts: string[]): Position[] =>
  texts.map((text) =>
    text.startsWith("##")
      ? { kind: "token", label: text.slice(2), text: text.slice(2), continues: true }
      : text.startsWith("[")
        ? { kind: "special", label: text, text }
        : { kind: "token", label: text, text },
  );
const read = (positions: readonly Position[]) =>
  readingPieces(positions)
    .map(({ gap, text }) => gap + text)
    .join("");

function flow(positions: readonly Position[], width = 200, rightToLeft = false): Flow {
  return flowText({ pieces: readingPieces(positions), width, marks: new Map(), rightToLeft });
}

/** What stands on each line, from the left. */
const linesOf = (of: Flow) =>
  Array.from({ length: lineCount(of) }, (_, line) =>
    [...lineFragments(of, line)].sort((a, b) => a.x - b.x).map(({ text }) => text),
  );

function expectInside(of: Flow): void {
  for (let line = 0; line < lineCount(of); line++) {
    let end = 0;
    for (const { x, width, kind } of [...lineFragments(of, line)].sort((a, b) => a.x - b.x)) {
      expect(x).toBeGreaterThanOrEqual(end - 0.01);
      end = x + width;
      if (kind !== "return") expect(end).toBeLessThanOrEqual(of.width + 0.01);
    }
  }
}

test("text reads as it was written, whether its pieces kept their spaces or not", () => {
  expect(read(spaced("The", " cat", " sat", ",", " un", "believ", "able"))).toBe(
    "The cat sat, unbelievable",
  );
  const bert = pieces("[CLS]", "the", "cat", "'", "s", "un", "##believ", "##able", ".", "[SEP]");
  expect(read(bert)).toBe("[CLS] the cat's unbelievable. [SEP]");
  expect(read([])).toBe("");
});

test("lines end between words and never within the width of one", () => {
  const text = spaced("alpha", " beta", " gam", "ma", " delta", " eps", "ilon", " zeta");
  for (let width = 60; width < 260; width += 7) {
    const made = flow(text, width);
    expectInside(made);
    // Every piece of a word stands on the line of the one before.
    for (const [first, second] of [
      [2, 3],
      [5, 6],
    ] as const) {
      const lines = linesOf(made);
      const line = (index: number) =>
        lines.findIndex((_, n) => lineFragments(made, n).some((f) => f.index === index));
      expect(line(first)).toBe(line(second));
    }
  }
});

test("newlines end lines, are shown, and an empty line stays empty", () => {
  const made = flow(spaced("one", " two", ".\n", "\n", "    three", "\n\n", "four"));
  expect(linesOf(made)).toEqual([["one", "two", ".", "↵"], ["↵"], ["three", "↵"], [], ["four"]]);
  // Indented code stays indented; a word after a wrap is not.
  expect(lineFragments(made, 2)[0]?.x).toBeCloseTo(4 * textWidth(" ", 14));
});

test("a token of ten thousand characters is broken at the width, and every part is its own", () => {
  const long = "x".repeat(10_000);
  const made = flow(spaced("a", ` ${long}`, " b"), 300);
  expectInside(made);
  const parts = made.fragments.filter(({ index }) => index === 1);
  expect(parts.length).toBeGreaterThan(200);
  expect(parts.map(({ text }) => text).join("")).toBe(long);
  expect(made.fragments[made.first[2] as number]?.text).toBe("b");
});

test("signs of several characters stay whole when a long token is broken", () => {
  const family = "👩‍👩‍👧";
  const made = flow(spaced(family.repeat(30)), 90);
  expectInside({ ...made, width: made.width + 40 });
  for (const { text } of made.fragments) {
    expect(text.startsWith("\u200d")).toBe(false);
    expect(text.endsWith("\u200d")).toBe(false);
  }
  expect(made.fragments.map(({ text }) => text).join("")).toBe(family.repeat(30));
});

test("an empty text has no fragments; a token of nothing can still be pointed at", () => {
  expect(lineCount(flow([]))).toBe(1);
  const made = flow([
    { kind: "token", label: "∅", text: "" },
    { kind: "token", label: "␣", text: "  " },
    { kind: "token", label: "x", text: "x" },
  ]);
  expect(Array.from(made.first)).not.toContain(-1);
  for (const { width } of made.fragments) expect(width).toBeGreaterThanOrEqual(4);
});

test("patches are cells in the text, and bytes that are no character show their label", () => {
  const made = flow([
    { kind: "patch", label: "r0c0", row: 0, column: 0 },
    { kind: "patch", label: "r0c1", row: 0, column: 1 },
    { kind: "token", label: "⟨f0 9f⟩", text: "\ufffd" },
  ]);
  expect(made.fragments.map(({ text, kind }) => [text, kind])).toEqual([
    ["", "cell"],
    ["", "cell"],
    ["⟨f0 9f⟩", "small"],
  ]);
});

test("Hebrew stands from the right, numbers and Latin words inside it from the left", () => {
  const hebrew = spaced("שלום", " עולם", " hello", " there", " סוף");
  const made = flow(hebrew, 400);
  expect(linesOf(made)).toEqual([["סוף", "hello", "there", "עולם", "שלום"]]);
  const last = lineFragments(made, 0)[0];
  expect((last?.x ?? 0) + (last?.width ?? 0)).toBeCloseTo(400);
  expectInside(made);
  // In an English sentence only the Hebrew words change places.
  const english = flow(spaced("say", " שלום", " עולם", " now"), 400);
  expect(linesOf(english)).toEqual([["say", "עולם", "שלום", "now"]]);
  expect(lineFragments(english, 0)[0]?.x).toBe(0);
});

test("pieces of an Arabic word keep the shapes that they have in it", () => {
  const made = flow(spaced("سلا", "م", " عليكم"));
  expect(made.fragments.map(({ text }) => text)).toEqual(["سلا\u200d", "\u200dم", "عليكم"]);
});

test("the space between two boxes is between them, whichever stands first", () => {
  const box = (text: string) => ({ text, gap: 4, width: 10 });
  const boxes = [{ ...box("אב"), gap: 0 }, box("cd"), box("ef"), box("גד")];
  const places = placeLine(boxes, 60, true);
  expect(places).toEqual([50, 22, 36, 8]);
});

test("32,768 tokens are laid out in one pass that grows with them", () => {
  const words = "the cat sat on a mat because it was tired of words".split(" ");
  const texts = Array.from({ length: 32_768 }, (_, n) => ` ${words[(n * 7) % words.length]}`);
  const made = flow(spaced(...texts), 600);
  expect(made.first.length).toBe(32_768);
  expect(made.fragments.length).toBe(32_768);
  const beyond = made.fragments.filter(({ x, width }) => x + width > made.width + 0.01);
  expect(beyond).toEqual([]);
});

test("a search crosses the borders of tokens, in any case, with any amount of space", () => {
  const text = spaced("The", " cat", " un", "believ", "able", ".\n", "The", " CAFE\u0301");
  expect(findText(text, "unbelievable")).toEqual([{ first: 2, last: 4 }]);
  expect(findText(text, "CAT UNB")).toEqual([{ first: 1, last: 3 }]);
  expect(findText(text, "cat  un")).toEqual([{ first: 1, last: 2 }]);
  expect(findText(text, ". the")).toEqual([{ first: 5, last: 6 }]);
  expect(findText(text, "the")).toEqual([
    { first: 0, last: 0 },
    { first: 6, last: 6 },
  ]);
  expect(findText(text, "café")).toEqual([{ first: 7, last: 7 }]);
  expect(findText(text, " cat")).toEqual([{ first: 1, last: 1 }]);
  for (const none of ["", "  ", "dog", ".*", "<b>"]) expect(findText(text, none)).toEqual([]);
});

test("WordPiece's pieces are found as they read, and words as one", () => {
  const bert = pieces("[CLS]", "it", "is", "un", "##believ", "##able", "!", "[SEP]");
  expect(findText(bert, "unbelievable!")).toEqual([{ first: 3, last: 6 }]);
  expect(findText(bert, "is un")).toEqual([{ first: 2, last: 3 }]);
  const words = wordsOf(bert)?.positions ?? [];
  expect(read(words)).toBe("[CLS] it is unbelievable! [SEP]");
  expect(findText(words, "believ")).toEqual([{ first: 3, last: 3 }]);
});
