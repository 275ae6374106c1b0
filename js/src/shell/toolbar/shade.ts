// Where the shades of matrices end, while there are matrices.

import type { State } from "../../state/selection.js";
import type { Control } from "./control.js";
import { drawsHeads } from "./drawn.js";
import { list } from "./parts.js";

export const shade: Control = {
  name: "shade",
  group: "what",
  label: "shades",
  named: true,
  rank: () => 18,
  // Other measures have a scale of their own.
  shown: (scene) =>
    drawsHeads(scene) && scene.state.form === "matrix" && scene.state.measure === "weights",
  draw: ({ state }, { change }) =>
    list(
      "Shades",
      state.shade,
      [
        { value: "own", text: "of what is in sight" },
        { value: "fixed", text: "from 0 to 1" },
      ],
      (value) => change({ shade: value as State["shade"] }),
      { title: "Where the shades of matrices end; the legend says where" },
    ),
};
