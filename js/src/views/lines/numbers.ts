// Weights beside the labels, and shades behind them.

import { strongestFirst } from "../../data/strongest-first.js";
import { formatWeight } from "../../marks/format.js";
import { linkOpacity } from "../../marks/links.js";
import { rowMiddle, side, visibleRows } from "../../marks/text/token-axis.js";
import type { Shade, TokenColumn } from "../../marks/text/tokens.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { meanRow, shadingWeight, sumOf } from "../shared/series.js";
import { NUMBER_WIDTH } from "./layout.js";
import type { LinesInput } from "./links.js";

/** Numbers beside labels: that many of the largest, and none below this weight. */
const SHOWN = 12;
const LEAST = 0.005;
const NOTHING = 0.0005;
const SIZE = 11;

/** The weight between the token in focus and a partner in one head; null until it is here. */
type Partners = (group: number, index: number) => number | null;

function partners({ series, sinkAside, focus, scale }: LinesInput, shaded: boolean): Partners {
  const read = (queries: readonly number[], keys: readonly number[], group: number) => {
    const rows = series[group]?.rows;
    const row = rows ? meanRow(rows, queries) : null;
    if (!row || keys.length === 0) return null;
    if (!shaded) return sumOf(row, keys);
    return keys.reduce((sum, key) => sum + shadingWeight(row, key, sinkAside, scale), 0);
  };
  return focus.about === "query"
    ? (group, index) => read(focus.queries, [index], group)
    : (group, index) => read([index], focus.keys, group);
}

/** The shade behind a partner's label, a segment per head. */
export function shadesOf(input: LinesInput): (index: number) => readonly Shade[] {
  const weights = partners(input, true);
  return (index) =>
    input.series.map(({ colour }, group) => ({
      colour,
      // Half as strong as a link, so that the label on it stays readable.
      opacity: 0.5 * linkOpacity(weights(group, index) ?? 0),
    }));
}

/** The rows that get numbers: the largest in the window, and the other end of the pair in focus. */
function numberedRows(
  input: LinesInput,
  column: TokenColumn,
  weights: Partners,
): readonly number[] {
  const { focus } = input;
  const pair = focus.about === "query" ? focus.keys : focus.queries;
  const [first, last] = visibleRows(column.axis);
  const strengths: { index: number; weight: number }[] = [];
  for (let index = first; index < last; index++) {
    if (side(column.axis, index) !== 0) continue;
    let weight = 0;
    for (let group = 0; group < input.series.length; group++) {
      weight = Math.max(weight, weights(group, index) ?? 0);
    }
    if (weight >= LEAST * (input.scale ?? 1) || pair.includes(index))
      strengths.push({ index, weight });
  }
  strengths.sort((a, b) => strongestFirst(a.weight, b.weight));
  return strengths
    .filter(({ index }, rank) => rank < SHOWN || pair.includes(index))
    .map(({ index }) => index);
}

/** Beside which tokens the mean stands in, for want of room for every head's number. */
export function meansBeside(
  numbers: { readonly query: number; readonly key: number },
  numHeads: number,
): "tokens" | "queries" | null {
  if (numbers.key > 0 && numHeads > numbers.key) return "tokens";
  return numbers.query > 0 && numHeads > numbers.query ? "queries" : null;
}

/** Exact weights at the outer side of the partners of the token in focus. */
export function drawNumbers(surface: Surface, scene: Scene, input: LinesInput): void {
  const { layout, series, focus } = input;
  const { theme } = scene;
  const atKeys = focus.about === "query";
  const column = atKeys ? layout.keys : layout.queries;
  const columns = atKeys ? layout.numbers.key : layout.numbers.query;
  if (columns === 0 || focus.about === "all") return;
  const left = atKeys ? column.x + column.width : column.x - columns * NUMBER_WIDTH;
  const weights = partners(input, false);
  const means = series.length > columns;
  for (const index of numberedRows(input, column, weights)) {
    const known = series.map((_, group) => weights(group, index) ?? 0);
    const shown = means ? [known.reduce((a, b) => a + b, 0) / known.length] : known;
    const y = rowMiddle(column.axis, index);
    shown.forEach((weight, i) => {
      // Among numbers of other heads, next to nothing is an empty place.
      if (shown.length > 1 && weight < NOTHING * (input.scale ?? 1)) return;
      const x = left + (i + 1) * NUMBER_WIDTH - 3;
      if (!means && series.length > 1) {
        const bar = { x: x - NUMBER_WIDTH + 4, y: y - 5, width: 2, height: 10 };
        surface.rect(bar, { fill: series[i]?.colour ?? theme.text });
      }
      const fill = weight >= 0.1 * (input.scale ?? 1) ? theme.text : theme.muted;
      surface.text(x, y, formatWeight(weight), { fill, size: SIZE, anchor: "end" });
    });
  }
}
