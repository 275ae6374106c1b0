// Which layers the model view shows, as ranges, where there are many.

import type { State } from "../../state/selection.js";
import type { Control } from "./control.js";
import { canScore } from "./drawn.js";
import { rangesField } from "./parts.js";

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
  draw: ({ stream, state }, { change }) =>
    rangesField({
      name: "Layers whose heads are shown",
      title: "Layers whose heads are shown, such as 0–20, 40; empty for all",
      kind: "aw-show-layers",
      known: stream.layers.map(({ layer }) => layer),
      chosen: state.show_layers,
      placeholder: "all",
      size: 9,
      choose: (layers) => change({ show_layers: layers as State["show_layers"] }),
    }),
};
