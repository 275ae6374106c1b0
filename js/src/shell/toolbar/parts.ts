// What several controls are made of: lists that look like text, choices side by side.

import { html, nothing, type TemplateResult } from "lit-html";

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
