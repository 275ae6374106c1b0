// Open the search of a text, and search among the contexts of a survey.

import { html } from "lit-html";
import { hasContexts } from "../../views/survey/contexts.js";
import type { Control } from "./control.js";
import { drawsTokens } from "./drawn.js";

export const search: Control = {
  name: "search",
  group: "out",
  label: "search",
  rank: () => 20,
  // A survey’s thumbnails have no text beside them.
  shown: drawsTokens,
  draw: (_scene, events) => html`<button
    type="button"
    class="aw-search-button"
    aria-label="Search"
    title="Search the text ( / )"
    @click=${events.search}
  >
    <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
      <circle cx="6.5" cy="6.5" r="4.5" fill="none" stroke="currentColor" stroke-width="1.6" />
      <path d="M10 10l4.5 4.5" stroke="currentColor" stroke-width="1.8" />
    </svg>
  </button>`,
};

/** Search among the contexts of a survey. */
export const contexts: Control = {
  name: "contexts",
  group: "out",
  label: "contexts with",
  rank: () => 30,
  shown: (scene) => hasContexts(scene) && scene.state.heads.length > 0,
  draw: ({ options }, { containing }) => html`<input
    type="search"
    class="aw-ranges aw-contexts"
    placeholder="search contexts"
    size="14"
    aria-label="Contexts with this text"
    title="Only contexts with this text, of those that are here"
    .value=${options.containing}
    @input=${(event: Event) => containing((event.target as HTMLInputElement).value)}
  />`,
};
