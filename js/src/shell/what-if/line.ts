// The what-if line: what could be taken away, what is, and the sentence on what that changes.

import { html, nothing, type TemplateResult } from "lit-html";
import type { EffectsOfHeads, Intervention } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import { type EditHistory, partKey } from "../../state/edits.js";
import { metricName, partName, partWords, whatIfWords } from "../../views/what-if/words.js";

/** An edit that one click or key makes of what is selected. */
export interface Offer {
  readonly name: "link" | "heads" | "token" | "group";
  readonly part: Intervention;
  readonly key: string;
}

export interface WhatIfGiven {
  readonly scene: Scene;
  readonly history: EditHistory;
  readonly offers: readonly Offer[];
  /** Why nothing can be edited here; empty where it can. */
  readonly cannot: string;
  /** Whether there is a kernel; a saved copy shows what was, and no button. */
  readonly live: boolean;
  /** Whether effects and edits are measured in something that was asked for. */
  readonly asked: boolean;
  /** Why a button did nothing. */
  readonly failure: string | null;
}

export interface WhatIfEvents {
  toggle(part: Intervention): void;
  remove(part: Intervention): void;
  undo(): void;
  redo(): void;
  clear(): void;
  /** Run the model without each head, or stop that. */
  effects(on: boolean): void;
  /** Measure effects by a token or label; null for what the model would choose. */
  measure(choice: string | null): void;
}

const RUNNING = "running the model …";

function chip(given: WhatIfGiven, events: WhatIfEvents, at: number): TemplateResult {
  const { scene, history, cannot, live } = given;
  const { part, on } = history.chips[at] as EditHistory["chips"][number];
  const name = partName(scene, part);
  if (!live) return html`<span class="aw-edit-chip" data-on>${name}</span>`;
  return html`<span class="aw-edit-chip" ?data-on=${on}>
    <button
      type="button"
      data-edit="chip ${partKey(part)}"
      aria-pressed=${String(on)}
      title=${on ? "In force: click to put it back for now" : "Not in force: click to take it away again"}
      ?disabled=${cannot !== ""}
      @click=${() => events.toggle(part)}
    >
      ${name}
    </button>
    <button type="button" aria-label="Forget ${name}" title="Forget this edit" ?disabled=${cannot !== ""} @click=${() => events.remove(part)}>✕</button>
  </span>`;
}

/** "✂ without “it” → “cat” in head 3·3" */
function offerText(scene: Scene, { name, part }: Offer): string {
  if (name === "link" || name === "heads") return `✂ without ${partWords(scene, part)}`;
  return partName(scene, part);
}

function offerButton({ scene, cannot }: WhatIfGiven, events: WhatIfEvents, offer: Offer) {
  const { name, part, key } = offer;
  const said = partWords(scene, part);
  return html`<button
    type="button"
    class="aw-offer"
    data-edit=${name}
    title="What does the model say without ${said}?${key && ` (${key})`}"
    ?disabled=${cannot !== ""}
    @click=${() => events.toggle(part)}
  >
    ${offerText(scene, offer)}
  </button>`;
}

/** What effects are measured by: the choices that are known. */
function metricChoice({ scene, asked, cannot }: WhatIfGiven, events: WhatIfEvents) {
  const whatIf = scene.edited?.whatIf;
  const effects = scene.edited?.effects;
  const labels =
    whatIf?.kind === "embedding" ? [] : (whatIf?.choices ?? []).map((one) => one.label);
  if (labels.length === 0) return nothing;
  const metric = effects?.metric ?? whatIf?.metric ?? "";
  const measured = asked ? metricName(metric).replace(/^“|”$/g, "") : "";
  const options =
    labels.some((label) => label.trim() === measured) || !asked ? labels : [measured, ...labels];
  return html`<label class="aw-metric"
    ><span class="aw-label">on</span
    ><select
      aria-label="What effects are measured by"
      title="The token or label whose log-probability is measured"
      data-edit="metric"
      ?disabled=${cannot !== ""}
      @change=${(event: Event) => events.measure((event.target as HTMLSelectElement).value || null)}
    >
      <option value="" ?selected=${!asked}>what it expects most</option>
      ${options.map((label) => html`<option value=${label} ?selected=${label.trim() === measured}>“${label.trim()}”</option>`)}
    </select></label
  >`;
}

