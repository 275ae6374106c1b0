// The reading line under the toolbar: one sentence on the link in focus, why it is on show, and other heads.

import { html, nothing, type TemplateResult } from "lit-html";
import type { Chosen } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import { chooseHead } from "../../state/actions.js";
import type { State } from "../../state/selection.js";
import { fitLine, type Measure, SAID_SIZE, stands } from "./fit-line.js";
import {
  type AlsoHere,
  alsoHere,
  BREVITIES,
  besides,
  type Reading,
  readingText,
  say,
  subjectOf,
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

/** What is said, and how much of it there is room for. */
interface FittingReading {
  readonly whole: Reading;
  readonly said: Reading;
  /** Besides the sentence, and how many of it stand in the line. */
  readonly rest: readonly string[];
  readonly parts: number;
  /** Those other heads that stand in the line. */
  readonly others: readonly AlsoHere[];
}

/** The longest sentence that stands in the line, and what of the rest does beside it. */
export function fittingReading(
  scene: Scene,
  chosen: Chosen | null,
  canGoBack: boolean,
  { width, rows, measure }: ReadingRoom,
): FittingReading {
  const sizeOf = ({ link, number }: Reading) =>
    measure(link, SAID_SIZE, "bold") + measure(number, SAID_SIZE);
  const subject = subjectOf(scene);
  const whole = say(subject, chosen);
  let [said, size] = [whole, sizeOf(whole)];
  for (const brevity of BREVITIES.slice(1)) {
    if (stands(size, width, rows)) break;
    said = say(subject, chosen, brevity);
    size = sizeOf(said);
  }
  const rest = besides(whole);
  const also = alsoHere(scene, chosen);
  const wished = {
    said: size,
    parts: rest,
    buttons: canGoBack ? [BACK] : [],
    others: also.map(({ text }) => text),
    before: ALSO,
  };
  const { parts, others } = fitLine(wished, width, rows, measure);
  return { whole, said, rest, parts, others: also.slice(0, others) };
}

/** As high whatever it says, so that nothing moves. */
export function readingLine(
  scene: Scene,
  chosen: Chosen | null,
  room: ReadingRoom,
  { change, back }: ReadingEvents,
): TemplateResult {
  const fitting = fittingReading(scene, chosen, back !== null, room);
  const { whole, said, rest, parts, others } = fitting;
  const spoken = scene.hover?.source === "keyboard" || scene.hover === null;
  const { state } = scene;
  // What has no room is still read out. The dot that is seen is a blank's: at the end of a row neither is there.
  const part = (text: string, at: number) =>
    html`<span class=${at > 0 && at < parts ? "aw-dot" : ""}> </span><span class="aw-part ${at < parts ? "" : "aw-hidden"}">${text}${at < rest.length - 1 ? html`<span class="aw-hidden"> ·</span>` : nothing}</span>`;
  return html`<div class="aw-reading" data-rows=${room.rows}>
    <div class="aw-status" role="status" aria-live=${spoken ? "polite" : "off"} title=${readingText(whole)}>
      <span class="aw-said"><b style=${said.colour && `color: ${said.colour}`}>${said.link}</b>${said.number}</span>${
        back
          ? html`<button type="button" class="aw-back" title="Back to what was selected before (B)" @click=${back}>${BACK}</button>`
          : nothing
      }<span class="aw-where">${rest.map(part)}</span>
    </div>
    ${
      others.length > 0
        ? html`<div class="aw-also">${others.map(
            ({ text, layer, head }, at) =>
              html` <span class="aw-part">${at === 0 ? html`${ALSO} ` : nothing}<button type="button" @click=${() => change(chooseHead(state, layer, head))}>${text}</button></span>`,
          )}</div>`
        : nothing
    }
  </div>`;
}
