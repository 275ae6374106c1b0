// Open the help.

import { html } from "lit-html";
import type { Control } from "./control.js";

export const helpButton: Control = {
  name: "help",
  group: "out",
  rank: () => Number.POSITIVE_INFINITY,
  draw: (_scene, events) => html`<button
    type="button"
    class="aw-help-button"
    aria-label="Help"
    title="Keys and clicks ( ? )"
    @click=${events.help}
  >
    ?
  </button>`,
};
