// What the reading line says: which link is selected or under the pointer, with its number in each head.

import type { Blocks } from "../../data/blocks.js";
import { heldBy, sideNames } from "../../data/sides.js";
import { formatSigned, formatWeight, ordinal } from "../../marks/format.js";
import { letterOf } from "../../marks/heads/badge.js";
import type { Chosen, Position, Trace } from "../../protocol/generated.js";
import { recordScene, type Scene, tracedHere } from "../../scene/scene.js";
import { listed, type State } from "../../state/selection.js";
import { same } from "../../state/signals.js";
import { comparedSeries } from "../../views/compare/layout.js";
import { isRollout, isSigned, MEASURES, ofMetric, sayNumber } from "../../views/shared/measure.js";
import {
  groupLabel,
  headSeries,
  meanRow,
  poolNote,
  rankOf,
  type Series,
  sized,
  strongestKey,
  sumOf,
} from "../../views/shared/series.js";
import { togetherName, togetherOf, togetherScene } from "../../views/shared/together.js";
import { columnWeight, readsColumns } from "../../views/text/shading.js";
import { traceSentence } from "../../views/trace/view.js";
import { drawsTraceOnly } from "../toolbar/drawn.js";

/** How much of a sentence is said. */
export interface Brevity {
  /** Labels are cut to so many characters. */
  readonly label: number;
  /** More heads than these are not told one by one. */
  readonly heads: number;
  /** Whether a number says what it is a share or a mean of. */
  readonly units: boolean;
}

/** The whole sentence, then those of which less is said. */
export const BREVITIES: readonly [Brevity, ...Brevity[]] = [
  { label: 28, heads: 4, units: true },
  { label: 16, heads: 4, units: true },
  { label: 16, heads: 2, units: true },
  { label: 12, heads: 2, units: false },
  { label: 8, heads: 1, units: false },
];

/** What is said, in the order in which it stands. */
export interface Reading {
  /** The link: “it” looks at “cat”. */
  readonly link: string;
  /** One link, one colour: that of its head, in which it is drawn; else empty. */
  readonly colour: string;
  /** Its number, head by head where there are several. */
  readonly number: string;
  /** Where: layer and head, then positions. */
  readonly where: readonly string[];
  /** Why this is on show, where it was chosen for the reader; else empty. */
  readonly why: string;
}

interface Axes {
  readonly queries: readonly number[];
  readonly keys: readonly number[];
}

/** What a sentence is about: the same however briefly it is said. */
export interface Subject extends Axes {
  readonly whole: Scene;
  /** That in which the heads are one, where they are. */
  readonly scene: Scene;
  readonly heads: readonly Series[];
}

/** What a sentence is about, and how much of it is said. */
interface Told extends Subject {
  readonly brevity: Brevity;
}

/** The pins, or what is under the pointer in their place. */
function axesOf({ state, hover, queries, keys }: Scene): Axes {
  const of = (hovered: number | undefined, pins: readonly number[], count: number) =>
    (hovered === undefined ? pins : [hovered]).filter((index) => index < count);
  return {
    queries: of(hover?.query, state.queries, queries.length),
    keys: of(hover?.key, state.keys, keys.length),
  };
}

/** “it”, “the cat sat”, “it” (user); of cross attention with the sequence it stands in. */
function named(
  { stream }: Scene,
  axis: "query" | "key",
  positions: readonly Position[],
  pins: readonly number[],
  longest: number,
): string {
  const label = groupLabel(positions, pins);
  const text = label.length > longest ? `${label.slice(0, longest - 1)}…` : label;
  const role = pins.length === 1 ? positions[pins[0] ?? 0]?.role : undefined;
  const side = stream.name === "cross" ? (axis === "query" ? "decoder " : "encoder ") : "";
  return `${side}“${text}”${role ? ` (${role})` : ""}`;
}

/** Whether pinned heads stand side by side and nothing else: those selected are not on show then. */
export const comparesHeads = (scene: Scene) =>
  scene.state.view === "compare" &&
  scene.state.compare.length > 0 &&
  !scene.sides &&
  !isRollout(scene);

