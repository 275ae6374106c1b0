// Numbers that shade running text.

import { asideRow } from "../../data/aside.js";
import { columnSum } from "../../data/columns.js";
import { divergingShade, scaleEnd, sequentialShade } from "../../marks/matrix/shading.js";
import { LARGEST_WHOLE_HEAD } from "../../protocol/constants.js";
import type { Scene } from "../../scene/scene.js";
import type { Theme } from "../../styles/theme.js";
import { isSigned } from "../shared/measure.js";
import {
  type Focus,
  focusOf,
  headSeries,
  hoveredPositions,
  meanRow,
  pinnedFocus,
  type Series,
  shadingColumn,
  sumOf,
} from "../shared/series.js";

/** Whether queries and keys are one text. */
export const isOneText = ({ queries, keys }: Scene): boolean => queries === keys;

/**
 * Which way a text is read that is queries and keys alike: what the pinned token attends to, or what
 * attends to it. The pins say; where they do not, the switch above the text does.
 */
export function readsBackwards({ state, options }: Scene): boolean {
  const [query, key] = [state.queries.length > 0, state.keys.length > 0];
  return query === key ? options.attendedBy : key;
}

/** What the shade of the text is about. */
export interface TextSubject extends Pick<Focus, "about" | "queries" | "keys"> {
  /** The axis that is shaded: keys by what queries give them, or queries by what they give keys. */
  readonly over: "query" | "key";
}

const ALL: TextSubject = { about: "all", over: "key", queries: [], keys: [] };

function textSubject(scene: Scene, hovering: boolean): TextSubject {
  if (!isOneText(scene)) {
    const { about, queries, keys } = hovering ? focusOf(scene) : pinnedFocus(scene);
    return { about, over: about === "key" ? "query" : "key", queries, keys };
  }
  const { state } = scene;
  const hovered = hovering ? hoveredPositions(scene) : { query: null, key: null };
  const group = (hover: number | null, pins: readonly number[]) =>
    hover === null ? pins : [hover];
  const queries = group(hovered.query, state.queries);
  const keys = group(hovered.key, state.keys);
  // What is pointed at on the other axis is the other end of a pair, and turns nothing round.
  const backwards = readsBackwards(scene);
  if ((backwards ? keys : queries).length === 0) return { ...ALL, queries, keys };
  return { about: backwards ? "key" : "query", over: backwards ? "query" : "key", queries, keys };
}

/** Numbers of the axis that is shaded. */
export interface TextShading {
  readonly subject: TextSubject;
  readonly series: readonly Series[];
  /** The weights themselves, head by head: what is said in numbers. */
  readonly weights: readonly Float32Array[];
  /** What shades: the mean of the heads, without the first key where that is set aside. */
  readonly shades: Float32Array;
  /** Head by head, where they are few enough to be told apart. */
  readonly each: readonly Float32Array[];
  /** The end of the scale. */
  readonly end: number;
  /** Whether they have both signs, each with a colour of its own. */
  readonly signed: boolean;
}

/** The colour of a shade, and its place in its table; null where there is nothing. */
export function shadeIn(
  { end, signed }: Pick<TextShading, "end" | "signed">,
  value: number,
  theme: Theme,
): { readonly table: Uint8Array; readonly place: number } | null {
  if (!(signed ? value !== 0 : value > 0)) return null;
  const shade = signed ? divergingShade(end) : sequentialShade(end);
  const place = Math.round(shade(value));
  if (Number.isNaN(place) || place === (signed ? 128 : 0)) return null;
  return { table: signed ? theme.diverging : theme.sequential, place };
}

/** More heads than this are only shown as their mean. */
export const MOST_BARS = 4;

/** What is not to be had from a few rows is read from whole heads, where those are in the browser anyway. */
export function isWhole({ queries, keys }: Scene): boolean {
  return queries.length * keys.length <= LARGEST_WHOLE_HEAD;
}

/** Whether the mean over all queries takes reading all of them. */
export function hasMean(scene: Scene): boolean {
  const { recorded, generationStep, state } = scene;
  const words = recorded !== null && recorded.queries !== scene.queries;
  const { together } = scene;
  const largest = together?.how === "max" && !together.layers;
  const rows = words || generationStep !== null || largest;
  return isWhole(scene) || !(rows || state.measure === "rollout");
}

