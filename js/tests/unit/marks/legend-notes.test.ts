import { expect, test } from "vitest";
import { fittedNotes, LEGEND_SIZE } from "../../../src/marks/legends/legend.js";
import { textWidth } from "../../../src/surface/text.js";

const NOTES = ["line: mean of a layer’s heads; band: their middle half", "of the whole generation"];

test("notes take as many lines as they need, and lose no word", () => {
  for (const width of [120, 180, 320, 900]) {
    const lines = fittedNotes(NOTES, width);
    expect(lines.join(" ")).toBe(NOTES.join(" "));
    for (const line of lines) expect(textWidth(line, LEGEND_SIZE)).toBeLessThanOrEqual(width);
  }
  expect(fittedNotes(NOTES, 900)).toEqual(NOTES);
  expect(fittedNotes(NOTES, 180).length).toBeGreaterThan(2);
});
