// The heads that are drawn: chips side by side, or a box of them where there are many.

import { html, nothing, type TemplateResult } from "lit-html";
import type { Scene } from "../../scene/scene.js";
import { toggleHead } from "../../state/actions.js";
import { isOut } from "../../views/what-if/parts.js";
import type { Control, ToolbarEvents } from "./control.js";
import { menu } from "./menu.js";

/** Up to so many heads chips stay in the line longer than what is drawn of them. */
const FEW = 16;
/** Up to so many selected heads are named one by one. */
const NAMED = 3;

const everyHead = ({ layer }: Scene) => Array.from({ length: layer.num_heads }, (_, head) => head);

/** What heads are selected, in a few words. */
export function headsText({ state, layer }: Scene): string {
  const { heads } = state;
  if (heads.length === layer.num_heads && heads.length > 1) return `all ${heads.length}`;
  const sorted = [...heads].sort((a, b) => a - b);
  if (heads.length <= NAMED) return sorted.join(", ");
  return `${heads.length} of ${layer.num_heads}`;
}

/** A double click shows one head alone; on one that is alone, all of them. */
export function isolate(scene: Scene, head: number): readonly number[] {
  const { heads } = scene.state;
  return heads.length === 1 && heads[0] === head ? everyHead(scene) : [head];
}

function chips(scene: Scene, events: ToolbarEvents): TemplateResult[] {
  const { state, layer, theme, sides } = scene;
  return everyHead(scene).map((head) => {
    const on = state.heads.includes(head);
    const heads = (chosen: readonly number[]) => events.change({ heads: [...chosen] as [number] });
    return html`<button
      type="button"
      class="aw-chip ${isOut(scene, layer.layer, head) ? "aw-chip-out" : ""}"
      data-head=${head}
      aria-pressed=${String(on)}
      aria-label="Head ${head}${isOut(scene, layer.layer, head) ? ", knocked out" : ""}"
      title="Head ${head}: click adds or takes away, double-click shows only this one"
      style="--aw-head:${theme.head(head, layer.num_heads)}"
      @click=${() => events.change(sides ? { heads: [head] } : toggleHead(state, head))}
      @dblclick=${() => sides || heads(isolate(scene, head))}
      @pointerenter=${() => events.hoverHead(on ? head : null)}
      @pointerleave=${() => events.hoverHead(null)}
    >
      ${head}
    </button>`;
  });
}

function allButton(scene: Scene, { change }: ToolbarEvents): TemplateResult | typeof nothing {
  const { state, layer, sides } = scene;
  if (sides || layer.num_heads < 2) return nothing;
  const every = state.heads.length === layer.num_heads;
  return html`<button
    type="button"
    class="aw-all"
    aria-pressed=${String(every)}
    title=${every ? "Only the first head" : `All ${layer.num_heads} heads of this layer`}
    @click=${() => change({ heads: (every ? [0] : everyHead(scene)) as [number] })}
  >
    all
  </button>`;
}

export const heads: Control = {
  name: "heads",
  group: "where",
  label: "heads",
  named: true,
  rank: ({ layer }) => (layer.num_heads <= FEW ? 45 : 5),
  shortRank: Number.POSITIVE_INFINITY,
  shown: ({ state }) => state.measure !== "rollout",
  size: (scene) => `${scene.layer.num_heads} ${scene.sides ? "" : "all"}`,
  draw: (scene, events, short) => {
    const { num_heads: count } = scene.layer;
    if (!short) {
      return html`<span class="aw-group aw-chips" role="group" aria-label="Heads">
        ${chips(scene, events)} ${allButton(scene, events)}
      </span>`;
    }
    const columns = Math.min(8, count);
    const text = headsText(scene);
    return menu({
      name: "heads",
      text: html`<span class="aw-heads-text">${text} ▾</span>`,
      label: `Heads: ${text}`,
      title: "Which heads of this layer are drawn",
      content: html`<div class="aw-chip-grid" style="--aw-columns:${columns}" role="group" aria-label="Heads">
          ${chips(scene, events)}
        </div>
        ${allButton(scene, events)}`,
    });
  },
};