/** Whether columns are read: a row of every query that the pointer passes would be fetched for nothing. */
export function readsColumns(scene: Scene): boolean {
  const { form, queries } = scene.state;
  return form === "text" && queries.length === 0 && !isWhole(scene);
}

/** What some queries give some keys, on average, from columns alone. */
export function columnWeight(
  series: Series,
  queries: readonly number[],
  keys: readonly number[],
): number | null {
  const column = columnSum(series.rows, keys);
  return column && sumOf(column, queries) / queries.length;
}

function weightsOf(scene: Scene, series: Series, { about, queries, keys }: TextSubject) {
  if (about === "query") return meanRow(series.rows, queries);
  if (about === "key") return columnSum(series.rows, keys);
  return hasMean(scene) ? scene.blocks.mean(series.layer, series.head) : null;
}

/** One head's weights as they shade; null where something for that has not come. */
function shadesOf(scene: Scene, series: Series, subject: TextSubject, weights: Float32Array) {
  const { aside } = scene;
  if (aside.keys.length === 0) return weights;
  const { scale } = series.rows;
  if (subject.about !== "key") return asideRow(weights, aside, scale);
  const keys = subject.keys.filter((key) => !aside.has(key));
  if (scale !== undefined || keys.length === 0) {
    return keys.length === 0 ? weights.map(() => 0) : columnSum(series.rows, keys);
  }
  const found = keys.map((key) => shadingColumn(series.rows, key, aside));
  if (found.some((column) => column === null)) return null;
  return weights.map((_, query) =>
    Math.min(
      1,
      found.reduce((sum, column) => sum + (column?.[query] ?? 0), 0),
    ),
  );
}

function meanOfAll(all: readonly Float32Array[]): Float32Array {
  const [first = new Float32Array(0)] = all;
  if (all.length === 1) return first;
  const mean = new Float32Array(first.length);
  for (const one of all) {
    for (let at = 0; at < mean.length; at++) {
      mean[at] = (mean[at] as number) + (one[at] as number) / all.length;
    }
  }
  return mean;
}

function largestShades(values: ArrayLike<number>): number {
  let most = 0;
  for (let at = 0; at < values.length; at++) most = Math.max(most, Math.abs(values[at] || 0));
  return most;
}

function shadingFor(scene: Scene, subject: TextSubject): TextShading | null {
  const series = headSeries(scene, { isolate: true });
  const weights: Float32Array[] = [];
  const each: Float32Array[] = [];
  for (const one of series) {
    const found = weightsOf(scene, one, subject);
    const shades = found && shadesOf(scene, one, subject, found);
    // All are read before one is missed, so that all are asked for together.
    if (found && shades) {
      weights.push(found);
      each.push(shades);
    }
  }
  if (series.length === 0 || each.length < series.length) return null;
  const shades = meanOfAll(each);
  const bars = series.length > 1 && series.length <= MOST_BARS ? each : [];
  const most = Math.max(largestShades(shades), ...bars.map(largestShades));
  const signed = isSigned(scene);
  return { subject, series, weights, shades, each: bars, end: scaleEnd(most), signed };
}

/**
 * What shades the text: what is pointed at as soon as its numbers are here, until then what is
 * pinned; null while nothing is here.
 */
export function shadingOf(scene: Scene): TextShading | null {
  const hovered = shadingFor(scene, textSubject(scene, true));
  return hovered ?? (scene.hover ? shadingFor(scene, textSubject(scene, false)) : null);
}

/** What the pins alone say: hits and stops go by this, or hovering would turn them round. */
export const pinnedAim = (scene: Scene): TextSubject => textSubject(scene, false);

/** The positions of largest shade, the strongest first; of either sign. */
export function strongest(shades: ArrayLike<number>, count: number): readonly number[] {
  const best: number[] = [];
  const sizeAt = (at: number) => Math.abs(shades[at] as number);
  for (let at = 0; at < shades.length; at++) {
    const shade = sizeAt(at);
    if (!(shade > 0)) continue;
    if (best.length === count && shade <= sizeAt(best[count - 1] as number)) continue;
    const place = best.findIndex((other) => sizeAt(other) < shade);
    best.splice(place < 0 ? best.length : place, 0, at);
    if (best.length > count) best.pop();
  }
  return best;
}

/** The number that a position of the shaded axis has: the mean of the heads, nothing set aside. */
export function weightAt({ weights }: TextShading, index: number): number {
  return weights.reduce((sum, one) => sum + (one[index] as number), 0) / (weights.length || 1);
}
