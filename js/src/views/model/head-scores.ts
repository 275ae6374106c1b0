// Scores, labels and ranking of heads as the model view shows them.

import type { When } from "../../data/blocks.js";
import { BOTH_SIGNS } from "../../data/gradients.js";
import { whyMissing } from "../../data/measures.js";
import { withoutRecord } from "../../data/meta.js";
import { strongestFirst } from "../../data/strongest-first.js";
import { memo } from "../../marks/memo.js";
import { quoted } from "../../marks/text/tokens.js";
import { EFFECT, RANKING } from "../../protocol/constants.js";
import type { HeadRef, Measure, Position, Ranking, ScoreMeta } from "../../protocol/generated.js";
import { recordScene, type Scene } from "../../scene/scene.js";
import type { State } from "../../state/selection.js";
import { asideName } from "../shared/aside.js";
import { MEASURES } from "../shared/measure.js";
import { effectName, effectSizes } from "../what-if/heads.js";
import { type Placed, placedHeads, shownHeads } from "./heads.js";

/** One number for each head, or why there is none. */
export interface Score {
  readonly name: string;
  /** What the legend calls it. */
  readonly title: string;
  /** By a head's index, NaN where it is not defined; null until they are here. */
  readonly values: Float32Array | null;
  /** Why there are none: still computed, or not to be had. */
  readonly why: string | null;
}

export interface Label {
  readonly text: string;
  readonly value: number;
}

/** What the model view draws besides thumbnails. */
export interface Board {
  readonly score: Score;
  readonly values: Float32Array;
  /** All that the numbers depend on, for what is drawn from them and kept. */
  readonly id: string;
  /** End of the colour scale. */
  readonly most: number;
  readonly heads: readonly Placed[];
  /** Best first; heads without the score last. */
  readonly order: readonly Placed[];
  /** How many reach the threshold, and so come first. */
  readonly remaining: number;
  label(index: number): Label | null;
  /** 0..255 along the colour scale; null where the score is not defined. */
  shade(index: number): number | null;
  isOut(index: number): boolean;
}

const MOST_NAMED = 2;

