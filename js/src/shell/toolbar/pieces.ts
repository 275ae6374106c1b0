// Pieces or words, where any word has several pieces.

import { html } from "lit-html";
import { findStream } from "../../data/meta.js";
import { wordsOf } from "../../data/words.js";
import type { State } from "../../state/selection.js";
import type { Control } from "./control.js";
import { segments } from "./parts.js";

const TITLES: Readonly<Record<State["positions"], string>> = {
  pieces: "Positions as the model has them",
  words: "Pieces of a word as one: summed over a key’s, averaged over a query’s",
};

export const pieces: Control = {
  name: "positions",
  group: "what",
  label: "positions",
  rank: () => 30,
  shown: ({ meta, state }) => {
    const stream = findStream(meta, state.stream);
    const axes = [stream.query_positions, stream.key_positions];
    return axes.some((at) => wordsOf(meta.positions[at] ?? []) !== null);
  },
  draw: ({ state }, { change }) =>
    segments(
      "Positions",
      (["pieces", "words"] as const).map(
        (value) => html`<button
          type="button"
          data-positions=${value}
          aria-pressed=${String(state.positions === value)}
          title=${TITLES[value]}
          @click=${() => change({ positions: value })}
        >
          ${value}
        </button>`,
      ),
    ),
};
