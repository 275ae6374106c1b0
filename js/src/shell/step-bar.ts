// Controls of a generation: play, slider, the step in words.

import { html, nothing, type TemplateResult } from "lit-html";
import { numSteps } from "../data/meta.js";
import type { Scene } from "../scene/scene.js";
import { expected } from "../views/next-token/view.js";

export interface StepEvents {
  step(step: number | null): void;
  /** Null where nothing plays by itself: the reader wants things to stand still. */
  readonly play: (() => void) | null;
}

/** How far a replay has come; the place where it starts anew when it is at its end. */
export function nextStep(step: number | null, steps: number): number {
  return step === null || step + 1 >= steps ? 0 : step + 1;
}

/** What a step is, in words: "3 of 6 · it → was". */
export function stepText(scene: Scene): string {
  const { state, meta } = scene;
  const steps = numSteps(meta);
  if (state.step === null) return steps === 1 ? "1 token generated" : `${steps} tokens generated`;
  const { label, list } = expected(scene);
  const chosen = list.find((candidate) => candidate.chosen);
  return `${state.step + 1} of ${steps} · ${label} → ${chosen?.label ?? "…"}`;
}

/** The replay of a generation: play, a slider over its steps, and everything at once. */
export function stepBar(
  scene: Scene,
  playing: boolean,
  { step, play }: StepEvents,
): TemplateResult | typeof nothing {
  const { meta, state } = scene;
  const steps = numSteps(meta);
  if (steps === 0) return nothing;
  const set = (event: Event) => step(Number((event.target as HTMLInputElement).value));
  const text = stepText(scene);
  return html`<div class="aw-steps" role="group" aria-label="Generation">
    ${
      play &&
      html`<button
        type="button"
        class="aw-play"
        aria-label=${playing ? "Pause" : "Play the generation"}
        title=${playing ? "Pause" : "Play the generation, token by token"}
        @click=${play}
      >
        ${playing ? "❚❚" : "▶"}
      </button>`
    }
    <span class="aw-label">step</span>
    <input
      type="range"
      class="aw-step"
      min="0"
      max=${steps - 1}
      aria-label="Step"
      aria-valuetext=${text}
      .value=${String(state.step ?? steps - 1)}
      @input=${set}
    />
    <button
      type="button"
      class="aw-every"
      aria-pressed=${String(state.step === null)}
      title="Show all of the generation"
      @click=${() => step(state.step === null ? 0 : null)}
    >
      all
    </button>
    <span class="aw-step-text">${text}</span>
  </div>`;
}
