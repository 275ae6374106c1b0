// Put the selected heads side by side with others.

import { html } from "lit-html";
import { compareSelected } from "../../state/actions.js";
import type { Control } from "./control.js";

export const compare: Control = {
  name: "compare",
  group: "what",
  label: "side by side",
  rank: () => 15,
  shown: ({ sides, state }) => !sides && state.measure !== "rollout",
  draw: ({ state }, { change }) => html`<button
      type="button"
      class="aw-compare"
      title="Pin the selected heads side by side (C)"
      @click=${() => change(compareSelected(state))}
    >
      compare
    </button>`,
};
