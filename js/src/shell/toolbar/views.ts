// Which view is open: all of them, or one.

import type { State } from "../../state/selection.js";
import type { Control } from "./control.js";
import { list } from "./parts.js";

const VIEWS = ["all", "model", "head", "neuron", "compare"] as const;

export const view: Control = {
  name: "view",
  group: "what",
  label: "view",
  named: true,
  rank: () => 70,
  draw: ({ state, sides }, { change }) => {
    const count = state.compare.length;
    // Of two records there is nothing to draw as one.
    const views = VIEWS.filter((each) => !sides || (each !== "head" && each !== "neuron"));
    return list(
      "View",
      state.view,
      views.map((value) => ({
        value,
        text: value === "compare" && count > 0 ? `${value} (${count})` : value,
      })),
      (value) => change({ view: value as State["view"] }),
      { title: "All views, or one of them" },
    );
  },
};
