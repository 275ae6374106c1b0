// Another text: the button at the end of the reading line, the fields that take the line’s place, and the way to the record before.

import { effect, type ReadonlySignal } from "@preact/signals-core";
import { html, nothing, render, type TemplateResult } from "lit-html";
import type { Editing } from "../protocol/generated.js";
import type { Measure } from "./reading/fit-line.js";

/** What the kernel does for this line. */
export interface EditKernel {
  readonly state: ReadonlySignal<"ready" | "busy" | "gone">;
  /** What of the input can be edited; null where no single record is shown. */
  readonly editing: ReadonlySignal<Editing | null>;
  /** Run the model on other texts; the new record then takes this widget's place. */
  edit(texts: readonly string[]): Promise<void>;
  /** Show the record before beside the one now, or the one now alone. */
  compareBefore(on: boolean): Promise<void>;
}

export interface EditLineEvents {
  open(): void;
  close(): void;
  type(at: number, text: string): void;
  run(): void;
  compare(on: boolean): void;
  key(event: KeyboardEvent): void;
}

export interface EditLineGiven {
  readonly editing: Editing;
  /** What the reader has typed; null where the line is closed. */
  readonly typed: readonly string[] | null;
  /** What is waited for. */
  readonly waits: "record" | "comparison" | null;
  /** Whether the kernel has left it unanswered for a while. */
  readonly busy: boolean;
  readonly failure: string | null;
}

const WAITS = {
  record: "running the model …",
  comparison: "comparing …",
  busy: "waiting for the kernel …",
} as const;

/** A button’s name: a narrow line leaves out what stands around its middle; it is read out whole. */
interface Label {
  readonly lead?: string;
  readonly brief: string;
  readonly rest?: string;
}

const EDIT: Label = { brief: "✎", rest: " edit the text" };
const COMPARE: Label = { lead: "compare with ", brief: "before" };
const BACK: Label = { brief: "back", rest: " to the text now" };

/** The button that edits, then the way to the record before, once there is one. */
const labels = ({ before, comparing }: Editing): readonly [Label, Label?] =>
  before ? [EDIT, comparing ? BACK : COMPARE] : [EDIT];

const long = (text: string | undefined) =>
  text ? html`<span class="aw-long">${text}</span>` : nothing;
const labelled = ({ lead, brief, rest }: Label) => html`${long(lead)}${brief}${long(rest)}`;
const wordsOf = ({ lead = "", brief, rest = "" }: Label, short: boolean) =>
  short ? brief : `${lead}${brief}${rest}`;

function buttons({ editing, waits }: EditLineGiven, events: EditLineEvents): TemplateResult {
  const { comparing, reason } = editing;
  const [edit, way] = labels(editing);
  const compare = (label: Label) => html`<button
    type="button"
    class="aw-before"
    aria-pressed=${String(comparing)}
    title=${comparing ? "Show the record now alone again" : "This record beside the one before the text was edited"}
    ?disabled=${waits !== null}
    @click=${() => events.compare(!comparing)}
  >
    ${labelled(label)}
  </button>`;
  return html`${way ? compare(way) : nothing}<button
      type="button"
      class="aw-edit-button ${reason ? "aw-unable" : ""}"
      title=${reason ?? "Run the model on another text"}
      aria-expanded="false"
      @click=${events.open}
    >
      ${labelled(edit)}
    </button>`;
}

function fields({ editing, typed, waits }: EditLineGiven, events: EditLineEvents): TemplateResult {
  const named = editing.texts.length > 1;
  return html`<div class="aw-edit-fields">
    ${editing.texts.map(
      ({ name }, at) => html`<label class="aw-edit-field">
        ${named ? html`<span class="aw-label">${name}</span>` : nothing}
        <textarea
          rows="1"
          aria-label=${name}
          spellcheck="false"
          ?readonly=${waits !== null}
          .value=${typed?.[at] ?? ""}
          @input=${(event: Event) => {
            const area = event.target as HTMLTextAreaElement;
            grow(area);
            events.type(at, area.value);
          }}
        ></textarea>
      </label>`,
    )}
  </div>`;
}

