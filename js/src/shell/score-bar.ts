// Controls of the model view: score, order, threshold, layers.

import { html, nothing, type TemplateResult } from "lit-html";
import { withoutRecord } from "../data/meta.js";
import { RANKING } from "../protocol/constants.js";
import type { RecordScene, Scene } from "../scene/scene.js";
import { pinnedLinks, rankByPins, setScore } from "../state/actions.js";
import { parseRanges, rangesText } from "../state/ranges.js";
import type { State } from "../state/selection.js";
import { same } from "../state/signals.js";
import {
  boardOf,
  chosenScores,
  isScored,
  rankingTitle,
  scoreTitle,
  whyNoScore,
} from "../views/model/head-scores.js";
import { remainingText } from "../views/model/legend.js";

export interface ScoreEvents {
  change(change: Partial<State>): void;
  /** Whether there is a kernel to rank heads by another link. */
  readonly canRank: boolean;
  /** Share of the weights that has been read, while heads are scored; null when unknown. */
  readonly progress: number | null;
}

const ARRANGEMENTS = [
  ["layers", "by layer and head"],
  ["rank", "in one ranking"],
  ["rank_by_layer", "ranked in each layer"],
  ["scatter", "as a scatter"],
] as const;

/**
 * A drop-down list whose entries may be out of question, with the reason. Entries come and go, so the
 * chosen one says so itself: a list's value would be set before it has its entries.
 */
function choice(
  name: string,
  value: string,
  options: readonly { value: string; text: string; title?: string; off?: boolean }[],
  choose: (value: string) => void,
): TemplateResult {
  return html`<select
    aria-label=${name}
    title=${name}
    @change=${(event: Event) => choose((event.target as HTMLSelectElement).value)}
  >
    ${options.map(
      (option) => html`<option
        value=${option.value}
        title=${option.title ?? nothing}
        ?disabled=${option.off ?? false}
        .selected=${option.value === value}
      >
        ${option.text}
      </option>`,
    )}
  </select>`;
}

function scoreOptions(scene: Scene) {
  const { meta, stream, state } = scene;
  const options = meta.scores.map(({ name, label, question }) => {
    const reason = stream.absent?.[name];
    return { value: name, text: label, title: reason ?? question, off: reason !== undefined };
  });
  if (!state.ranking) return options;
  return [{ value: RANKING, text: scoreTitle(scene, RANKING), off: false }, ...options];
}

function threshold(scene: Scene, { change }: ScoreEvents): TemplateResult | typeof nothing {
  const board = boardOf(scene);
  if (!board) return nothing;
  const { threshold: at } = scene.state;
  const set = (event: Event) => {
    const value = Number((event.target as HTMLInputElement).value);
    change({ threshold: value > 0 ? value : null });
  };
  const text = at === null ? "all heads" : remainingText(board, at);
  return html`<span class="aw-from">
    <span class="aw-label">from</span>
    <input
      type="range"
      class="aw-threshold"
      min="0"
      max=${board.most}
      step=${board.most / 100}
      aria-label="Least score"
      aria-valuetext=${text}
      .value=${String(at ?? 0)}
      @input=${set}
    />
    <span class="aw-remaining">${text}</span>
  </span>`;
}

/** What becomes of heads below the threshold. A ranking leaves them out anyway. */
function hideButton({ state }: Scene, { change }: ScoreEvents) {
  if (state.threshold === null || state.arrange === "rank") return nothing;
  const hidden = state.below_threshold === "hidden";
  return html`<button
    type="button"
    class="aw-hide"
    aria-pressed=${String(hidden)}
    title="Leave heads below the threshold out, and close the gaps"
    @click=${() => change({ below_threshold: hidden ? "faint" : "hidden" })}
  >
    hide the rest
  </button>`;
}

/** From so many layers on one may want to see some of them. */
const MANY_LAYERS = 12;

