// What the points of planes are coloured by, while there are planes.

import { groupsOf } from "../../scene/groups.js";
import type { State } from "../../state/selection.js";
import type { Control } from "./control.js";
import { drawsHead } from "./drawn.js";
import { list } from "./parts.js";

export const colour: Control = {
  name: "colour",
  group: "what",
  label: "colour",
  named: true,
  rank: () => 18,
  shown: (scene) => drawsHead(scene) && scene.state.form === "geometry",
  size: (scene) => String(groupsOf(scene) !== null),
  draw: (scene, { change }) => {
    const { state } = scene;
    const groups = groupsOf(scene) !== null;
    return list(
      "Colour of points",
      // Without groups their colours are those of positions.
      state.colour === "group" && !groups ? "position" : state.colour,
      [
        { value: "position", text: "position" },
        ...(groups ? [{ value: "group", text: "group" }] : []),
        { value: "norm", text: "length" },
      ],
      (value) => change({ colour: value as State["colour"] }),
      { title: "What the points of queries and keys are coloured by; the legend says how" },
    );
  },
};
