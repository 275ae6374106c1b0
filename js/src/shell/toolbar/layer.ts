// The layer: one back, one on, or any of them.

import { html } from "lit-html";
import { setLayer, stepLayer } from "../../state/actions.js";
import type { Control } from "./control.js";
import { list } from "./parts.js";

export const layer: Control = {
  name: "layer",
  group: "where",
  label: "layer",
  named: true,
  rank: () => Number.POSITIVE_INFINITY,
  size: ({ stream }) => String(stream.layers.at(-1)?.layer),
  draw: ({ meta, stream, state }, { change }) => {
    const numbers = stream.layers.map((each) => each.layer);
    const step = (
      by: number,
      end: number | undefined,
      kind: string,
      name: string,
      text: string,
    ) => {
      // Not `disabled`: the focus stays on it at the last layer.
      const off = state.layer === end;
      return html`<button
        type="button"
        class=${kind}
        aria-label=${name}
        title=${name}
        aria-disabled=${String(off)}
        @click=${() => off || change(stepLayer(meta, state, by))}
      >
        ${text}
      </button>`;
    };
    return html`<span class="aw-group" role="group" aria-label="Layer">
      ${step(-1, numbers[0], "aw-previous", "Previous layer", "◂")}
      ${list(
        "Layer",
        String(state.layer),
        numbers.map((number) => ({ value: String(number), text: String(number) })),
        (value) => change(setLayer(meta, state, Number(value))),
      )}
      ${step(1, numbers.at(-1), "aw-next", "Next layer", "▸")}
    </span>`;
  },
};