/** The heads on show: those compared, else those selected. */
export function headsOnShow(scene: Scene): readonly Series[] {
  return comparesHeads(scene) ? comparedSeries(scene) : headSeries(scene, { isolate: false });
}

/** The heads that are told of: the one under the pointer, else those on show. */
function headsOf(scene: Scene): readonly Series[] {
  const { hover, state } = scene;
  if (comparesHeads(scene)) {
    const isTold = ({ layer, head }: Series) => hover?.head === head && hover.layer === layer;
    const compared = headsOnShow(scene);
    return hover?.head === undefined ? compared : compared.filter(isTold);
  }
  // A hovered thumbnail may be a head that is not loaded: said only where numbers are.
  if ((hover?.layer ?? state.layer) !== state.layer) return [];
  // Of several layers' heads the rows are here as one: pointing at one of them asks for no more.
  if (hover?.head !== undefined && togetherOf(scene)?.layers) return [];
  const series = headsOnShow(scene);
  if (isRollout(scene) || hover?.head === undefined) return series;
  return series.filter(({ head }) => head === hover.head);
}

/** A number that is a share of the query's weight says so; other measures have names. */
function unit({ state, together }: Scene, { queries, brevity }: Told): string {
  if (!brevity.units || ofMetric({ state })) return "";
  // A row of maxima or of sums is no whole that a number could be a part of.
  if (state.measure === "weights" && together && together.how !== "mean") return "";
  if (state.measure === "weights") return ` of ${queries.length > 1 ? "their" : "its"} weight`;
  return state.measure === "rollout" ? "" : ` (${MEASURES[state.measure].choice})`;
}

function weightOf(scene: Scene, series: Series, { queries, keys }: Axes): number | null {
  if (readsColumns(scene)) {
    const column = columnWeight(series, queries, keys);
    if (column !== null) return column;
  }
  const row = meanRow(series.rows, queries);
  return row && sumOf(row, keys);
}

/** What links do to a metric, in words: what is less than 0 is taken from it, not added. */
interface Effect {
  readonly verb: "add" | "take";
  /** " to log p", " from log p", or nothing. */
  readonly metric: string;
  readonly say: (value: number) => string;
}

function effectOf(scene: Scene, { brevity }: Told, values: readonly number[]): Effect {
  const { metric } = scene.stream;
  const signed = (value: number) => sayNumber(scene, value);
  const isTaken = (value: number) => value < 0 && signed(value) !== signed(0);
  const verb = values.every(isTaken) ? "take" : "add";
  // Without the words around it a number needs its sign.
  if (!brevity.units) return { verb, metric: "", say: signed };
  const to = verb === "take" ? "from" : "to";
  const say = verb === "take" ? (value: number) => formatWeight(-value) : signed;
  return { verb, metric: metric === undefined ? "" : ` ${to} ${metric}`, say };
}

/** What a link with both ends known does to a metric. */
function effectNumber(scene: Scene, told: Told, found: readonly (readonly [Series, number])[]) {
  const { queries, keys, brevity } = told;
  const { verb, metric, say } = effectOf(
    scene,
    told,
    found.map(([, value]) => value),
  );
  const each = found.map(([series, value]) => [series, say(value)] as const);
  const isNothing = each.every(([, text]) => text === say(0));
  const more = queries.length * keys.length * found.length > 1;
  const does = more ? `their links ${verb} ` : `its link ${verb}s `;
  const number = isNothing && brevity.units ? "nothing" : perHead(scene, told, each);
  return `, ${brevity.units ? does : ""}${number}${metric}${pooled(told)}.`;
}

/** " (mean of 2 queries, sum of 3 keys)", or nothing where there is one of each. */
function pooled(told: Axes & Pick<Told, "brevity">): string {
  const note = told.brevity.units ? poolNote(told) : "";
  return note && ` (${note})`;
}

