// Whether the selected heads are drawn each by itself, or together as one more head, and of which layers; their lines over
// one another or a panel a head.

import { html, nothing, type TemplateResult } from "lit-html";
import type { How } from "../../data/together.js";
import type { Scene } from "../../scene/scene.js";
import { setLayer } from "../../state/actions.js";
import type { State } from "../../state/selection.js";
import { NAMES, togetherOf } from "../../views/shared/together.js";
import type { Control, ToolbarEvents } from "./control.js";
import { drawsHead } from "./drawn.js";
import { list, rangesField, segments } from "./parts.js";

/** The layers whose heads are one, as ranges; empty for the selected layer alone. */
function layers({ meta, stream, state }: Scene, change: ToolbarEvents["change"]): TemplateResult {
  const known = stream.layers.map(({ layer }) => layer);
  const choose = (named: readonly number[] | null, isEmpty: boolean) => {
    // All of them is said by their numbers, nothing by an empty text.
    const chosen = isEmpty ? null : [...(named ?? known)];
    const [first] = chosen ?? [];
    // They are drawn while the selected layer is one of them.
    const moves = chosen && first !== undefined && !chosen.includes(state.layer);
    change({
      ...(moves ? setLayer(meta, state, first) : {}),
      together_layers: chosen as State["together_layers"],
    });
  };
  const field = rangesField({
    name: "Layers of the heads together",
    title:
      "Layers whose heads are taken together, such as 0–2, 4; empty for the selected layer alone",
    known,
    chosen: state.together_layers?.includes(state.layer) ? state.together_layers : null,
    placeholder: String(state.layer),
    size: 4,
    choose,
  });
  return html`<label class="aw-together-layers">of layers ${field}</label>`;
}

/** Whether heads of other layers can be taken with those that are one. */
const hasLayers = ({ state, stream }: Scene) => state.together !== null && stream.layers.length > 1;

/** There where several heads are drawn that could be one. */
export const together: Control = {
  name: "together",
  group: "what",
  label: "heads together",
  rank: () => 30,
  shown: (scene) =>
    drawsHead(scene) &&
    !scene.sides &&
    // A trace is of single heads.
    scene.state.form !== "trace" &&
    (scene.state.heads.length > 1 || scene.state.together_layers !== null) &&
    scene.state.measure !== "rollout",
  size: (scene) => String(hasLayers(scene)),
  draw: (scene, { change }) => {
    const { state } = scene;
    const how = list(
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
    );
    return html`${how}${hasLayers(scene) ? layers(scene, change) : nothing}`;
  },
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