/** Which layers the model view shows, as ranges. */
function layerField({ stream, state }: Scene, { change }: ScoreEvents) {
  const known = stream.layers.map(({ layer }) => layer);
  if (known.length <= MANY_LAYERS && !state.show_layers) return nothing;
  const text = state.show_layers ? rangesText(state.show_layers) : "";
  const set = (event: Event) => {
    const input = event.target as HTMLInputElement;
    const layers = parseRanges(input.value, known);
    input.setAttribute("aria-invalid", String(layers === undefined));
    if (layers !== undefined) change({ show_layers: layers as State["show_layers"] });
  };
  return html`<label class="aw-from">
    <span class="aw-label">layers</span>
    <input
      type="text"
      class="aw-show-layers"
      placeholder="all"
      size="9"
      aria-label="Layers of the model view"
      title="Layers of the model view, such as 0–20, 40; empty for all (${rangesText(known)})"
      .value=${text}
      @change=${set}
      @keydown=${(event: KeyboardEvent) => event.key === "Enter" && set(event)}
    />
  </label>`;
}

function rankButton(scene: RecordScene, { change, canRank }: ScoreEvents) {
  const { state } = scene;
  const links = pinnedLinks(state);
  if (!links || !canRank) return nothing;
  const on = state.score === RANKING && same(state.ranking, links);
  return html`<button
    type="button"
    class="aw-rank"
    aria-pressed=${String(on)}
    title="Rank all heads by the weight of the pinned links: summed over keys, averaged over queries"
    @click=${() => change(on ? setScore(null) : rankByPins(state))}
  >
    rank heads by ${rankingTitle(scene, links)}
  </button>`;
}

/** How far scoring has come, or why there is nothing to see. */
function state(scene: Scene, progress: number | null) {
  const why = whyNoScore(scene);
  if (why === null) return nothing;
  const part = progress === null ? "" : ` ${Math.round(100 * progress)} %`;
  return html`<span class="aw-remaining" role="status">${why}${why.endsWith("…") ? part : ""}</span>`;
}

/** What the model view's heads are coloured and ordered by. */
export function scoreBar(scene: RecordScene, events: ScoreEvents): TemplateResult | typeof nothing {
  const { view, arrange, without_sink, measure } = scene.state;
  if (measure === "rollout") return nothing;
  if (view !== "all" && view !== "model") return nothing;
  const { change } = events;
  const { x, y } = chosenScores(scene);
  const scored = isScored(scene);
  const options = scoreOptions(scene);
  const plain = withoutRecord(scene) ? [] : [{ value: "", text: "thumbnails only" }];
  const shown = [...plain, ...options];
  return html`<div class="aw-scores" role="group" aria-label="Scores of heads">
    <span class="aw-label">heads by</span>
    ${choice("Score", scored ? x : "", shown, (name) => change(setScore(name || null)))}
    ${
      scored
        ? html`${choice(
            "Arrangement",
            arrange,
            ARRANGEMENTS.map(([value, text]) => ({ value, text })),
            (value) => change({ arrange: value as State["arrange"], score: x }),
          )}
          ${
            arrange === "scatter"
              ? html`<span class="aw-label">over</span>
                ${choice("Other score", y, options, (name) => change({ other_score: name }))}`
              : nothing
          }
          <button
            type="button"
            class="aw-without-sink"
            ?hidden=${scene.sides !== null}
            aria-pressed=${String(without_sink)}
            ?disabled=${x === RANKING && arrange !== "scatter"}
            title="Scores with the sink set aside: without the first position and all special tokens, each row divided by what remains"
            @click=${() => change({ without_sink: !without_sink })}
          >
            without sink
          </button>
          ${threshold(scene, events)} ${hideButton(scene, events)} ${state(scene, events.progress)}
          <button type="button" class="aw-no-score" ?disabled=${withoutRecord(scene)} title="Thumbnails only" aria-label="Thumbnails only" @click=${() => change(setScore(null))}>
            ✕
          </button>`
        : nothing
    }
    ${layerField(scene, events)} ${rankButton(scene, events)}
  </div>`;
}

/** Every score with its question, formula and source: the lower half of the help. */
export function scoreHelp({ meta }: Scene): TemplateResult {
  return html`<details class="aw-score-help">
    <summary>Scores of heads</summary>
    <dl>
      ${meta.scores.map(
        ({ label, question, formula, source }) => html`<div>
          <dt>${label}</dt>
          <dd>
            ${question}<br />${formula}<br /><i>${source}</i>
          </dd>
        </div>`,
      )}
    </dl>
  </details>`;
}
