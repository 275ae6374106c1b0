// The toolbar: views, streams, layers, heads, forms, measures, saving.

import { html, nothing, type TemplateResult } from "lit-html";
import { whyMissing } from "../data/measures.js";
import { findStream, withoutRecord } from "../data/meta.js";
import { isText } from "../data/text-pieces.js";
import { wordsOf } from "../data/words.js";
import type { HeadRef, Measure } from "../protocol/generated.js";
import type { Scene } from "../scene/scene.js";
import { addToCompare, setLayer, setStream, stepLayer, toggleHead } from "../state/actions.js";
import type { Options } from "../state/interaction.js";
import type { State } from "../state/selection.js";
import { overMedia } from "../views/image/media-positions.js";
import { MEASURES } from "../views/shared/measure.js";
import { help } from "./help.js";

export interface ToolbarEvents {
  change(change: Partial<State>): void;
  options(change: Partial<Options>): void;
  hoverHead(head: number | null): void;
  save(format: "svg" | "png"): void;
  /** Put a copy that needs no kernel in the widget's place; null where there is no kernel to make it. */
  freeze: (() => void) | null;
  search(): void;
  help(): void;
}

const VIEWS = [
  ["all", "All"],
  ["model", "Model"],
  ["head", "Head"],
  ["neuron", "Neuron"],
  ["compare", "Compare"],
] as const;

function tabs({ state, sides }: Scene, { change }: ToolbarEvents): TemplateResult {
  // Of two records there is nothing to draw as one.
  const views = VIEWS.filter(([view]) => !sides || (view !== "head" && view !== "neuron"));
  return html`<div class="aw-group aw-tabs" role="group" aria-label="View">
    ${views.map(
      ([view, name]) => html`<button
        type="button"
        aria-pressed=${String(state.view === view)}
        data-view=${view}
        @click=${() => change({ view })}
      >
        ${name}${
          view === "compare" && state.compare.length > 0
            ? html`<span class="aw-count">${state.compare.length}</span>`
            : nothing
        }
      </button>`,
    )}
  </div>`;
}

function select(
  name: string,
  value: string,
  options: readonly string[],
  choose: (value: string) => void,
): TemplateResult {
  return html`<select
    aria-label=${name}
    title=${name}
    .value=${value}
    @change=${(event: Event) => choose((event.target as HTMLSelectElement).value)}
  >
    ${options.map((option) => html`<option value=${option} ?selected=${option === value}>${option}</option>`)}
  </select>`;
}

function layers({ meta, stream, state }: Scene, { change }: ToolbarEvents): TemplateResult {
  const numbers = stream.layers.map((l) => l.layer);
  const step = (by: number) => () => change(stepLayer(meta, state, by));
  return html`<div class="aw-group" role="group" aria-label="Layer">
    <span class="aw-label">layer</span>
    <button
      type="button"
      class="aw-previous"
      aria-label="Previous layer"
      ?disabled=${state.layer === numbers[0]}
      @click=${step(-1)}
    >
      ◀
    </button>
    ${select("Layer", String(state.layer), numbers.map(String), (value) =>
      change(setLayer(meta, state, Number(value))),
    )}
    <button
      type="button"
      class="aw-next"
      aria-label="Next layer"
      ?disabled=${state.layer === numbers.at(-1)}
      @click=${step(1)}
    >
      ▶
    </button>
  </div>`;
}