function effectsControl(given: WhatIfGiven, events: WhatIfEvents) {
  const { scene, cannot } = given;
  const effects: EffectsOfHeads | null = scene.edited?.effects ?? null;
  if (effects?.state === "running") {
    return html`<span class="aw-progress" role="status">effects of heads: ${effects.of > 0 ? `${effects.done} of ${effects.of}` : "the first run …"}<button
        type="button"
        data-edit="effects"
        aria-label="Stop working out effects"
        title="Stop (Esc)"
        @click=${() => events.effects(false)}
      >✕</button></span>`;
  }
  const refused = effects?.state === "refused" ? effects.message : "";
  const again = effects?.state === "done";
  const text = effects?.state === "stopped" ? "go on with effects" : "effects of all heads";
  return html`<button
      type="button"
      class="aw-effects"
      data-edit="effects"
      title=${refused || (again ? "Run the model without each head once more" : "Run the model once without each head: how much does each count?")}
      ?disabled=${cannot !== ""}
      @click=${() => events.effects(true)}
    >
      ${text}</button
    >${metricChoice(given, events)}${refused ? html`<span class="aw-cannot" role="status">${refused}</span>` : nothing}`;
}

function historyButtons({ history, cannot }: WhatIfGiven, events: WhatIfEvents) {
  const { chips, past, future } = history;
  const off = cannot !== "";
  const button = (name: string, text: string, title: string, does: () => void, there: boolean) =>
    there
      ? html`<button type="button" data-edit=${name} title=${title} ?disabled=${off} @click=${does}>${text}</button>`
      : nothing;
  return html`${button("undo", "undo", "Take the last change of edits back (Ctrl Z, ⌘ Z)", events.undo, past.length > 0)}${button(
    "redo",
    "redo",
    "And forth again (Ctrl Shift Z, ⌘ ⇧ Z)",
    events.redo,
    future.length > 0,
  )}${button("clear", "clear", "Forget all edits", events.clear, chips.length > 0)}`;
}

/** After a dot that is a blank's: where a row ends at the blank neither is there. */
const dotted = (text: string, at: number) =>
  at === 0
    ? html`<span>${text}</span>`
    : html`<span class="aw-hidden"> ·</span><span class="aw-dot"> </span><span>${text}</span>`;

/** What edits change, or what is waited for, or why they were refused. */
function said({ scene, failure }: WhatIfGiven): TemplateResult | typeof nothing {
  const { edited } = scene;
  const whatIf = edited?.whatIf;
  const state = whatIf?.state;
  if (failure || (whatIf && state === "refused")) {
    return html`<div class="aw-failure" role="alert">${failure ?? whatIf?.message}</div>`;
  }
  if (!edited || !whatIf) return nothing;
  if (state === "running") {
    return html`<div class="aw-what-said aw-waiting" role="status">${RUNNING}</div>`;
  }
  const words = edited.parts.length > 0 ? whatIfWords(scene, edited) : null;
  const told = whatIf.message ? html`<span class="aw-part">${whatIf.message}</span>` : nothing;
  if (!words)
    return whatIf.message ? html`<div class="aw-what-said" role="status">${told}</div>` : nothing;
  const rest = [words.note, whatIf.method].filter(Boolean);
  return html`<div class="aw-what-said" role="status">
    <span class="aw-said"><b>${words.lead}</b>${words.said}</span> <span class="aw-part aw-method">${rest.map(dotted)}</span> ${told}
  </div>`;
}

/** Nothing where nothing can be edited, and nothing was. */
export function whatIfLine(given: WhatIfGiven, events: WhatIfEvents): TemplateResult {
  const { history, offers, cannot, live } = given;
  const { chips } = history;
  const open = offers.filter(
    ({ part }) => !chips.some((chip) => partKey(chip.part) === partKey(part)),
  );
  return html`${said(given)}
    <div class="aw-what-row" role="group" aria-label="What if" ?data-unable=${cannot !== ""}>
      <span class="aw-label">what if</span>
      ${chips.map((_, at) => chip(given, events, at))}
      ${
        live
          ? html`${open.map((offer) => offerButton(given, events, offer))} ${historyButtons(given, events)}<span class="aw-what-end">${effectsControl(given, events)}</span>`
          : nothing
      }
      ${cannot ? html`<span class="aw-cannot">${cannot}</span>` : nothing}
    </div>`;
}