/** As high as its text, within what the style allows. */
function grow(area: HTMLTextAreaElement): void {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

/** What stands at the end of the reading line, what stands in its place while it is open, and what went wrong. */
export interface EditLine {
  readonly button: TemplateResult | typeof nothing;
  readonly fields: TemplateResult | typeof nothing;
  readonly said: TemplateResult | typeof nothing;
}

export function editLine(given: EditLineGiven, events: EditLineEvents): EditLine {
  const { editing, typed, waits, busy, failure } = given;
  const waiting = waits
    ? html`<span class="aw-progress" role="status">${WAITS[busy ? "busy" : waits]}</span>`
    : nothing;
  const said = failure ? html`<div class="aw-failure" role="alert">${failure}</div>` : nothing;
  if (!typed) return { button: html`${waiting}${buttons(given, events)}`, fields: nothing, said };
  const opened = html`<div
      class="aw-edit aw-edit-open"
      role="group"
      aria-label="Edit the text"
      aria-busy=${String(waits !== null)}
      @keydown=${events.key}
    >
      ${editing.reason ? nothing : fields(given, events)} ${waiting}
      ${
        editing.reason
          ? nothing
          : html`<button
              type="button"
              class="aw-run"
              title="Run the model on this text (Enter; Shift Enter begins a new line)"
              ?disabled=${waits !== null}
              @click=${events.run}
            >
              run ⏎
            </button>`
      }
      <button type="button" class="aw-edit-close" aria-label="Leave the text as it is" title="Leave the text as it is (Esc)" @click=${events.close}>✕</button>
    </div>`;
  return { button: nothing, fields: opened, said };
}

/** In a widget narrower than this the buttons are short. */
const NARROW = 600;
const BUTTON_SIZE = 12;
/** Around a button's words, and between it and what stands before. As in widget.css. */
const AROUND = 22;

/** Another text, typed where the reading line stands. What is typed stays until it is run or left. */
export class TextEditor {
  /** The line, and below it what went wrong. */
  readonly element = document.createElement("div");
  private readonly row = document.createElement("div");
  private readonly button = document.createElement("span");
  private readonly fields = document.createElement("div");
  private readonly said = document.createElement("div");
  private typed: string[] | null = null;
  private waits: EditLineGiven["waits"] = null;
  private failure: string | null = null;

  constructor(
    private readonly kernel: EditKernel | null,
    private readonly signal: AbortSignal,
    reading: HTMLElement,
    /** Draw the page again: the sentence beside has more room, or less. */
    private readonly redraw: () => void,
  ) {
    const line = document.createElement("div");
    line.className = "aw-reading-line";
    this.button.className = "aw-edit";
    this.row.className = "aw-reading-row";
    line.append(reading, this.button);
    this.row.append(line, this.fields);
    this.element.append(this.row, this.said);
    const stop = effect(() => {
      kernel?.state.value;
      kernel?.editing.value;
      this.render();
    });
    signal.addEventListener("abort", stop);
  }

  /** Show the record before beside the one now, or the one now alone; whether there is one before. */
  compare(): boolean {
    const editing = this.kernel?.editing.peek();
    if (!editing?.before) return false;
    this.events.compare(!editing.comparing);
    return true;
  }

  /** What the buttons leave of a line so wide, in a widget that is. */
  room(width: number, measure: Measure): number {
    this.row.toggleAttribute("data-narrow", width < NARROW);
    const editing = this.kernel?.editing.peek();
    if (!editing) return width;
    const words = [
      ...labels(editing).flatMap((label) => (label ? wordsOf(label, width < NARROW) : [])),
      ...(this.waits ? [WAITS.busy] : []),
    ];
    return width - words.reduce((sum, text) => sum + AROUND + measure(text, BUTTON_SIZE), 0);
  }

  private readonly events: EditLineEvents = {
    open: () => {
      const editing = this.kernel?.editing.peek();
      this.typed = editing?.texts.map(({ text }) => text) ?? [];
      this.failure = editing?.reason ?? null;
      this.render();
      const areas = [...this.fields.querySelectorAll("textarea")];
      areas.forEach(grow);
      const [first] = areas;
      first?.focus();
      first?.select();
      if (!first) this.fields.querySelector<HTMLElement>(".aw-edit-close")?.focus();
    },
    close: () => {
      this.typed = this.failure = null;
      this.render();
      this.button.querySelector<HTMLElement>(".aw-edit-button")?.focus();
    },
    type: (at, text) => {
      if (this.typed) this.typed[at] = text;
    },
    run: () => {
      const texts = this.typed;
      if (texts?.length) this.ask("record", (kernel) => kernel.edit(texts));
    },
    compare: (on) => this.ask("comparison", (kernel) => kernel.compareBefore(on)),
    key: (event) => {
      // Of an input method Enter and Escape are its own; the keys of the views are for the views.
      if (!event.ctrlKey && !event.metaKey) event.stopPropagation();
      if (event.isComposing) return;
      const inText = event.target instanceof HTMLTextAreaElement;
      if (event.key === "Escape") this.events.close();
      else if (event.key === "Enter" && inText && !event.shiftKey) this.events.run();
      else return;
      event.preventDefault();
    },
  };

  /** What the kernel is asked for takes this widget's place; why it did not is said in the line. */
  private ask(waits: "record" | "comparison", what: (kernel: EditKernel) => Promise<void>): void {
    if (!this.kernel || this.waits) return;
    this.failure = null;
    this.wait(waits);
    what(this.kernel)
      .catch((error: unknown) => {
        this.failure = error instanceof Error ? error.message : String(error);
      })
      .finally(() => this.wait(null));
  }

  private wait(waits: EditLineGiven["waits"]): void {
    this.waits = waits;
    this.render();
    this.redraw();
  }

  private render(): void {
    if (this.signal.aborted) return;
    const editing = this.kernel?.editing.peek();
    const { typed, waits, failure } = this;
    const busy = this.kernel?.state.peek() === "busy";
    const line = editing && editLine({ editing, typed, waits, busy, failure }, this.events);
    // The sentence keeps its room, so that nothing moves.
    this.row.toggleAttribute("data-editing", Boolean(typed && editing && !editing.reason));
    render(line?.button ?? nothing, this.button);
    render(line?.fields ?? nothing, this.fields);
    render(line?.said ?? nothing, this.said);
  }
}
