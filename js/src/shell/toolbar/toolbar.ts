// The line above the views: which controls fit, which stand under ⋯, and one tab stop for all of them.

import { html, nothing, render, type TemplateResult } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import { withoutRecord } from "../../data/meta.js";
import type { Scene } from "../../scene/scene.js";
import { TabRow } from "../focus/tab-row.js";
import type { Control, Group, ToolbarEvents } from "./control.js";
import { type Fitted, type Form, fitting } from "./fit.js";
import { helpButton } from "./help-button.js";
import { CONTROLS, WITHOUT_RECORD } from "./list.js";
import { menu } from "./menu.js";

/** From this width on everything stands in one row; below, in two. */
const ONE_ROW = 960;
/** Rather than in a second row, what is of no higher rank stands under ⋯. */
const SELDOM = 20;
/** Between two controls, and the rule before a group. As in widget.css. */
const GAP = 12;
/** What always stands at the end: ⋯ and the help. */
const LAST = "last";
/** A control that was never drawn is taken to fit, and measured before it is seen. */
const UNKNOWN = 0;
/** Each pass measures what the one before put into the line. */
const PASSES = 4;

export class Toolbar {
  readonly element = document.createElement("div");
  /** Width by form, name and what it depends on. */
  private readonly widths = new Map<string, number>();
  /** What each control's width depends on, in the frame that is drawn. */
  private sizes: ReadonlyMap<string, string> = new Map();
  private forms: ReadonlyMap<string, Form> = new Map();
  private readonly row = new TabRow(this.element);

  constructor(private readonly events: ToolbarEvents) {
    this.element.className = "aw-bar";
  }

  /** Draw the line in a width; what does not fit goes under ⋯ before anything is seen. */
  render(scene: Scene, width: number): void {
    const controls = (withoutRecord(scene) ? WITHOUT_RECORD : CONTROLS).filter(
      ({ shown }) => shown?.(scene, this.events) ?? true,
    );
    this.sizes = new Map(controls.map(({ name, size }) => [name, size?.(scene) ?? ""]));
    for (let pass = 0; pass < PASSES; pass++) {
      this.forms = this.fitted(controls, scene, width);
      render(this.template(controls, scene), this.element);
      if (!this.measure(controls)) break;
    }
    this.row.update();
  }

  private id({ name }: Control, form: Form): string {
    return `${form} ${name} ${this.sizes.get(name)}`;
  }

  private fitted(
    controls: readonly Control[],
    scene: Scene,
    width: number,
  ): ReadonlyMap<string, Form> {
    const known = (control: Control, form: Form) =>
      (this.widths.get(this.id(control, form)) ?? UNKNOWN) + GAP;
    const place = (control: Control): Fitted => ({
      name: control.name,
      rank: control.rank(scene),
      shortRank: control.shortRank,
      end: control.group === "out",
      full: known(control, "full"),
      short: known(control, "short"),
    });
    const last = (this.widths.get(LAST) ?? UNKNOWN) + GAP;
    const places = controls.map(place);
    const room = { available: width + GAP, last };
    const one = fitting(places, { ...room, rows: 1, ...(width < ONE_ROW ? { most: SELDOM } : {}) });
    return one ?? fitting(places, { ...room, rows: 2 }) ?? this.forms;
  }

  /** Measure what is new in the line; whether there was any. */
  private measure(controls: readonly Control[]): boolean {
    let found = false;
    for (const control of controls) {
      const form = this.forms.get(control.name) ?? "more";
      const id = this.id(control, form);
      if (form === "more" || this.widths.has(id)) continue;
      const element = this.element.querySelector(`.aw-control[data-control="${control.name}"]`);
      if (!element) continue;
      this.widths.set(id, Math.ceil(element.getBoundingClientRect().width));
      found = true;
    }
    if (!this.widths.has(LAST)) {
      const last = this.element.querySelectorAll(".aw-ends > :not(.aw-control)");
      const sum = [...last].reduce(
        (all, each) => all + each.getBoundingClientRect().width + GAP,
        0,
      );
      this.widths.set(LAST, Math.ceil(sum));
      found = true;
    }
    return found;
  }

  private control(control: Control, scene: Scene, first: boolean): TemplateResult {
    const short = this.forms.get(control.name) === "short";
    const label = control.named ? html`<span class="aw-label">${control.label}</span>` : nothing;
    return html`<div class="aw-control ${first ? "aw-first" : ""}" data-control=${control.name}>
      ${label}${control.draw(scene, this.events, short)}
    </div>`;
  }

  private group(controls: readonly Control[], scene: Scene, group: Group) {
    const there = controls.filter(
      (control) => control.group === group && this.forms.get(control.name) !== "more",
    );
    return repeat(
      there,
      ({ name }) => name,
      (control, at) => this.control(control, scene, at === 0 && group === "what"),
    );
  }

  private more(controls: readonly Control[], scene: Scene) {
    const rows = controls.filter(({ name }) => this.forms.get(name) === "more");
    if (rows.length === 0) return nothing;
    return menu({
      name: "more",
      text: "⋯",
      label: "More controls",
      content: html`${repeat(
        rows,
        ({ name }) => name,
        (control) => html`<div class="aw-row" data-control=${control.name}>
          <span class="aw-label">${control.label ?? ""}</span>
          ${control.draw(scene, this.events, false)}
        </div>`,
      )}`,
    });
  }

  private template(controls: readonly Control[], scene: Scene): TemplateResult {
    return html`<div class="aw-toolbar" role="toolbar" aria-label="Attention">
      ${this.group(controls, scene, "where")} ${this.group(controls, scene, "what")}
      <div class="aw-ends">
        ${this.group(controls, scene, "out")} ${this.more(controls, scene)}
        ${helpButton.draw(scene, this.events, false)}
      </div>
    </div>`;
  }
}