function named(positions: readonly Position[], at: readonly number[]): string {
  const shown = at.slice(0, MOST_NAMED).map((position) => quoted(positions, position));
  const more = at.length - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** “it” → “cat”; the name of a pattern. */
export function rankingTitle(scene: Scene, ranking: Ranking): string {
  if ("grouping" in ranking) return `${ranking.from ?? "all"} → ${ranking.to ?? "all"}`;
  if ("pattern" in ranking) return ranking.pattern;
  const { queries, keys } = recordScene(scene);
  const from = ranking.queries ? named(queries, ranking.queries) : "all";
  return `${from} → ${named(keys, ranking.keys)}`;
}

/** The words for a score, whatever its numbers. */
export function scoreTitle(scene: Scene, name: string): string {
  const { meta, state } = scene;
  if (name === RANKING && state.ranking && "grouping" in state.ranking)
    return `share ${rankingTitle(scene, state.ranking)}`;
  if (name === RANKING && state.ranking)
    return `${MEASURES[state.measure].short} of ${rankingTitle(scene, state.ranking)}`;
  if (name === EFFECT) return effectName(scene);
  return meta.scores.find((score) => score.name === name)?.label ?? name;
}

/** Whose scores: without a choice the first there is, and across it the last. */
export function chosenScores({ meta, state }: Scene): { x: string; y: string } {
  const names = meta.scores.map(({ name }) => name);
  return { x: state.score ?? names[0] ?? "", y: state.other_score ?? names.at(-1) ?? "" };
}

/** What is said of gold links as a score: nothing in a stream without any; null of any other score. */
export function toldOfLinks({ meta, stream }: Scene, name: string): readonly string[] | null {
  const links = meta.survey?.links ?? {};
  const isOne = Object.values(links).some((each) => Object.hasOwn(each, name));
  return isOne ? (links[stream.name]?.[name] ?? []) : null;
}

const UNSEEN = "no query sees such a key in any layer, or no head's weights are numbers.";
const ASIDE = "it is about what is set aside.";

function column(all: Float32Array, scores: readonly ScoreMeta[], name: string, without: boolean) {
  const place = scores.findIndex((score) => score.name === name);
  const heads = all.length / 2 / scores.length;
  const start = without ? heads : 0;
  return Float32Array.from(
    { length: heads },
    (_, head) => all[(start + head) * scores.length + place] as number,
  );
}

/** What is scored where that is not weights. A survey and a comparison have measured what they have measured. */
function measured({ state, meta }: Scene, name: string): { measure?: Measure } {
  const { measure } = state;
  const fixed = meta.survey !== undefined || meta.comparison !== undefined;
  if (measure === "weights" || (fixed && name !== RANKING)) return {};
  return { measure };
}

/** Why a layer cannot give the measure that is scored: the record would refuse the request. */
function notMeasured(scene: Scene, name: string): string | null {
  const { measure } = measured(scene, name);
  const { stream } = scene;
  if (measure === undefined) return null;
  if (measure === "gradient") return BOTH_SIGNS;
  const reasons = stream.layers.map((layer) => whyMissing(stream, layer, measure));
  return reasons.find((reason) => reason !== null) ?? null;
}

/** What a request for scores says of keys set aside: nothing where they are those of every score. */
function scoredAside({ state, meta }: Scene): { aside?: State["aside"] } {
  const { aside } = state;
  const usual = aside === null || aside === "first and special" || meta.comparison !== undefined;
  return usual ? {} : { aside };
}

/** The request for a ranking: of all weight where nothing is set aside. */
function ranked({ state }: Scene, ranking: Ranking) {
  const { aside } = state;
  return { what: "ranking" as const, ranking, ...(aside === null ? {} : { aside }) };
}

/** Read a score; asking is what has it computed. */
export function readScore(scene: Scene, name: string): Score {
  const { meta, stream, state, blocks } = scene;
  const title = scoreTitle(scene, name);
  if (name === EFFECT) {
    const values = effectSizes(scene);
    return { name, title, values, why: values ? null : "no effects of heads are known." };
  }
  const absent = stream.absent?.[name] ?? notMeasured(scene, name);
  if (absent !== null) return { name, title, values: null, why: absent };
  const found =
    name === RANKING && state.ranking
      ? blocks.heads({ ...ranked(scene, state.ranking), ...measured(scene, name) })
      : blocks.heads({ what: "head_scores", ...measured(scene, name), ...scoredAside(scene) });
  if (!found) {
    const why = `scoring ${placedHeads(stream).length} heads …`;
    return { name, title, values: null, why };
  }
  if ("error" in found) return { name, title, values: null, why: found.error };
  if (name === RANKING) return { name, title, values: found.data, why: null };
  const read = (without: boolean) =>
    memo(found, `${name}/${without}`, () => column(found.data, meta.scores, name, without));
  const values = read(state.aside !== null);
  if (values.every(Number.isNaN)) {
    const why = read(false).every(Number.isNaN) ? UNSEEN : ASIDE;
    return { name, title, values: null, why };
  }
  return { name, title, values, why: null };
}

/** Standard deviation of a mean score over a survey's inputs; null outside of one. */
export function spreadOf(scene: Scene, name: string, index: number): number | null {
  const { meta, state, blocks } = scene;
  if (!meta.survey || name === RANKING) return null;
  const found = blocks.heads({ what: "head_spreads" });
  if (!found || "error" in found) return null;
  const [, heads = 0, scores = 0] = found.shape;
  const place = meta.scores.findIndex((score) => score.name === name);
  const row = index + (state.aside !== null ? heads : 0);
  const spread = found.data[row * scores + place];
  return spread === undefined || Number.isNaN(spread) ? null : spread;
}

/** Ends of a colour scale: round numbers, so that one head more or less does not move it. */
const ENDS = [0.02, 0.05, 0.1, 0.2, 0.5, 1];

export function scoreScaleEnd(values: Float32Array, name = ""): number {
  const most = values.reduce((best, value) => (value > best ? value : best), 0);
  // Effects have no fixed scale, as shares of weight have.
  if (name === EFFECT) return Number((most || 1).toPrecision(2));
  return ENDS.find((end) => most <= end) ?? 1;
}

/** What a head does, by its index; the same function as long as the labels are the same. */
export type Labels = (index: number) => Label | null;

/** Labels that have not come, or cannot. */
export const NO_LABELS: Labels = () => null;

function labelsOf(scene: Scene, when: When = "now"): Labels {
  const { blocks, meta } = scene;
  if (notMeasured(scene, "") !== null) return NO_LABELS;
  const found = blocks.heads(
    {
      what: "head_labels",
      ...measured(scene, ""),
      ...scoredAside(scene),
    },
    when,
  );
  if (!found || "error" in found) return NO_LABELS;
  return memo(found, "labels", (): Labels => {
    const { data } = found;
    return (index) => {
      const score = meta.scores[data[2 * index] ?? -1];
      return score ? { text: score.label, value: data[2 * index + 1] ?? 0 } : null;
    };
  });
}

/** Where no score is asked for, labels are worked out of so many weights at most. */
const LABELLED_WEIGHTS = 1 << 26;

/** Whether it is said what each head does where no score is asked for. */
export function hasQuietLabels(scene: Scene): boolean {
  const { stream, queries, keys, meta } = scene;
  const weights = placedHeads(stream).length * queries.length * keys.length;
  const none = meta.scores.length === 0 || scene.sides !== null || withoutRecord(scene);
  if (none || weights > LABELLED_WEIGHTS || scene.state.measure === "rollout") return false;
  return notMeasured(scene, "") === null;
}

/**
 * What each head does, where that is had without anybody waiting: after all else on the screen; in a
 * figure, which is drawn once, with all else.
 */
export function quietLabels(scene: Scene): Labels {
  if (!hasQuietLabels(scene)) return NO_LABELS;
  return labelsOf(scene, scene.drawing ? "now" : "later");
}

/** Whether heads have colours: a score is chosen, or there is nothing else to see of them. */
export function isScored(scene: Scene): boolean {
  const { score, arrange } = scene.state;
  return score !== null || arrange !== "layers" || withoutRecord(scene);
}

/** What the score says about every head; null where none is asked for or none is here. */
export function boardOf(scene: Scene): Board | null {
  const { state } = scene;
  if (!isScored(scene)) return null;
  const score = readScore(scene, chosenScores(scene).x);
  const { values } = score;
  // Asked for together, so that one message brings both.
  const label = labelsOf(scene);
  if (!values) return null;
  const heads = shownHeads(scene);
  const least = state.threshold ?? Number.NEGATIVE_INFINITY;
  const isOut = (index: number) =>
    state.threshold !== null && !((values[index] as number) >= least);
  const order = memo(values, `order ${state.show_layers}`, () => {
    const at = (head: Placed) => values[head.index] as number;
    // Stable: equal heads stay in the model's order.
    return [...heads].sort((a, b) => strongestFirst(at(a), at(b)));
  });
  const most = memo(values, "end", () => scoreScaleEnd(values, score.name));
  const remaining = memo(values, `remaining ${state.threshold} ${state.show_layers}`, () =>
    heads.reduce((count, { index }) => count + (isOut(index) ? 0 : 1), 0),
  );
  const ranking = state.ranking ? JSON.stringify(state.ranking) : "";
  return {
    score,
    values,
    id: `${score.name}/${state.measure}/${JSON.stringify(state.aside)}/${ranking}/${state.threshold}/${state.show_layers}`,
    most,
    heads,
    order,
    remaining,
    label,
    isOut,
    shade: (index) => {
      const value = values[index] as number;
      return Number.isNaN(value) ? null : Math.round(255 * Math.max(0, Math.min(1, value / most)));
    },
  };
}

/** Why heads have no colours though a score is chosen; null where they have, or none is. */
export function whyNoScore(scene: Scene): string | null {
  const { state } = scene;
  if (!isScored(scene)) return null;
  const { x, y } = chosenScores(scene);
  const names = state.arrange === "scatter" ? [x, y] : [x];
  for (const name of names) {
    const { values, why, title } = readScore(scene, name);
    if (!values) return why?.startsWith("scoring") ? why : `${title}: ${why}`;
  }
  return null;
}

/** Of what weight a score is. */
export function weightNote(scene: Scene, name: string): string {
  if (name === EFFECT) return "whatever its sign";
  const { measure } = measured(scene, name);
  const what = measure ? MEASURES[measure].short : "weight";
  // How much a head changed between two records is of all of it.
  if (scene.state.aside === null || scene.sides) return `of all ${what}`;
  const aside = `${asideName(scene) ?? "nothing of this stream"} set aside`;
  return measure ? `of ${what}, ${aside}` : aside;
}

/** The heads of a ranking as layer and head, those that are out left out. */
export function rankedRefs(board: Board): readonly HeadRef[] {
  return board.order
    .filter(({ index }) => !board.isOut(index))
    .map(({ layer, head }): HeadRef => [layer, head]);
}
