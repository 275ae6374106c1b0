// Shading with or without the first token, where that takes most of the weight.

import { html } from "lit-html";
import type { Control } from "./control.js";

export const firstToken: Control = {
  name: "first-token",
  group: "what",
  label: "shading",
  rank: () => 35,
  // The neuron view shows every number as it is.
  shown: ({ stream, state }) => stream.sink !== undefined && state.view !== "neuron",
  size: ({ stream }) => String(Math.round(100 * (stream.sink?.share ?? 0))),
  draw: ({ stream, options }, events) => {
    const share = Math.round(100 * (stream.sink?.share ?? 0));
    return html`<button
      type="button"
      class="aw-sink"
      aria-pressed=${String(options.setSinkAside)}
      title="The first token takes ${share} % of all weight: shade without it. Numbers stay as they are."
      @click=${() => events.options({ setSinkAside: !options.setSinkAside })}
    >
      hide first token (${share} %)
    </button>`;
  },
};
