// The bars of what edits change as a table, for readers who do not see them.

import { html, nothing, type TemplateResult } from "lit-html";
import { formatWeight } from "../../marks/format.js";
import type { Scene } from "../../scene/scene.js";
import { titleOf } from "../../views/titles.js";
import { changes } from "../../views/what-if/view.js";

/** A row for each choice, its number before and after; nothing where nothing is edited. */
export function barsTable(scene: Scene): TemplateResult | typeof nothing {
  const list = changes(scene);
  if (list.length === 0) return nothing;
  return html`<div class="aw-hidden"><table>
    <caption>${titleOf(scene, "change")}</caption>
    <thead>
      <tr><th scope="col">choice</th><th scope="col">before</th><th scope="col">after</th></tr>
    </thead>
    <tbody>
      ${list.map(
        ({ label, before, after }) =>
          html`<tr><th scope="row">${label}</th><td>${formatWeight(before)}</td><td>${formatWeight(after)}</td></tr>`,
      )}
    </tbody>
  </table></div>`;
}
