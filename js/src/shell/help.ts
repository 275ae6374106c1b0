// The help: keys and clicks of what is on screen, and what each score means.

import { html, nothing, type TemplateResult } from "lit-html";
import { numSteps, withoutRecord } from "../data/meta.js";
import type { Scene } from "../scene/scene.js";
import { overMedia } from "../views/image/media-positions.js";
import { scoreHelp } from "./score-bar.js";
import { hasAside } from "./toolbar/aside.js";
import {
  canScore,
  drawsAllHeads,
  drawsHead,
  drawsHeads,
  drawsPinned,
  drawsTokens,
} from "./toolbar/drawn.js";
import { hasLines } from "./toolbar/links.js";

interface Row {
  readonly what: string;
  readonly does: string;
  /** Whether this is about something on screen; always, where it is left out. */
  readonly when?: (scene: Scene) => boolean;
}

const recorded = (scene: Scene) => !withoutRecord(scene);
const draws = (form: Scene["state"]["form"]) => (scene: Scene) =>
  recorded(scene) && drawsHeads(scene) && scene.state.form === form;
/** Where selected heads can be pinned beside others: of two records there is one head at a time. */
const pins = (scene: Scene) => recorded(scene) && scene.sides === null;

/** Whether there is a model to run under an edit. */
const canRun = ({ editable }: Scene) => editable ?? false;

/** What one does, in the order in which one comes to it. */
export const HELP: readonly (readonly [string, readonly Row[]])[] = [
  [
    "look",
    [
      {
        what: "Hover a token",
        does: "see what it attends to, or who attends to it",
        when: (scene) => drawsTokens(scene) && !draws("image")(scene),
      },
      {
        what: "Hover a thumbnail",
        does: "see that head larger, with its strongest link",
        when: (scene) => recorded(scene) && drawsAllHeads(scene),
      },
      {
        what: "Hover a head",
        does: "see its mean score over the inputs",
        when: withoutRecord,
      },
      {
        what: "Point at a patch",
        does: "see what it attends to, or who attends to it; click pins it",
        when: (scene) => draws("image")(scene) && overMedia(scene) !== null,
      },
      {
        what: "The strip beside a text",
        does: "all of the input: a click jumps there",
        when: (scene) => draws("text")(scene) && drawsHead(scene) && scene.sides === null,
      },
      {
        what: "links",
        does: "how many of each query’s strongest links are drawn; what is pointed at shows all of its own",
        when: (scene) => recorded(scene) && hasLines(scene),
      },
      {
        what: "aside",
        does: "shades, widths and scores without the weight on some keys; numbers stay as they are",
        when: (scene) => recorded(scene) && hasAside(scene),
      },
      {
        what: "Ctrl-wheel (⌘), pinch, + −",
        does: "zoom a matrix, down to single weights; 0 or a double-click shows it whole",
        when: draws("matrix"),
      },
      {
        what: "Drag a matrix, wheel",
        does: "move it, once it is zoomed in; its small map shows where",
        when: draws("matrix"),
      },
      { what: "/, Ctrl F", does: "search; Enter and Shift Enter go on", when: drawsTokens },
      {
        what: "← → on the step slider",
        does: "token by token through a generation",
        when: ({ meta }) => numSteps(meta) > 0,
      },
    ],
  ],
  [
    "choose",
    [
      {
        what: "Click a thumbnail",
        does: "select that head; with Shift, one more of its layer",
        when: drawsAllHeads,
      },
      {
        what: "Click an input",
        does: "record it, and show its attention under the heads",
        when: ({ meta }) => meta.survey?.can_open ?? false,
      },
      { what: "↑ ↓, ← →", does: "another layer, another head" },
      {
        what: "Click a link of a trace",
        does: "select it with its layer and head, in all views",
        when: (scene) => draws("trace")(scene) && drawsHead(scene),
      },
      {
        what: "Click a token",
        does: "pin it; click again to let go. With Shift, pin several: queries are averaged, keys summed",
        when: drawsTokens,
      },
      {
        what: "Drag over tokens",
        does: "pin a range; in a matrix that is shown whole, or with Shift, a block",
        when: (scene) => recorded(scene) && drawsHeads(scene) && !draws("image")(scene),
      },
      {
        what: "Double-click a head",
        does: "in the line above: only that head; once more, all of them",
        when: ({ sides }) => sides === null,
      },
      {
        what: "B",
        does: "back to what was selected before a ranking showed its first head, and forth",
        when: (scene) => recorded(scene) && canScore(scene),
      },
      { what: "Tab, arrows, Enter", does: "into a view, from thing to thing, pin or select it" },
      { what: "Esc", does: "let go: key, then query, then comparison; then leave the widget" },
    ],
  ],
  [
    "compare",
    [
      {
        what: "C",
        does: "pin the selected heads side by side",
        when: (scene) => pins(scene) && drawsPinned(scene),
      },
      {
        what: "Shift-click a thumbnail",
        does: "of another layer: pin both heads side by side",
        when: (scene) => pins(scene) && drawsAllHeads(scene),
      },
      {
        what: "score: …",
        does: "colour, order and filter all heads by a score; with a query and a key pinned, by the weight of that link",
        when: canScore,
      },
    ],
  ],
  [
    "what if",
    [
      {
        what: "X",
        does: "run the model without the selected heads, or where query and key are pinned without that link; again, and it is back",
        when: canRun,
      },
      { what: "Shift X", does: "without any attention to the pinned token", when: canRun },
      {
        what: "Ctrl Z, ⌘ Z",
        does: "undo the last edit; with Shift, redo it. C compares before and after",
        when: canRun,
      },
      {
        what: "effects of all heads",
        does: "how much the model’s choice depends on each head, run without it one by one",
        when: canRun,
      },
    ],
  ],
  [
    "save",
    [
      { what: "save ▾", does: "a figure of what is shown, or the Python that opens this view" },
      { what: "?", does: "show and close this help" },
    ],
  ],
];

/** What of the help is about something on screen. */
export function helpRows(scene: Scene): readonly (readonly [string, readonly Row[]])[] {
  return HELP.map(
    ([group, rows]) => [group, rows.filter(({ when }) => when?.(scene) ?? true)] as const,
  ).filter(([, rows]) => rows.length > 0);
}

/** Over the views: keys and clicks, and what each score is. */
export function help(scene: Scene, close: () => void): TemplateResult {
  return html`<div class="aw-help aw-box" popover="manual" role="dialog" aria-label="Keys and clicks">
    <button type="button" class="aw-close" aria-label="Close the help" title="Close (Esc)" @click=${close}>✕</button>
    ${helpRows(scene).map(
      ([group, rows]) => html`<h4>${group}</h4>
        <dl>
          ${rows.map(({ what, does }) => html`<div><dt>${what}</dt><dd>${does}</dd></div>`)}
        </dl>`,
    )}
    ${canScore(scene) ? scoreHelp(scene) : nothing}
    <button type="button" class="aw-done" @click=${close}>Close</button>
  </div>`;
}
