import { expect, test } from "vitest";
import { wholeCells } from "../../../../src/marks/matrix/cells.js";
import { drawRowLabels } from "../../../../src/marks/matrix/matrix-labels.js";
import type { Position } from "../../../../src/protocol/generated.js";
import { themes } from "../../../../src/styles/theme.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const SIZE = 11;
const COUNT = 800;
const cells = wholeCells({ x: 60, y: 30, width: 300, height: 280 }, COUNT, COUNT);

function labels(pinned: readonly number[]) {
  const positions = Array.from(
    { length: COUNT },
    (_, index) => ({ label: `word ${index}`, kind: "text" }) as unknown as Position,
  );
  const surface = new RecordingSurface(400, 340);
  const axis = { positions, hovered: null, pinned, size: SIZE, room: 60, byLabel: false };
  drawRowLabels(surface, cells, axis, themes.light);
  return surface.calls
    .filter(({ kind }) => kind === "text")
    .map(({ numbers, text }) => ({ y: numbers[1] as number, text }));
}

test("labels of the first and the last of many low rows are not cut at the edge of the picture", () => {
  const found = labels([0, COUNT - 1]);
  const { y, height } = cells.rect;
  for (const each of found) {
    expect(each.y).toBeGreaterThanOrEqual(y + SIZE / 2);
    expect(each.y).toBeLessThanOrEqual(y + height - SIZE / 2);
  }
  expect(found.map(({ text }) => text)).toEqual(
    expect.arrayContaining(["word 0", `word ${COUNT - 1}`]),
  );
});

test("no index stands on the label of a pinned row", () => {
  const found = labels([COUNT - 1, 402]).map(({ y }) => y);
  const sorted = found.toSorted((a, b) => a - b);
  sorted.slice(1).forEach((y, n) => {
    expect(y - (sorted[n] ?? 0)).toBeGreaterThanOrEqual(SIZE);
  });
});
