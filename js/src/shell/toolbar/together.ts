// Whether the selected heads are drawn each by itself, or together as one more head.

import type { How } from "../../data/together.js";
import { NAMES } from "../../views/shared/together.js";
import type { Control } from "./control.js";
import { drawsHead } from "./drawn.js";
import { list } from "./parts.js";

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
