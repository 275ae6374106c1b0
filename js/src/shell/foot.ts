import { html, nothing, type TemplateResult } from "lit-html";
import { formatWeight } from "../views/format.js";
import { expected } from "../views/next.js";
import type { Scene } from "../views/view.js";
import { statusText, strongestKeys } from "./status.js";

/** Under the views: the line of words, what went wrong, and the table for who only listens. */
export function foot(
  scene: Scene | null,
  failure: string | null,
  rounded: boolean,
  retry: (() => void) | null,
): TemplateResult {
  const rows = scene ? strongestKeys(scene) : [];
  const next = scene ? expected(scene) : null;
  const spoken = scene?.hover?.source === "keyboard" || scene?.hover === null;
  return html`<div class="aw-status" role="status" aria-live=${spoken ? "polite" : "off"}>
      ${scene ? statusText(scene) : nothing}
    </div>
    ${
      failure
        ? html`<div class="aw-failure" role="alert">
          ${failure}
          ${retry ? html`<button type="button" @click=${retry}>Try again</button>` : nothing}
        </div>`
        : nothing
    }
    ${
      rounded
        ? html`<div class="aw-rounded">
          Rounded numbers: this saved copy holds weights shown here in 256 shades.
        </div>`
        : nothing
    }
    ${
      rows.length > 0
        ? html`<table class="aw-hidden">
          <caption>
            ${
              scene && scene.state.queries.length > 1
                ? `Strongest keys of the ${scene.state.queries.length} pinned queries, on average`
                : "Strongest keys of the pinned query"
            }
          </caption>
          <tr><th>head</th><th>key</th><th>weight</th></tr>
          ${rows.map(({ head, key, weight }) => html`<tr><td>${head}</td><td>${key}</td><td>${weight}</td></tr>`)}
        </table>`
        : nothing
    }
    ${
      next && next.list.length > 0
        ? html`<table class="aw-hidden aw-expected">
          <caption>
            Most probable tokens after ${next.label}
          </caption>
          ${next.list.map(
            ({ label, probability, chosen }) => html`<tr>
              <td>${label}</td>
              <td>${probability === null ? "unknown" : formatWeight(probability)}</td>
              <td>${chosen ? "chosen" : nothing}</td>
            </tr>`,
          )}
        </table>`
        : nothing
    }`;
}
