// The help: keys, clicks, and what each score means.

import { html, type TemplateResult } from "lit-html";
import type { Scene } from "../scene/scene.js";
import { scoreHelp } from "./score-bar.js";

const HELP = [
  ["Click a thumbnail", "select that head"],
  [
    "Shift-click a thumbnail",
    "add a head of the same layer; pin heads of different layers side by side",
  ],
  ["heads by …", "colour, order and filter all heads by a score; a scatter of two"],
  ["Pin a query and a key, rank heads", "which heads look from one to the other?"],
  ["Hover a token", "see what it attends to, or who attends to it"],
  ["Click a token", "pin it; click again to let go"],
  ["Point at a patch", "see what it attends to, or who attends to it; click pins it"],
  ["Shift-click a token", "pin several: queries are averaged, keys summed"],
  ["Drag over tokens", "pin a range; in a matrix that is shown whole, or with Shift, a block"],
  ["text", "the input as it reads, shaded; the strip at its right is all of it: click jumps"],
  ["⌕, / or Ctrl F", "search; Enter and Shift Enter go on, “pin” pins what was found"],
  ["Ctrl-wheel (⌘), pinch, double-click a matrix", "zoom, down to single weights"],
  ["Drag a matrix, wheel", "move it, once it is zoomed in; its small map shows where"],
  ["Double-click a head chip", "show only that head"],
  ["weights …", "another measure: value-weighted, norm-based, rollout"],
  ["pieces, words", "each position, or the pieces of a word as one"],
  ["sink", "shade as if the first position had no weight"],
  ["freeze", "leave a copy in the notebook that needs no kernel"],
  ["↑ ↓", "layer"],
  ["← →", "head; in one ranking the next one of it"],
  ["← → on the step slider", "token by token through a generation"],
  ["Tab, Enter", "walk through the tokens, pin one"],
  ["+ − 0", "zoom a matrix in, out, show it whole"],
  ["C", "pin the selected heads for comparison"],
  ["Esc", "let go: key, then query, then comparison"],
  ["?", "show and hide this help"],
] as const;

/** Under the toolbar: keys, clicks, and what each score is. */
export function help(scene: Scene, close: () => void): TemplateResult {
  return html`<div class="aw-help" role="dialog" aria-label="Keys and clicks">
    <dl>
      ${HELP.map(([what, does]) => html`<div><dt>${what}</dt><dd>${does}</dd></div>`)}
    </dl>
    ${scoreHelp(scene)}
    <button type="button" @click=${close}>Close</button>
  </div>`;
}
