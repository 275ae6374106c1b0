// Under the views: how numbers are computed, what is waited for, what went wrong, and tables for screen readers.

import { html, nothing, type TemplateResult } from "lit-html";
import type { Progress } from "../data/store.js";
import { formatWeight } from "../marks/format.js";
import type { Scene } from "../scene/scene.js";
import { expected } from "../views/next-token/view.js";
import { agreementLine } from "./agreement-line.js";
import { strongestKeys } from "./reading/strongest-keys.js";

/** What is said and offered under the views. */
export interface StatusBarGiven {
  readonly failure: string | null;
  readonly rounded: boolean;
  /** Whether the kernel leaves what was asked for unanswered. */
  readonly busy: boolean;
  readonly progress: Progress | null;
  /** Have the measure on show compared with exact effects; null where there is no model to run. */
  readonly compare: (() => void) | null;
  /** Null where there is no kernel to ask again. */
  readonly retry: (() => void) | null;
  readonly stop: () => void;
  readonly resume: () => void;
}

const ROUNDED =
  "A model in half precision rounds every step: its own weights may differ by some hundredths. capture(…, exact='model') has those.";

/** How far the kernel has come with what is waited for. It stands in a line of its own: nothing moves. */
function waiting(given: StatusBarGiven): TemplateResult | typeof nothing {
  const { busy, progress, stop, resume } = given;
  if (busy)
    return html`<span
      class="aw-progress aw-busy"
      role="status"
      title="It is at work on something else. What this view waits for comes when that is done."
      >kernel busy</span
    >`;
  if (!progress) return nothing;
  const percent = `${Math.round(100 * progress.part)} %`;
  return progress.stopped
    ? html`<span class="aw-progress"
        >stopped at ${percent}<button type="button" @click=${resume}>go on</button></span
      >`
    : html`<span class="aw-progress"
        >computing ${percent}<button
          type="button"
          title="Stop computing (Esc)"
          aria-label="Stop computing"
          @click=${stop}
        >
          ✕
        </button></span
      >`;
}

/** Under the views: how far the kernel is, what went wrong, and tables for screen readers. */
export function statusBar(scene: Scene | null, given: StatusBarGiven): TemplateResult {
  const { failure, rounded, retry } = given;
  const rows = scene ? strongestKeys(scene) : [];
  const next = scene ? expected(scene) : null;
  const precision = scene?.layer.precision;
  return html`${agreementLine(scene, given.compare)}
    <div class="aw-line">
      ${precision ? html`<span class="aw-precision" title=${ROUNDED}>${precision}</span>` : nothing}
      ${waiting(given)}
    </div>
    ${
      failure
        ? // Its line breaks are kept: there are none but those of the sentence.
          html`<div class="aw-failure" role="alert">${failure}${retry ? html` <button type="button" @click=${retry}>Try again</button>` : nothing}</div>`
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
