import { expect, test } from "vitest";
import { ellipsize, printable, textWidth, wrapNote, wrapText } from "../../../src/surface/text.js";

test("widths follow the metrics of Helvetica, in proportion to the size", () => {
  expect(textWidth("cat", 10)).toBeCloseTo(10 * (0.5 + 0.556 + 0.278), 6);
  expect(textWidth("cat", 20)).toBeCloseTo(2 * textWidth("cat", 10), 6);
  expect(textWidth("cat", 10, "sans", "bold")).toBeGreaterThan(textWidth("cat", 10));
  expect(textWidth("il", 10, "mono")).toBe(textWidth("mw", 10, "mono"));
});

test("scripts beyond ASCII take the room they take", () => {
  expect(textWidth("猫", 10)).toBe(10);
  expect(textWidth("é", 10)).toBe(textWidth("e", 10));
  expect(textWidth("e\u0301", 10)).toBe(textWidth("e", 10));
  expect(textWidth("🐱", 10)).toBe(13);
});

test.each([5, 12, 25, 40, 80, 200])("what is cut fits %d pixels, and is cut no shorter", (room) => {
  const text = "antidisestablishmentarianism";
  const cut = ellipsize(text, room, 12);
  expect(textWidth(cut, 12)).toBeLessThanOrEqual(room);
  if (cut === text || cut === "") return;
  const kept = cut.length - 1;
  expect(text.startsWith(cut.slice(0, kept))).toBe(true);
  expect(textWidth(`${text.slice(0, kept + 1)}…`, 12)).toBeGreaterThan(room);
});

test("nothing is cut in the middle of a character", () => {
  const faces = "🐱🐱🐱🐱🐱🐱";
  for (let room = 12; room < 90; room++) {
    const cut = ellipsize(faces, room, 12);
    expect(cut.replace("…", "").length % 2).toBe(0);
  }
  expect(ellipsize("e\u0301e\u0301e\u0301e\u0301", 21, 12)).toMatch(/^(e\u0301)+…$/);
});

test("text that fits stays as it is, also when it is as wide as the room", () => {
  expect(ellipsize("cat", textWidth("cat", 12), 12)).toBe("cat");
});

test("what has no glyph or turns its surroundings round is spelled out", () => {
  expect(printable("a\nb\tc")).toBe("a↵b⇥c");
  expect(printable("\u0000\u001b")).toBe("␀␛");
  expect(printable("x\u202ey")).toBe("x⟨U+202E⟩y");
  expect(printable("\ud800z\uffff")).toBe("\ufffdz\ufffd");
  expect(printable("Ünïcödé 猫 🐱 العربية")).toBe("Ünïcödé 猫 🐱 العربية");
});

test("wrapped lines hold every word in order and fit", () => {
  const text = "The kernel has been restarted: run the cell again to attach the widget.";
  const lines = wrapText(text, 120, 12);
  expect(lines.length).toBeGreaterThan(2);
  expect(lines.join(" ")).toBe(text);
  for (const line of lines) expect(textWidth(line, 12)).toBeLessThanOrEqual(120);
  expect(wrapText("incomprehensibilities", 40, 12)[0]).toMatch(/…$/);
});

test("no line of a note begins or ends with the dot that divides its words", () => {
  const note = "wide words here · after the dot · and more of them";
  const widths = Array.from({ length: 60 }, (_, at) => 60 + 4 * at);
  const wrapped = widths.map((width) => wrapText(note, width, 11));
  // Without it some do.
  expect(wrapped.flat().some((line) => line.startsWith("·") || line.endsWith("·"))).toBe(true);
  for (const line of widths.flatMap((width) => wrapNote(note, width, 11)))
    expect(line).not.toMatch(/^·|·$/);
  expect(wrapNote(note, 900, 11)).toEqual([note]);
});
