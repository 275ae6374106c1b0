// `BarsMotion`: bars of what edits change go from what they were to what they are.

import type { Choice } from "../../protocol/generated.js";
import type { Bars, Moving } from "../../scene/edited.js";
import { barsOf, sameBars, startOf } from "../../views/what-if/motion.js";

export const MOTION_MS = 280;

/** What is known of the bars from one record to the next: each edit brings another. */
export class BarsMemory {
  /** What they come to be, null before the first frame; where they came from, and since when. */
  target: Bars | null = null;
  from: Bars | null = null;
  since = 0;
}

const memories = new WeakMap<object, BarsMemory>();

/** That of the edits of one widget. */
export function memoryOf(edits: object): BarsMemory {
  const known = memories.get(edits) ?? new BarsMemory();
  memories.set(edits, known);
  return known;
}

export interface MotionTargets {
  /** Whether the reader wants nothing to move. */
  still(): boolean;
  now(): number;
  /** Call at the next frame; returns what calls it off. */
  frame(draw: () => void): () => void;
  /** Draw the bars, and nothing else, where they are now; null at rest. */
  draw(moving: Moving | null): void;
}

/** Moves bars after a change, and leaves them exactly where they belong. */
export class BarsMotion {
  private cancel: (() => void) | null = null;

  constructor(
    private readonly memory: BarsMemory,
    private readonly targets: MotionTargets,
  ) {}

  /** Where the bars of a frame are; frames that move them follow by themselves. */
  next(list: readonly Choice[]): Moving | null {
    const { memory, targets } = this;
    const target = barsOf(list, null);
    const { target: before } = memory;
    if (before === null || list.length === 0 || targets.still()) {
      // Those of a page that opens, and of a reader who wants no motion, stand where they belong.
      memory.target = target;
      memory.from = null;
    } else if (!sameBars(before, target)) {
      const began = before.rows.size === 0 ? startOf(list) : this.shown(before);
      memory.target = target;
      memory.from = began;
      memory.since = targets.now();
    }
    return this.moving(list);
  }

  dispose(): void {
    this.cancel?.();
    this.cancel = null;
  }

  /** The bars as they were drawn last: a change may come while they still move. */
  private shown(target: Bars): Bars {
    const { from } = this.memory;
    const part = this.part();
    if (!from || part >= 1) return target;
    const list = [...target.rows].map(([label, pair]) => ({ label, ...pair }));
    return barsOf(list, { from, part });
  }

  private part(): number {
    return Math.max(0, Math.min(1, (this.targets.now() - this.memory.since) / MOTION_MS));
  }

  private moving(list: readonly Choice[]): Moving | null {
    this.dispose();
    const { memory } = this;
    const part = this.part();
    if (!memory.from || part >= 1) {
      memory.from = null;
      return null;
    }
    this.cancel = this.targets.frame(() => {
      this.cancel = null;
      this.targets.draw(this.moving(list));
    });
    return { from: memory.from, part };
  }
}
