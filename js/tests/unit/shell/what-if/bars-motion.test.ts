import { expect, test } from "vitest";
import type { Choice } from "../../../../src/protocol/generated.js";
import type { Moving } from "../../../../src/scene/edited.js";
import {
  BarsMemory,
  BarsMotion,
  MOTION_MS,
  memoryOf,
} from "../../../../src/shell/what-if/bars-motion.js";
import { barsOf } from "../../../../src/views/what-if/motion.js";

const FIRST: readonly Choice[] = [
  { label: "was", before: 0.5, after: 0.25 },
  { label: "lay", before: 0.125, after: 0.625 },
];
const SECOND: readonly Choice[] = [
  { label: "was", before: 0.5, after: 0.75 },
  { label: "sat", before: 0.0625, after: 0.125 },
];

/** A clock and frames that the test moves on; `drawn` has what was drawn since it was looked at. */
function motion(memory = new BarsMemory(), still = false) {
  const world = { now: 1000, due: null as (() => void) | null, drawn: [] as (Moving | null)[] };
  const bars = new BarsMotion(memory, {
    still: () => still,
    now: () => world.now,
    frame: (draw) => {
      world.due = draw;
      return () => {
        world.due = null;
      };
    },
    draw: (moving) => world.drawn.push(moving),
  });
  const advance = (ms: number) => {
    world.now += ms;
    const { due } = world;
    world.due = null;
    due?.();
  };
  return { bars, world, advance, memory };
}
const after = (list: readonly Choice[], moving: Moving | null, label: string) =>
  barsOf(list, moving).rows.get(label)?.after;

test("bars of a page that opens stand where they belong", () => {
  const { bars, world } = motion();
  expect(bars.next(FIRST)).toBe(null);
  expect(world.due).toBe(null);
});

test("bars of the first edit begin as before it, and end exactly where they belong", () => {
  const { bars, world, advance } = motion();
  expect(bars.next([])).toBe(null);
  const begin = bars.next(FIRST);
  expect(begin?.part).toBe(0);
  expect([after(FIRST, begin, "was"), after(FIRST, begin, "lay")]).toEqual([0.5, 0.125]);
  advance(MOTION_MS / 2);
  const half = world.drawn.at(-1) ?? null;
  expect(half?.part).toBeCloseTo(0.5);
  expect(after(FIRST, half, "was")).toBeLessThan(0.5);
  expect(after(FIRST, half, "was")).toBeGreaterThan(0.25);
  advance(MOTION_MS);
  expect(world.drawn.at(-1)).toBe(null);
  expect(barsOf(FIRST, null)).toEqual({
    rows: new Map(FIRST.map(({ label, ...pair }) => [label, pair])),
    end: 0.625,
  });
  // Nothing is due any more, and another frame of the page moves nothing.
  expect(world.due).toBe(null);
  expect(bars.next(FIRST)).toBe(null);
});

test("another edit moves bars on from where they are, also those of another record's page", () => {
  const { bars, advance, world, memory } = motion();
  bars.next([]);
  bars.next(FIRST);
  advance(MOTION_MS / 2);
  const seen = after(FIRST, world.drawn.at(-1) ?? null, "was");
  bars.dispose();
  expect(world.due).toBe(null);
  const next = motion(memory);
  next.world.now = world.now;
  const begin = next.bars.next(SECOND);
  expect(begin?.part).toBe(0);
  expect(after(SECOND, begin, "was")).toBeCloseTo(seen ?? -1);
  // A choice that was not there begins as it was before the edits.
  expect(after(SECOND, begin, "sat")).toBe(0.0625);
  expect(barsOf(SECOND, begin).end).toBeGreaterThan(0.5);
});

test("nothing moves for a reader who wants no motion, nor when the bars go", () => {
  const { bars, world } = motion(new BarsMemory(), true);
  bars.next([]);
  expect(bars.next(FIRST)).toBe(null);
  expect(bars.next(SECOND)).toBe(null);
  expect(world.due).toBe(null);
  const moving = motion();
  moving.bars.next(FIRST);
  expect(moving.bars.next([])).toBe(null);
});

test("each widget remembers its own bars", () => {
  const [one, other] = [{}, {}];
  expect(memoryOf(one)).toBe(memoryOf(one));
  expect(memoryOf(one)).not.toBe(memoryOf(other));
});
