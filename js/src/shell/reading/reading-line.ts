// The reading line under the toolbar: one sentence on the link in focus, why it is on show, and other heads.

import { html, nothing, type TemplateResult } from "lit-html";
import type { Chosen } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import type { State } from "../../state/selection.js";
import { alsoHere, besides, reading, readingText } from "./reading-text.js";

/** Below this width the sentence and what follows it stand in two lines. */
const ONE_LINE = 860;
/** Below this width fewer other heads are named. */
const WIDE = 1300;

/** What the line leads to. */
export interface ReadingEvents {
  change(change: Partial<State>): void;
  /** Back to what was selected before a ranking showed its first head; null where there is nothing. */
  readonly back: (() => void) | null;
}

/** As high whatever it says, so that nothing moves. */
export function readingLine(
  scene: Scene,
  chosen: Chosen | null,
  width: number,
  { change, back }: ReadingEvents,
): TemplateResult {
  const said = reading(scene, chosen);
  const spoken = scene.hover?.source === "keyboard" || scene.hover === null;
  const others = alsoHere(scene, chosen).slice(0, width < WIDE ? 3 : undefined);
  const { layer, state, theme } = scene;
  const [head = 0] = state.heads;
  // One link, one colour: that of its head, in which it is drawn.
  const colour = state.heads.length === 1 ? theme.head(head, layer.num_heads) : "";
  return html`<div class="aw-reading" data-lines=${width < ONE_LINE ? 2 : 1}>
    <div class="aw-status" role="status" aria-live=${spoken ? "polite" : "off"} title=${readingText(said)}>
      <span class="aw-said"><b style=${colour && `color: ${colour}`}>${said.link}</b>${said.number}</span> <span class="aw-where">${besides(said)}</span>
    </div>
    ${
      back
        ? html`<button type="button" class="aw-back" title="Back to what was selected before (B)" @click=${back}>
          back
        </button>`
        : nothing
    }
    ${
      others.length > 0
        ? html`<div class="aw-also">
          also here:
          ${others.map(
            ({ text, layer, head }) =>
              html`<button type="button" @click=${() => change({ layer, heads: [head] })}>${text}</button>`,
          )}
        </div>`
        : nothing
    }
  </div>`;
}
