// Neuron view: title, and the choice among the selected heads.

import { indexOf, quoted } from "../../marks/text/tokens.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { PAD, TITLE } from "./layout.js";
import type { Neuron } from "./scene.js";

const SIZE = 11;
const GAP = 5;
/** More names than this would crowd out the title: the chips above the views hold the rest. */
const MOST_NAMES = 8;

export interface HeadChoice {
  readonly head: number;
  readonly rect: Rect;
}

export interface TitleLine {
  readonly title: string;
  /** "layer 2 · head", before the names. */
  readonly where: string;
  readonly whereLeft: number;
  readonly choices: readonly HeadChoice[];
  /** Where what is left of the line begins. */
  readonly end: number;
}

/** The neuron view's first line: the query, the layer, and the selected heads to choose one from. */
export function titleLine({ scene, data, frame }: Neuron): TitleLine {
  const { state, queries, layer } = scene;
  // A long label leaves room for the heads to choose from.
  const title = `query ${indexOf(queries, data.query)} ${quoted(queries, data.query, 0.3 * frame.width)}`;
  const whereLeft = PAD + textWidth(title, 13, "sans", "bold") + 12;
  const where = `layer ${layer.layer} · head`;
  let x = whereLeft + textWidth(where, SIZE, "sans") + GAP;
  const choices = state.heads.slice(0, MOST_NAMES).map((head) => {
    const width = Math.max(10, textWidth(String(head), SIZE, "sans", "bold"));
    const rect = { x: x - GAP / 2, y: 2, width: width + GAP, height: TITLE - 4 };
    x += width + GAP + 2;
    return { head, rect };
  });
  return { title, where, whereLeft, choices, end: x };
}

export function drawTitle(surface: Surface, neuron: Neuron): void {
  const { scene, data, frame } = neuron;
  const { theme, layer, state } = scene;
  const { title, where, whereLeft, choices, end } = titleLine(neuron);
  const y = TITLE / 2 + 1;
  const right = frame.width - PAD;
  const fill = theme.head(data.head, layer.num_heads);
  surface.text(PAD, y, title, { fill, size: 13, weight: "bold", maxWidth: right - PAD });
  if (right - whereLeft < 40) return;
  surface.text(whereLeft, y, where, { fill: theme.muted, size: SIZE, maxWidth: right - whereLeft });
  for (const { head, rect } of choices) {
    if (rect.x + rect.width > right) return;
    const colour = theme.head(head, layer.num_heads);
    const middle = rect.x + rect.width / 2;
    const weight = head === data.head ? "bold" : "normal";
    surface.text(middle, y, String(head), { fill: colour, size: SIZE, weight, anchor: "middle" });
    if (head !== data.head) continue;
    // Only where there is a choice does the chosen one need a mark.
    if (choices.length > 1) {
      const base = TITLE / 2 + 8;
      surface.line(rect.x + 1, base, rect.x + rect.width - 1, base, { stroke: colour, width: 2 });
    }
  }
  const notes: string[] = [];
  if (choices.length < state.heads.length) notes.push(`of ${state.heads.length} selected`);
  if (state.measure !== "weights") notes.push("weights, whatever the measure");
  if (data.querySource === "pinned" && state.queries.length > 1) {
    notes.push(`the first of ${state.queries.length} pinned`);
  }
  if (data.querySource === "last") notes.push("no query chosen: this is the last");
  const room = right - end - 6;
  // Half a note says nothing: the last gives way as a whole.
  while (notes.length > 0 && textWidth(notes.join(" · "), SIZE) > room) notes.pop();
  surface.text(end + 6, y, notes.join(" · "), { fill: theme.muted, size: SIZE });
}

/** The other selected heads of the first line that fit the frame. */
export function otherHeads(neuron: Neuron): readonly HeadChoice[] {
  const right = neuron.frame.width - PAD;
  return titleLine(neuron).choices.filter(
    ({ head, rect }) => head !== neuron.data.head && rect.x + rect.width <= right,
  );
}
