// What shades and colours stand for: where those of matrices end, and what points of planes are coloured by.

import { groupsOf } from "../../scene/groups.js";
import type { State } from "../../state/selection.js";
import type { Control } from "./control.js";
import { drawsHead, drawsHeads } from "./drawn.js";
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
