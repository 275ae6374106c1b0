// Which layers the model view shows, as ranges, where there are many.

import { html } from "lit-html";
import { parseRanges, rangesText } from "../../state/ranges.js";
import type { State } from "../../state/selection.js";
import type { Control } from "./control.js";
import { canScore } from "./drawn.js";

/** From so many layers on one may want to see some of them. */
const MANY_LAYERS = 12;

export const shownLayers: Control = {
  name: "shown-layers",
  group: "what",
  label: "show layers",
  rank: () => 0,
  shown: (scene) =>
    canScore(scene) &&
    (scene.stream.layers.length > MANY_LAYERS || scene.state.show_layers !== null),
  draw: ({ stream, state }, { change }) => {
    const known = stream.layers.map(({ layer }) => layer);
    const set = (event: Event) => {
      const input = event.target as HTMLInputElement;
      const layers = parseRanges(input.value, known);
      input.setAttribute("aria-invalid", String(layers === undefined));
      if (layers !== undefined) change({ show_layers: layers as State["show_layers"] });
    };
    return html`<input
      type="text"
      class="aw-show-layers"
      placeholder="all"
      size="9"
      aria-label="Layers whose heads are shown"
      title="Layers whose heads are shown, such as 0–20, 40; empty for all (${rangesText(known)})"
      .value=${state.show_layers ? rangesText(state.show_layers) : ""}
      @change=${set}
      @keydown=${(event: KeyboardEvent) => event.key === "Enter" && set(event)}
    />`;
  },
};
