// What several controls are made of: lists that look like text, choices side by side.

import { html, nothing, type TemplateResult } from "lit-html";
import { parseRanges, rangesText } from "../../state/ranges.js";

export interface Choice {
  readonly value: string;
  readonly text: string;
  readonly title?: string | undefined;
  readonly off?: boolean;
}

/**
 * A drop-down list that looks like text. Entries come and go, so the chosen one says so itself: a list's
 * value would be set before it has its entries.
 */
export function list(
  name: string,
  value: string,
  choices: readonly Choice[],
  choose: (value: string) => void,
  { title = name, kind = "" }: { readonly title?: string; readonly kind?: string } = {},
): TemplateResult {
  return html`<select
    class="aw-list ${kind}"
    aria-label=${name}
    title=${title}
    @change=${(event: Event) => choose((event.target as HTMLSelectElement).value)}
  >
    ${choices.map(
      (choice) => html`<option
        value=${choice.value}
        title=${choice.title ?? nothing}
        ?disabled=${choice.off ?? false}
        .selected=${choice.value === value}
      >
        ${choice.text}
      </option>`,
    )}
  </select>`;
}

/** One of several, side by side; each button has its value as `data-<what>`. */
export function segments(name: string, buttons: readonly TemplateResult[]): TemplateResult {
  return html`<span class="aw-group aw-segments" role="group" aria-label=${name}>${buttons}</span>`;
}

export interface RangesField {
  readonly name: string;
  /** What the numbers are for, with an example and what an empty text means. */
  readonly title: string;
  readonly kind?: string;
  readonly known: readonly number[];
  readonly chosen: readonly number[] | null;
  readonly placeholder: string;
  readonly size: number;
  /** Null for all of them, or for an empty text. */
  readonly choose: (numbers: readonly number[] | null, isEmpty: boolean) => void;
}

/** Numbers as ranges; a text that names none of those there are is marked and chooses nothing. */
export function rangesField(field: RangesField): TemplateResult {
  const { name, title, kind = "", known, chosen, placeholder, size, choose } = field;
  const set = (event: Event) => {
    const input = event.target as HTMLInputElement;
    const numbers = parseRanges(input.value, known);
    input.setAttribute("aria-invalid", String(numbers === undefined));
    if (numbers !== undefined) choose(numbers, input.value.trim() === "");
  };
  return html`<input
    type="text"
    class="aw-ranges ${kind}"
    placeholder=${placeholder}
    size=${size}
    aria-label=${name}
    title="${title} (${rangesText(known)})"
    .value=${chosen ? rangesText(chosen) : ""}
    @change=${set}
    @keydown=${(event: KeyboardEvent) => event.key === "Enter" && set(event)}
  />`;
}
