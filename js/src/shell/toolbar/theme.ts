// Colours: those of the notebook, or always light or dark.

import { html } from "lit-html";
import type { Control } from "./control.js";
import { segments } from "./parts.js";

const THEMES = ["auto", "light", "dark"] as const;

export const theme: Control = {
  name: "theme",
  group: "what",
  label: "theme",
  rank: () => 0,
  draw: ({ state }, { change }) =>
    segments(
      "Theme",
      THEMES.map(
        (value) => html`<button
          type="button"
          data-theme-choice=${value}
          aria-pressed=${String(state.theme === value)}
          title=${value === "auto" ? "As the notebook is" : `Always ${value}`}
          @click=${() => change({ theme: value })}
        >
          ${value}
        </button>`,
      ),
    ),
};
