// Under views of a measure of gradients: how far it agrees with exact effects, or a button that has them found.

import { html, nothing, type TemplateResult } from "lit-html";
import type { Scene } from "../scene/scene.js";
import { ABOUT, agreementNote, isUncompared } from "../views/shared/agreement.js";

/** How far the measure on show agrees; `compare` runs the model without each head, null where there is none to run. */
export function agreementLine(
  scene: Scene | null,
  compare: (() => void) | null,
): TemplateResult | typeof nothing {
  const offered = scene && isUncompared(scene) ? compare : null;
  const note = scene && agreementNote(scene, offered !== null);
  if (!scene || !note) return nothing;
  const heads = scene.meta.streams
    .flatMap(({ layers }) => layers)
    .reduce((sum, { num_heads }) => sum + num_heads, 0);
  const button = html`<button
    type="button"
    data-edit="compare"
    title="Run the model once without each of its ${heads} heads"
    @click=${offered}
  >
    compare
  </button>`;
  return html`<div class="aw-agreement" role="status">
    <span title=${ABOUT}>${note}</span> ${offered ? button : nothing}
  </div>`;
}
