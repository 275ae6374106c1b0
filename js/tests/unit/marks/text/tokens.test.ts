import { expect, test } from "vitest";
import { quotedPair } from "../../../../src/marks/text/tokens.js";
import { textWidth } from "../../../../src/surface/text.js";

const LONG = "an-extraordinarily-long-token-that-never-ends";

test("two labels are said whole where there is room", () => {
  expect(quotedPair("the", " → ", "cat", 400)).toBe("“the” → “cat”");
});

test("of two labels the longer one is cut, and neither is lost", () => {
  expect(quotedPair("cat", " → ", LONG, 160)).toMatch(/^“cat” → “an-ex.*…”$/);
  expect(quotedPair(LONG, " → ", "cat", 160)).toMatch(/^“an-ex.*…” → “cat”$/);
  expect(quotedPair(LONG, " → ", LONG, 160)).toMatch(/^“an-.*…” → “an-.*…”$/);
});

test.each([60, 160, 300])("what is said fits %d pixels", (room) => {
  for (const [from, to] of [
    [LONG, LONG],
    ["cat", LONG],
    [LONG, "cat"],
  ] as const) {
    expect(textWidth(quotedPair(from, " → ", to, room), 12)).toBeLessThanOrEqual(room);
  }
});
