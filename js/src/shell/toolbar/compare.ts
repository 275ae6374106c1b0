// Put the selected heads side by side with others.

import { html } from "lit-html";
import { compareSelected } from "../../state/actions.js";
import type { Control } from "./control.js";
import { drawsPinned } from "./drawn.js";

export const compare: Control = {
  name: "compare",
  group: "what",
  label: "side by side",
  rank: () => 15,
  // Elsewhere a click would pin heads that are not on show.
  shown: (scene) => !scene.sides && scene.state.measure !== "rollout" && drawsPinned(scene),
  draw: ({ state }, { change }) => html`<button
      type="button"
      class="aw-compare"
      title="Pin the selected heads side by side (C)"
      @click=${() => change(compareSelected(state))}
    >
      compare
    </button>`,
};
