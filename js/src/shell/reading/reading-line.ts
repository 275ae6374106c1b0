// The reading line under the toolbar: one sentence on the link in focus, why it is on show, and other heads.

import { html, nothing, type TemplateResult } from "lit-html";
import type { Chosen } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import { chooseHead } from "../../state/actions.js";
import type { State } from "../../state/selection.js";
import { type Fitting, fitLine, type Measure, SAID_SIZE, stands } from "./fit-line.js";
import {
  alsoHere,
  BREVITIES,
  besides,
  type Reading,
  reading,
  readingText,
} from "./reading-text.js";

/** Below this width of the widget the line has two rows. */
export const ONE_ROW = 1100;
/** What the other heads are named as. */
const ALSO = "also here:";
const BACK = "back";

/** What the line leads to. */
export interface ReadingEvents {
  change(change: Partial<State>): void;
  /** Back to what was selected before a ranking showed its first head; null where there is nothing. */
  readonly back: (() => void) | null;
}

/** The room there is, and what takes it. */
export interface ReadingRoom {
  readonly width: number;
  readonly rows: 1 | 2;
  readonly measure: Measure;
}

/** The longest sentence that stands in the line, and what of the rest does beside it. */
export function fittingReading(
  scene: Scene,
  chosen: Chosen | null,
  canGoBack: boolean,
  { width, rows, measure }: ReadingRoom,
): Fitting & { readonly said: Reading } {
  const sizeOf = ({ link, number }: Reading) =>
    measure(link, SAID_SIZE, "bold") + measure(number, SAID_SIZE);
  let said = reading(scene, chosen);
  for (const brevity of BREVITIES.slice(1)) {
    if (stands(sizeOf(said), width, rows)) break;
    said = reading(scene, chosen, brevity);
  }
  const wished = {
    said: sizeOf(said),
    parts: besides(said),
    buttons: canGoBack ? [BACK] : [],
    others: alsoHere(scene, chosen).map(({ text }) => text),
    before: ALSO,
  };
  return { said, ...fitLine(wished, width, rows, measure) };
}

/** As high whatever it says, so that nothing moves. */
export function readingLine(
  scene: Scene,
  chosen: Chosen | null,
  room: ReadingRoom,
  { change, back }: ReadingEvents,
): TemplateResult {
  const { said, parts, others: shown } = fittingReading(scene, chosen, back !== null, room);
  const whole = reading(scene, chosen);
  const spoken = scene.hover?.source === "keyboard" || scene.hover === null;
  const others = alsoHere(scene, chosen).slice(0, shown);
  const { layer, state, theme } = scene;
  const [head = 0] = state.heads;
  // One link, one colour: that of its head, in which it is drawn.
  const colour = state.heads.length === 1 ? theme.head(head, layer.num_heads) : "";
  const rest = besides(whole);
  // What has no room is still read out.
  const part = (text: string, at: number) =>
    html` <span class="aw-part ${at < parts ? "" : "aw-hidden"}">${text}${at < rest.length - 1 ? html`<span class=${at === parts - 1 ? "aw-hidden" : ""}> ·</span>` : nothing}</span>`;
  return html`<div class="aw-reading" data-rows=${room.rows}>
    <div class="aw-status" role="status" aria-live=${spoken ? "polite" : "off"} title=${readingText(whole)}>
      <span class="aw-said"><b style=${colour && `color: ${colour}`}>${said.link}</b>${said.number}</span>${
        back
          ? html`<button type="button" class="aw-back" title="Back to what was selected before (B)" @click=${back}>${BACK}</button>`
          : nothing
      }<span class="aw-where">${rest.map(part)}</span>
    </div>
    ${
      others.length > 0
        ? html`<div class="aw-also">${others.map(
            ({ text, layer, head }, at) =>
              html` <span class="aw-part">${at === 0 ? html`<span class="aw-before-others">${ALSO}</span> ` : nothing}<button type="button" @click=${() => change(chooseHead(state, layer, head))}>${text}</button></span>`,
          )}</div>`
        : nothing
    }
  </div>`;
}