function chips({ state, layer, theme, sides }: Scene, events: ToolbarEvents): TemplateResult {
  if (state.measure === "rollout") {
    return html`<span class="aw-label">all heads together</span>`;
  }
  const all = Array.from({ length: layer.num_heads }, (_, head) => head);
  const every = state.heads.length === layer.num_heads;
  return html`<div class="aw-group aw-chips" role="group" aria-label="Heads">
    <span class="aw-label">heads</span>
    ${all.map((head) => {
      const on = state.heads.includes(head);
      return html`<button
        type="button"
        class="aw-chip"
        data-head=${head}
        aria-pressed=${String(on)}
        aria-label="Head ${head}"
        title="Head ${head}: click toggles, double-click shows only this one"
        style="--aw-head:${theme.head(head, layer.num_heads)}"
        @click=${() => events.change(sides ? { heads: [head] } : toggleHead(state, head))}
        @dblclick=${() => events.change({ heads: [head] })}
        @pointerenter=${() => events.hoverHead(on ? head : null)}
        @pointerleave=${() => events.hoverHead(null)}
      >
        ${head}
      </button>`;
    })}
    ${
      sides
        ? nothing
        : html`<button
      type="button"
      class="aw-all"
      title=${every ? "Show only the first head" : "Show every head of this layer"}
      @click=${() => events.change({ heads: every ? [0] : all })}
    >
      ${every ? "one" : "all"}
    </button>`
    }
  </div>`;
}

/** What is drawn of a head; what the record cannot give anywhere says why and cannot be chosen. */
function measures({ meta, state }: Scene, { change }: ToolbarEvents): TemplateResult {
  const stream = findStream(meta, state.stream);
  const why = (measure: Measure) => {
    const reasons = stream.layers.map((layer) => whyMissing(stream, layer, measure));
    return reasons.every((reason) => reason !== null) ? (reasons[0] ?? null) : null;
  };
  const choose = (event: Event) =>
    change({ measure: (event.target as HTMLSelectElement).value as Measure });
  return html`<select
    class="aw-measure"
    aria-label="Measure"
    title="What is drawn of a head"
    .value=${state.measure}
    @change=${choose}
  >
    ${(Object.keys(MEASURES) as Measure[]).map((measure) => {
      const reason = why(measure);
      return html`<option
        value=${measure}
        ?selected=${measure === state.measure}
        ?disabled=${reason !== null}
        title=${reason ?? nothing}
      >
        ${MEASURES[measure].choice}
      </option>`;
    })}
  </select>`;
}

/** Pieces or words, where any word has several pieces. */
function pieces(
  { meta, state }: Scene,
  { change }: ToolbarEvents,
): TemplateResult | typeof nothing {
  const stream = findStream(meta, state.stream);
  const axes = [stream.query_positions, stream.key_positions].map((at) => meta.positions[at] ?? []);
  if (axes.every((positions) => wordsOf(positions) === null)) return nothing;
  const choice = (positions: State["positions"]) => html`<button
    type="button"
    data-positions=${positions}
    aria-pressed=${String(state.positions === positions)}
    title=${
      positions === "words"
        ? "Pieces of a word as one: summed over a key’s, averaged over a query’s"
        : "Positions as the model has them"
    }
    @click=${() => change({ positions })}
  >
    ${positions}
  </button>`;
  return html`<div class="aw-group aw-segments" role="group" aria-label="Positions">
    ${choice("pieces")} ${choice("words")}
  </div>`;
}

function compareButton({ state }: Scene, { change }: ToolbarEvents): TemplateResult {
  const heads = state.heads.map((head): HeadRef => [state.layer, head]);
  return html`<button
    type="button"
    class="aw-compare"
    title="Pin the selected heads side by side (C)"
    @click=${() => change(addToCompare(state, heads))}
  >
    ⊕ compare
  </button>`;
}

/** Running text, where there is any: a stream of patches says why not. */
function textForm({ queries, keys, state, sides }: Scene, { change }: ToolbarEvents) {
  const none = !isText(queries) && !isText(keys);
  if (sides) return nothing;
  return html`<button
    type="button"
    data-form="text"
    aria-pressed=${String(state.form === "text")}
    ?disabled=${none}
    title=${none ? "No text is in this stream" : "The running text, shaded by attention"}
    @click=${() => change({ form: "text" })}
  >
    text
  </button>`;
}

