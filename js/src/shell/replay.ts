// Timer that plays a generation step by step.

import { numSteps } from "../data/meta.js";
import type { WidgetState } from "../state/signals.js";
import { nextStep, type StepEvents } from "./step-bar.js";

/** A replay is for reading along. */
const STEP_MS = 900;

/** Plays a generation step by step. */
export class Replay {
  private timer = 0;

  constructor(
    private readonly state: WidgetState,
    private readonly change: (change: { step: number | null }) => void,
    private readonly redraw: () => void,
  ) {}

  get playing(): boolean {
    return this.timer !== 0;
  }

  get events(): StepEvents {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    return {
      step: (step) => {
        this.pause();
        this.change({ step });
      },
      play: still ? null : () => (this.playing ? this.pause() : this.play()),
    };
  }

  dispose(): void {
    clearInterval(this.timer);
  }

  private play(): void {
    const { meta, shared } = this.state;
    const steps = numSteps(meta);
    const next = () => {
      const step = nextStep(shared.step.peek(), steps);
      this.change({ step });
      if (step + 1 === steps) this.pause();
    };
    this.timer = window.setInterval(next, STEP_MS);
    next();
  }

  private pause(): void {
    clearInterval(this.timer);
    this.timer = 0;
    this.redraw();
  }
}
