import { expect, test } from "vitest";
import { drawTrace, placeLabels, pointOf, type TracePath } from "../../../src/marks/trace.js";
import { themes } from "../../../src/styles/theme.js";
import { SvgSurface } from "../../../src/surface/svg.js";
import { RecordingSurface } from "../../support/recording-surface.js";

const FIELD = { x: 40, y: 10, width: 300, height: 90 };

function path(from: number, to: number, more: Partial<TracePath> = {}): TracePath {
  return {
    from: { x: from, y: 90 },
    to: { x: to, y: 20 },
    colour: "#2467a8",
    width: 3,
    drop: 0,
    dashed: false,
    label: "3.3 −5.0",
    ...more,
  };
}

test("a path runs from its key, below, to its query, above", () => {
  const one = path(60, 300, { drop: 4 });
  expect(pointOf(one, 0)).toEqual(one.from);
  expect(pointOf(one, 1)).toEqual(one.to);
  const { x, y } = pointOf(one, 0.5);
  expect(x).toBeCloseTo(180);
  // Half way up, and three quarters of what the middle is moved by.
  expect(y).toBeCloseTo(55 + 3);
});

test("what was cut is solid, an estimate is dashed", () => {
  const surface = new SvgSurface({ width: 400, height: 100 });
  const paths = [path(60, 300), path(60, 200, { dashed: true, colour: "#b8430c" })];
  drawTrace(surface, paths, [], themes.light);
  const drawn = [...surface.finish().matchAll(/<path [^>]*>/g)].map(([element]) => element);
  expect(drawn).toHaveLength(2);
  const of = (colour: string) => drawn.find((element) => element.includes(colour)) ?? "";
  expect(of("#2467a8")).not.toContain("stroke-dasharray");
  expect(of("#b8430c")).toContain("stroke-dasharray");
  // The largest, which is given first, lies on top.
  expect(drawn.at(-1)).toBe(of("#2467a8"));
});

test("labels lie inside and off each other, those of the first paths before the others", () => {
  const paths = Array.from({ length: 40 }, (_, at) =>
    path(50 + 2 * at, 250 + 2 * at, { label: `3.${at} +0.25` }),
  );
  const labels = placeLabels(paths, FIELD);
  expect(labels.length).toBeGreaterThan(3);
  expect(labels.length).toBeLessThan(paths.length);
  expect(labels[0]?.text).toBe("3.0 +0.25");
  for (const [at, { box }] of labels.entries()) {
    expect(box.x).toBeGreaterThanOrEqual(FIELD.x);
    expect(box.x + box.width).toBeLessThanOrEqual(FIELD.x + FIELD.width);
    expect(box.y).toBeGreaterThanOrEqual(FIELD.y);
    expect(box.y + box.height).toBeLessThanOrEqual(FIELD.y + FIELD.height);
    for (const other of labels.slice(at + 1)) {
      const across = Math.min(box.x + box.width, other.box.x + other.box.width);
      const down = Math.min(box.y + box.height, other.box.y + other.box.height);
      const overlap = Math.max(box.x, other.box.x) < across && Math.max(box.y, other.box.y) < down;
      expect(overlap).toBe(false);
    }
  }
});

test("a label at the edge is moved inside, and one that is wider than the field left out", () => {
  const [only] = placeLabels([path(339, 339)], FIELD);
  expect(only?.box.x).toBe(FIELD.x + FIELD.width - (only?.box.width ?? 0));
  expect(placeLabels([path(60, 300)], { ...FIELD, width: 20 })).toEqual([]);
});

test("a label has the colour of its path", () => {
  const surface = new RecordingSurface(400, 100);
  const paths = [path(60, 300, { colour: "#123456" })];
  drawTrace(surface, paths, placeLabels(paths, FIELD), themes.dark);
  expect(surface.texts).toEqual(["3.3 −5.0"]);
  const dots = surface.calls.filter(
    ({ kind, style }) => kind === "circle" && style?.fill === "#123456",
  );
  // At both ends of the path, and before the label.
  expect(dots).toHaveLength(3);
  expect(surface.broken).toEqual([]);
});
