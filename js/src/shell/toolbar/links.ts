// Which links of each query are drawn: a control of the toolbar, while there are lines.

import type { Scene } from "../../scene/scene.js";
import type { State } from "../../state/selection.js";
import type { Control } from "./control.js";
import { drawsHeads } from "./drawn.js";
import { list } from "./parts.js";

type Chosen = Pick<State, "top_k" | "mass">;

const CHOICES: readonly (readonly [string, Chosen])[] = [
  ["1 a query", { top_k: 1, mass: null }],
  ["3 a query", { top_k: 3, mass: null }],
  ["all", { top_k: null, mass: null }],
  ["50 % of the weight", { top_k: 3, mass: 0.5 }],
  ["80 % of the weight", { top_k: 3, mass: 0.8 }],
  ["95 % of the weight", { top_k: 3, mass: 0.95 }],
];

const isChosen = ({ top_k, mass }: Chosen, state: Chosen) =>
  mass === null ? state.mass === null && top_k === state.top_k : mass === state.mass;

/** What a choice made elsewhere is called. */
function nameOf({ top_k, mass }: Chosen): string {
  if (mass !== null) return `${Number((100 * mass).toFixed(1))} % of the weight`;
  return top_k === null ? "all" : `${top_k} a query`;
}

/** Whether what is open draws lines. */
export function hasLines(scene: Scene): boolean {
  const { state, sides } = scene;
  // Compared heads, and two records, are lines where they are no matrices.
  return (
    drawsHeads(scene) &&
    (state.form === "lines" || ((sides || state.view === "compare") && state.form === "text"))
  );
}

export const links: Control = {
  name: "links",
  group: "what",
  label: "links",
  named: true,
  rank: () => 45,
  shown: hasLines,
  size: ({ state }) => nameOf(state),
  draw: ({ state: { top_k, mass } }, { change }) => {
    const state = { top_k, mass };
    const known = CHOICES.some(([, choice]) => isChosen(choice, state));
    const all = known ? CHOICES : [...CHOICES, [nameOf(state), state] as const];
    const at = all.findIndex(([, choice]) => isChosen(choice, state));
    const choose = (index: string) => {
      const [, chosen] = all[Number(index)] ?? [];
      if (chosen) change(chosen.mass === null ? chosen : { mass: chosen.mass });
    };
    return list(
      "Links",
      String(at),
      all.map(([text], index) => ({ value: String(index), text })),
      choose,
      { title: "Which links of each query are drawn" },
    );
  },
};