/** Each head's number, none of them a mean of heads. */
function perHead(
  scene: Scene,
  { brevity, heads }: Told,
  found: readonly (readonly [Series, string])[],
): string {
  const [only] = found;
  if (found.length === 1 && only) return only[1];
  const name = ({ layer, head }: Series) =>
    comparesHeads(scene) ? `${layer}·${head}` : `head ${head}`;
  const told = found.slice(0, brevity.heads).map(([one, text]) => `${name(one)} ${text}`);
  const more = heads.length - told.length;
  return `${told.join(", ")}${more > 0 ? ` and ${more} more heads` : ""}`;
}

/** A link with both ends known. */
function linkReading(scene: Scene, told: Told): Pick<Reading, "link" | "number"> {
  const { queries, keys, heads, brevity } = told;
  const [from, to] = [
    named(scene, "query", scene.queries, queries, brevity.label),
    named(scene, "key", scene.keys, keys, brevity.label),
  ];
  const verb = queries.length > 1 ? "look at" : "looks at";
  const link = isRollout(scene)
    ? `“${groupLabel(scene.keys, keys)}” reaches ${from}`
    : `${from} ${verb} ${to}`;
  const two = comparedNumbers(scene, told);
  if (two !== null) return { link, number: two };
  const found = heads.flatMap((series) => {
    const weight = weightOf(scene, series, told);
    return weight === null ? [] : [[series, weight] as const];
  });
  // A link that is masked, or cut.
  if (found.length === 0) return { link, number: "" };
  if (ofMetric(scene)) return { link, number: effectNumber(scene, told, found) };
  const each = found.map(([series, weight]) => [series, sayNumber(scene, weight)] as const);
  if (!isRollout(scene) && each.every(([, weight]) => weight === formatWeight(0))) {
    const none = queries.length > 1 ? "do not look at" : "does not look at";
    return { link: `${from} ${none} ${to}`, number: "." };
  }
  const separator = found.length > 1 ? ": " : ", ";
  const number = perHead(scene, told, each);
  return { link, number: `${separator}${number}${unit(scene, told)}${pooled(told)}.` };
}

/** Numbers of a series that are told one by one; of more the first and the last are. */
const MOST_RECORDS = 4;

/** "A 0.250, B 0.750, B − A +0.500"; of a series "A 0.250 → B 0.300 → C 0.750, C − A +0.500". */
function overRecords(weights: readonly number[]): string {
  const told = weights.map((weight, n) => `${letterOf(n)} ${formatWeight(weight)}`);
  const last = weights.length - 1;
  const change = formatSigned((weights[last] as number) - (weights[0] as number));
  const listed =
    last < 2
      ? told.join(", ")
      : (told.length > MOST_RECORDS ? [told[0], "…", told[last]] : told).join(" → ");
  return `${listed}, ${letterOf(last)} − A ${change}`;
}

/** Of compared records: the link's weight in each, and how much it changed. */
function comparedNumbers(scene: Scene, told: Told): string | null {
  const { queries, keys } = told;
  const { sides, state } = scene;
  if (!sides) return null;
  const only = [
    ...queries.map((query) => heldBy(scene.queries[query])),
    ...keys.map((key) => heldBy(scene.keys[key])),
  ].find((those) => those !== undefined);
  if (only) return ` only in ${sideNames(only)}.`;
  const of = (blocks: Blocks) => meanRow(blocks.weights(state.layer, state.heads[0] ?? 0), queries);
  const weights = sides.flatMap((blocks) => {
    const row = of(blocks);
    return row ? [sumOf(row, keys)] : [];
  });
  if (weights.length < sides.length) return "";
  return `: ${overRecords(weights)}${pooled(told)}.`;
}

