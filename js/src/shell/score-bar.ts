// What heads are coloured and ordered by: the score at the title of the model view, its options in a row of their own.

import { html, nothing, type TemplateResult } from "lit-html";
import { withoutRecord } from "../data/meta.js";
import { EFFECT, RANKING } from "../protocol/constants.js";
import type { RecordScene, Scene } from "../scene/scene.js";
import { rankByGroups, rankByPins, setScore } from "../state/actions.js";
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
import { hasEffects } from "../views/what-if/heads.js";
import type { Measure } from "./reading/fit-line.js";
import { canScore } from "./toolbar/drawn.js";
import { type Choice, list } from "./toolbar/parts.js";

/** What effects are asked for as: the score, or the other one of a scatter. */
export type EffectAs = "score" | "other_score";

export interface ScoreEvents {
  change(change: Partial<State>): void;
  /** Rank heads, and show the first. */
  rank(change: Partial<State>): void;
  /** Run the model without each head, then score heads by that; null where the model cannot be run. */
  readonly effects: ((as: EffectAs) => void) | null;
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

/** How much each head counts: by name where that is known, else what it would take to know. */
function effectOptions(scene: Scene, { effects }: Pick<ScoreEvents, "effects">): readonly Choice[] {
  const value = EFFECT;
  if (hasEffects(scene)) return [{ value, text: scoreTitle(scene, value), off: false }];
  // Of two records side by side there is one number a head: how much it changed.
  if (!effects || scene.sides) return [];
  const running = scene.edited?.effects?.state === "running";
  const count = scene.meta.streams
    .flatMap(({ layers }) => layers)
    .reduce((sum, { num_heads }) => sum + num_heads, 0);
  const text = running ? "effect …" : `effect (runs the model ${count} times)`;
  const title = "How much does what the model would choose change without the head?";
  return [{ value, text, title, off: running }];
}

function scoreOptions(scene: Scene, events: Pick<ScoreEvents, "effects">): readonly Choice[] {
  const { meta, stream, state } = scene;
  const options = meta.scores.map(({ name, label, question }) => {
    const reason = stream.absent?.[name];
    return { value: name, text: label, title: reason ?? question, off: reason !== undefined };
  });
  const own = state.ranking ? [RANKING] : [];
  const first = own.map((value) => ({ value, text: scoreTitle(scene, value), off: false }));
  return [...first, ...effectOptions(scene, events), ...options];
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
    <span class="aw-label">at least</span>
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
    hide those below
  </button>`;
}

/** The choices that rank all heads by what is chosen on the page. */
const RANKINGS = [
  {
    value: "pinned",
    rank: rankByPins,
    word: "weight of",
    title: "Summed over the pinned keys, averaged over the pinned queries",
  },
  {
    value: "groups",
    rank: rankByGroups,
    word: "share",
    title: "The mean over the queries of one group of their weight on the other",
  },
] as const;

/** Those that there is something for, and that are not the ranking already. */
function rankingOptions(scene: RecordScene, { canRank }: ScoreEvents): readonly Choice[] {
  const { state } = scene;
  if (!canRank) return [];
  return RANKINGS.flatMap(({ value, rank, word, title }) => {
    const { ranking } = rank(state);
    if (!ranking || (state.score === RANKING && same(state.ranking, ranking))) return [];
    return [{ value, text: `${word} ${rankingTitle(scene, ranking)}`, title }];
  });
}

/** How far scoring has come, or why there is nothing to see. */
function state(scene: Scene, progress: number | null) {
  const why = whyNoScore(scene);
  if (why === null) return nothing;
  const part = progress === null ? "" : ` ${Math.round(100 * progress)} %`;
  return html`<span class="aw-remaining" role="status">${why}${why.endsWith("…") ? part : ""}</span>`;
}

/** Of the titles of views, as in widget.css; and what the list of scores takes beside its words. */
const TITLE_SIZE = 12;
const SPACE = 34;

/** Which titles have room beside the list of scores, in a panel of a width. */
export function fitsBeside(
  scene: Scene,
  measure: Measure,
  width: number,
): (title: string) => boolean {
  const { score } = scene.state;
  const listed = score === null ? "none" : scoreTitle(scene, score);
  const room = width - measure(`score:${listed}`, TITLE_SIZE) - SPACE;
  return (title) => measure(title, TITLE_SIZE, "bold") <= room;
}

/** What the model view's heads are coloured by, at its title. */
export function scoreChoice(
  scene: RecordScene,
  events: ScoreEvents,
): TemplateResult | typeof nothing {
  if (!canScore(scene)) return nothing;
  const { x } = chosenScores(scene);
  const plain = withoutRecord(scene) ? [] : [{ value: "", text: "none" }];
  const offered = [...plain, ...rankingOptions(scene, events), ...scoreOptions(scene, events)];
  // What is chosen is said, also where it cannot be chosen again: the list would say "none".
  const lost = isScored(scene) && x !== "" && !offered.some(({ value }) => value === x);
  const shown = lost ? [...offered, { value: x, text: scoreTitle(scene, x), off: true }] : offered;
  const choose = (name: string) => {
    const ranking = RANKINGS.find(({ value }) => value === name);
    if (ranking) events.rank(ranking.rank(scene.state));
    else if (name === EFFECT && !hasEffects(scene)) events.effects?.("score");
    else events.change(setScore(name || null, scene.state.score));
  };
  return html`<span class="aw-label">score:</span>${list(
    "Score",
    isScored(scene) ? x : "",
    shown,
    choose,
    { title: "What heads are coloured, ordered and filtered by" },
  )}`;
}

/** How the scored heads stand, and which of them; nothing, and no room, without a score. */
export function scoreBar(scene: RecordScene, events: ScoreEvents): TemplateResult | typeof nothing {
  if (!canScore(scene) || !isScored(scene)) return nothing;
  const { arrange } = scene.state;
  const { change } = events;
  const { x, y } = chosenScores(scene);
  const other = (name: string) => {
    if (name === EFFECT && !hasEffects(scene)) events.effects?.("other_score");
    else change({ other_score: name });
  };
  return html`<div class="aw-scores" role="group" aria-label="Scores of heads">
    <span class="aw-label">heads</span>
    ${list(
      "Arrangement",
      arrange,
      ARRANGEMENTS.map(([value, text]) => ({ value, text })),
      (value) => change({ arrange: value as State["arrange"], score: x }),
    )}
    ${
      arrange === "scatter"
        ? html`<span class="aw-label">over</span>
            ${list("Other score", y, scoreOptions(scene, events), other)}`
        : nothing
    }
    ${threshold(scene, events)} ${hideButton(scene, events)} ${state(scene, events.progress)}
    ${noScore(scene, change)}
  </div>`;
}

/** Back to heads without a score; a survey has nothing else to show of them. */
function noScore(scene: RecordScene, change: ScoreEvents["change"]) {
  if (withoutRecord(scene)) return nothing;
  return html`<button
    type="button"
    class="aw-no-score"
    title="No score"
    aria-label="No score"
    @click=${() => change(setScore(null, scene.state.score))}
  >
    ✕
  </button>`;
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
