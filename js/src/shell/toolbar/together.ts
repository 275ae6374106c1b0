// Whether the selected heads are drawn each by itself, or together as one more head; their lines over one another or a panel a head.

import { html } from "lit-html";
import type { How } from "../../data/together.js";
import type { State } from "../../state/selection.js";
import { NAMES, togetherOf } from "../../views/shared/together.js";
import type { Control } from "./control.js";
import { drawsHead } from "./drawn.js";
import { list, segments } from "./parts.js";

/** There where several heads are drawn that could be one. */
export const together: Control = {
  name: "together",
  group: "what",
  label: "heads together",
  rank: () => 30,
  shown: (scene) =>
    drawsHead(scene) &&
    !scene.sides &&
    scene.state.heads.length > 1 &&
    scene.state.measure !== "rollout",
  draw: ({ state }, { change }) =>
    list(
      "Heads together",
      state.together ?? "",
      [["", "each head"] as const, ...Object.entries(NAMES)].map(([value, text]) => ({
        value,
        text,
      })),
      (value) => change({ together: (value || null) as How | null }),
      {
        title: "The selected heads each by itself, or their mean, maximum or sum as one more head",
        kind: "aw-together",
      },
    ),
};

const PANELS: Readonly<Record<State["panels"], string>> = {
  overlaid: "The lines of all selected heads over one another",
  "one a head": "A panel for each of the selected heads, side by side",
};
/** Lines of more heads than this are better apart. */
const MANY = 4;
const WAYS = Object.keys(PANELS) as State["panels"][];

/** There where the lines of several heads are drawn: of two records it is one head, heads together are one. */
export const panels: Control = {
  name: "panels",
  group: "what",
  label: "panels",
  // Of many heads overlaid lines hide one another: then it stays one click away.
  rank: ({ state }) => (state.heads.length > MANY ? 44 : 28),
  shortRank: 29,
  shown: (scene) =>
    drawsHead(scene) &&
    scene.state.form === "lines" &&
    scene.state.heads.length > 1 &&
    scene.state.measure !== "rollout" &&
    !scene.sides &&
    togetherOf(scene) === null,
  draw: ({ state }, { change }, short) => {
    const choose = (value: State["panels"]) => change({ panels: value });
    if (short) {
      const choices = WAYS.map((value) => ({ value, text: value, title: PANELS[value] }));
      return list("Panels", state.panels, choices, (value) => choose(value as State["panels"]));
    }
    return segments(
      "Panels",
      WAYS.map(
        (value) => html`<button
          type="button"
          data-panels=${value}
          aria-pressed=${String(state.panels === value)}
          title=${PANELS[value]}
          @click=${() => choose(value)}
        >
          ${value}
        </button>`,
      ),
    );
  },
};