/** A query alone: where each head looks most. */
function queryReading(scene: Scene, told: Told): Pick<Reading, "link" | "number"> {
  const { queries, heads, brevity } = told;
  const from = named(scene, "query", scene.queries, queries, brevity.label);
  if (isRollout(scene) || scene.sides) return { link: from, number: "" };
  const found = heads.flatMap((series) => {
    const row = readsColumns(scene) ? null : meanRow(series.rows, queries);
    if (!row) return [];
    const key = strongestKey(sized(scene, row));
    return [[series, key, row[key] as number] as const];
  });
  const [only] = found;
  if (!only) return { link: from, number: "" };
  const effect = effectOf(
    scene,
    told,
    found.map(([, , value]) => value),
  );
  const many = queries.length > 1;
  const own = many ? "look most at" : "looks most at";
  const does = `${effect.verb}${many ? "" : "s"}`;
  const verb = ofMetric(scene) ? `${does} most by ${many ? "their links" : "its link"} to` : own;
  const say = (value: number) => (ofMetric(scene) ? effect.say(value) : sayNumber(scene, value));
  const to = (key: number) => named(scene, "key", scene.keys, [key], brevity.label);
  const of = `${ofMetric(scene) ? effect.metric : unit(scene, told)}${pooled(told)}.`;
  if (ofMetric(scene) && found.every(([, , value]) => say(value) === say(0)))
    return { link: `${from} ${does} nothing by any link`, number: of };
  if (found.length === 1) {
    const [, key, value] = only;
    return { link: `${from} ${verb} ${to(key)}`, number: `, ${say(value)}${of}` };
  }
  const each = found.map(([series, key, value]) => [series, `${to(key)} ${say(value)}`] as const);
  return { link: `${from} ${verb}`, number: `: ${perHead(scene, told, each)}${of}` };
}

/** "layer 3, head 3", with the stream where there are others, and the measure. */
function placeOf(scene: Scene): readonly string[] {
  const { state, hover, stream, meta } = scene;
  const layer = hover?.layer ?? state.layer;
  const heads = hover?.head !== undefined ? [hover.head] : state.heads;
  const count = stream.layers.find((each) => each.layer === layer)?.num_heads ?? 0;
  const all = heads.length === count && count > 1;
  const listed = heads.length > 8 ? `${heads.slice(0, 8).join(", ")} …` : heads.join(", ");
  const said = scene.together
    ? togetherName(scene.together)
    : isRollout(scene)
      ? "all heads"
      : all
        ? `all ${count} heads`
        : `${heads.length === 1 ? "head" : "heads"} ${listed}`;
  // Those of several layers say so themselves.
  const apart =
    comparesHeads(scene) && hover?.head === undefined
      ? `heads ${state.compare.map(([layer, head]) => `${layer}·${head}`).join(", ")}`
      : null;
  const place = apart ?? (scene.together?.layers ? said : `layer ${layer}, ${said}`);
  const parts = [
    `${meta.streams.length > 1 ? `${stream.name}, ` : ""}${place}`,
    ...(state.measure === "weights" ? [] : [MEASURES[state.measure].choice]),
  ];
  const thumbnail =
    hover?.query === undefined && hover?.key === undefined ? hover?.layer : undefined;
  // A head under the pointer says where in the model it is, as `model.get_submodule` would find it.
  const path = stream.layers.find((each) => each.layer === thumbnail)?.module_path;
  return path ? [...parts, path] : parts;
}

/** "query 8, key 2": equal tokens are told apart by where they stand. */
function positionsOf({ queries, keys }: Axes): readonly string[] {
  const at = (name: string, pins: readonly number[]) =>
    pins.length === 1 ? [`${name} ${pins[0]}`] : [];
  const positions = [...at("query", queries), ...at("key", keys)].join(", ");
  return positions ? [positions] : [];
}

/** "2nd of 9 keys": of one link in one head that is not its query's strongest. */
function rankNote(scene: Scene, { queries, keys, heads }: Told): readonly string[] {
  const [series, other] = heads;
  const [query, key] = [queries[0], keys[0]];
  if (!series || other || scene.sides || readsColumns(scene)) return [];
  if (queries.length !== 1 || keys.length !== 1 || query === undefined || key === undefined)
    return [];
  const row = series.rows.row(query);
  if (!row || isSigned(scene) || !((row[key] as number) > 0)) return [];
  const { rank, of } = rankOf(row, key);
  return rank > 1 ? [`${ordinal(rank)} of ${of} keys`] : [];
}

/** Whether what was chosen is what is selected. */
export function isChosen(chosen: Chosen, state: State): boolean {
  const { stream, layer, head, query, key } = chosen;
  return (
    state.stream === stream &&
    state.layer === layer &&
    same(state.heads, [head]) &&
    same(state.queries, listed(query)) &&
    same(state.keys, listed(key))
  );
}