function searchButton({ search }: ToolbarEvents): TemplateResult {
  return html`<button type="button" class="aw-search-button" aria-label="Search" title="Search the text ( / )" @click=${search}>
    <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
      <circle cx="6.5" cy="6.5" r="4.5" fill="none" stroke="currentColor" stroke-width="1.6" />
      <path d="M10 10l4.5 4.5" stroke="currentColor" stroke-width="1.8" />
    </svg>
  </button>`;
}

/** How the selected heads are drawn. */
function forms(scene: Scene, events: ToolbarEvents): TemplateResult {
  const over = overMedia(scene);
  const form = (value: State["form"], name: string) => html`<button
    type="button"
    data-form=${value}
    aria-pressed=${String(scene.state.form === value)}
    @click=${() => events.change({ form: value })}
  >
    ${name}
  </button>`;
  return html`<div class="aw-group aw-segments" role="group" aria-label="Drawing">
      ${form("lines", "lines")} ${form("matrix", "matrix")}
      ${over === null ? nothing : form("image", over)} ${textForm(scene, events)}
    </div>`;
}

/** Which stream is shown, where there are several. */
function streams({ meta, state }: Scene, events: ToolbarEvents): TemplateResult | typeof nothing {
  if (meta.streams.length < 2) return nothing;
  return html`<div class="aw-group" role="group" aria-label="Stream">
          ${select(
            "Stream",
            state.stream,
            meta.streams.map((s) => s.name),
            (name) => events.change(setStream(meta, state, name)),
          )}
        </div>`;
}

/** Shading with or without the first position, where that takes most of the weight. */
function sinkButton(
  { stream: { sink }, options }: Scene,
  events: ToolbarEvents,
): TemplateResult | typeof nothing {
  if (!sink) return nothing;
  return html`<button
          type="button"
          class="aw-sink"
          aria-pressed=${String(options.setSinkAside)}
          title="The first position takes ${Math.round(100 * sink.share)} % of all weight: shade without it. Numbers stay as they are."
          @click=${() => events.options({ setSinkAside: !options.setSinkAside })}
        >
          sink ${Math.round(100 * sink.share)} % ${options.setSinkAside ? "set aside" : ""}
        </button>`;
}

/** Save what is shown, as a file or in the notebook. */
function saveButtons(events: ToolbarEvents): TemplateResult {
  return html`<div class="aw-group aw-save" role="group" aria-label="Save what is shown">
        <button type="button" class="aw-save-svg" title="Save what is shown as a vector figure" @click=${() => events.save("svg")}>
          ⤓ SVG
        </button>
        <button type="button" class="aw-save-png" title="Save what is shown as a picture" @click=${() => events.save("png")}>
          PNG
        </button>
        ${
          events.freeze
            ? html`<button type="button" class="aw-freeze" title="Keep it in the notebook: a copy that draws and answers clicks without a kernel takes its place. Run the cell again for the live widget." @click=${events.freeze}>
              freeze
            </button>`
            : nothing
        }
      </div>`;
}

/** Everything above the views. The markup holds structure only: what it does is in `actions.ts`. */
export function toolbar(scene: Scene, helpOpen: boolean, events: ToolbarEvents): TemplateResult {
  const noRecord = withoutRecord(scene);
  return html`<div class="aw-toolbar" role="toolbar" aria-label="Attention">
    ${noRecord ? nothing : tabs(scene, events)}
    ${streams(scene, events)}
    ${layers(scene, events)} ${chips(scene, events)}
    ${noRecord ? nothing : forms(scene, events)}
    ${
      noRecord
        ? nothing
        : html`${measures(scene, events)} ${pieces(scene, events)} ${
            scene.sides ? nothing : compareButton(scene, events)
          }`
    }
    ${sinkButton(scene, events)}
    <div class="aw-group aw-ends">
      ${noRecord ? nothing : searchButton(events)}
      ${saveButtons(events)}
      <button type="button" class="aw-help-button" aria-label="Help" aria-expanded=${String(helpOpen)} title="Keys and clicks" @click=${events.help}>?</button>
    </div>
    ${helpOpen ? help(scene, events.help) : nothing}
  </div>`;
}