/** What there is to say: of what is under the pointer, else of what is selected. */
export function subjectOf(whole: Scene): Subject {
  // A head that is pointed at is told by itself.
  const apart = whole.hover?.head !== undefined || comparesHeads(whole);
  const scene = apart ? whole : togetherScene(whole);
  return { ...axesOf(scene), whole, scene, heads: headsOf(scene) };
}

/** One told head's own; of several, or of what is no single head, there is none. */
function colourOf({ scene, heads }: Subject): string {
  const [only] = heads;
  return only && heads.length === 1 && !scene.together ? only.colour : "";
}

/** The trace that is all there is to see, while none of its links is selected or pointed at; else null. */
function traceAlone({ whole, queries, keys, heads }: Subject): Trace | null {
  const trace = drawsTraceOnly(whole) ? (tracedHere(whole)?.trace ?? null) : null;
  if (!trace || whole.hover?.query !== undefined || whole.hover?.head !== undefined) return null;
  const { layer } = whole.state;
  // As the record numbers them: where words are shown, a link has several pieces.
  const { queries: from, keys: to } = recordScene(whole).state;
  const isSelected = trace.links.some(
    (link) =>
      link.layer === layer &&
      heads.some(({ head }) => head === link.head) &&
      from.includes(link.query) &&
      to.includes(link.key),
  );
  return queries.length > 0 && keys.length > 0 && isSelected ? null : trace;
}

/** The reading line of a subject, as briefly as is asked for. */
export function say(
  subject: Subject,
  chosen: Chosen | null,
  brevity: Brevity = BREVITIES[0],
): Reading {
  const { whole, scene, queries, keys } = subject;
  const trace = traceAlone(subject);
  if (trace) return { ...traceSentence(trace, brevity.label), colour: "", where: [], why: "" };
  const told: Told = { ...subject, brevity };
  const both = queries.length > 0 && keys.length > 0;
  const said = both
    ? linkReading(scene, told)
    : queries.length > 0
      ? queryReading(scene, told)
      : keys.length > 0
        ? { link: `key ${named(scene, "key", scene.keys, keys, brevity.label)}`, number: "" }
        : { link: "", number: "" };
  // A sentence about heads that are one or side by side is about others than the one that was chosen.
  const single = !scene.together && !comparesHeads(whole);
  const why =
    chosen && single && whole.hover === null && isChosen(chosen, recordScene(whole).state)
      ? `chosen for you: ${chosen.why}`
      : "";
  // Why it is on show is more than its numbers.
  const which = why === "" ? [...positionsOf(told), ...rankNote(scene, told)] : [];
  return { ...said, colour: colourOf(subject), where: [...placeOf(scene), ...which], why };
}

/** The whole reading line. */
export function reading(scene: Scene, chosen: Chosen | null): Reading {
  return say(subjectOf(scene), chosen);
}

/** What is said besides the link, the most needed first: where it is, and why it is on show. */
export function besides({ where, why }: Reading): readonly string[] {
  return why === "" ? where : [...where, why];
}

/** All of it as one text. */
export function readingText(all: Reading): string {
  return [`${all.link}${all.number}`, besides(all).join(" · ")]
    .filter((part) => part !== "")
    .join(" ");
}

/** What a label is called in a sentence. */
const SPOKEN: Readonly<Record<string, string>> = {
  previous: "previous token",
  next: "next token",
  first: "first token",
};

export interface AlsoHere {
  readonly text: string;
  readonly layer: number;
  readonly head: number;
}

/** Other heads that are worth a look, with what they do: "previous token 0·2". */
export function alsoHere(scene: Scene, chosen: Chosen | null): readonly AlsoHere[] {
  if (!chosen || chosen.stream !== scene.state.stream) return [];
  return chosen.also.map(({ label, layer, head }) => ({
    text: `${SPOKEN[label] ?? label} ${layer}·${head}`,
    layer,
    head,
  }));
}
