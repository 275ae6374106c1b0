// Weights beside the labels, and shades behind them.

import { strongestFirst } from "../../data/strongest-first.js";
import { formatSigned, formatWeight } from "../../marks/format.js";
import { linkOpacity } from "../../marks/links.js";
import { rowMiddle, side, visibleRows } from "../../marks/text/token-axis.js";
import type { TokenColumn, Underline } from "../../marks/text/tokens.js";
import type { Scene } from "../../scene/scene.js";
import type { Theme } from "../../styles/theme.js";
import type { Surface } from "../../surface/surface.js";
import { meanRow, shadingWeight, sumOf } from "../shared/series.js";
import { NUMBER_WIDTH } from "./layout.js";
import type { LinesInput } from "./links.js";

/** Numbers beside labels: that many of the largest, and none below this weight. */
const SHOWN = 12;
const LEAST = 0.005;
const NOTHING = 0.0005;
const SIZE = 11;
/** Of numbers one above another. */
const STACKED = 8;
/** A weaker link underlines nothing. */
const UNDERLINED = 0.02;

/** The weight between the token in focus and a partner in one head; null until it is here. */
type Partners = (group: number, index: number) => number | null;

function partners({ series, aside, focus, scale }: LinesInput, shaded: boolean): Partners {
  const read = (queries: readonly number[], keys: readonly number[], group: number) => {
    const rows = series[group]?.rows;
    const row = rows ? meanRow(rows, queries) : null;
    if (!row || keys.length === 0) return null;
    if (!shaded) return sumOf(row, keys);
    return keys.reduce((sum, key) => sum + shadingWeight(row, key, aside, scale), 0);
  };
  return focus.about === "query"
    ? (group, index) => read(focus.queries, [index], group)
    : (group, index) => read([index], focus.keys, group);
}

/** The lines under a partner's label, one per head that has a link there. */
export function underlinesOf(
  input: LinesInput,
  { positive, negative }: Pick<Theme, "positive" | "negative">,
): (index: number) => readonly Underline[] {
  const weights = partners(input, true);
  return (index) =>
    input.series.flatMap(({ colour: own }, group) => {
      const weight = weights(group, index) ?? 0;
      const colour = !input.signed ? own : weight < 0 ? negative : positive;
      const size = Math.abs(weight);
      return size >= UNDERLINED ? [{ colour, opacity: linkOpacity(size) }] : [];
    });
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
      weight = Math.max(weight, Math.abs(weights(group, index) ?? 0));
    }
    if (weight >= LEAST * (input.scale ?? 1) || pair.includes(index))
      strengths.push({ index, weight });
  }
  strengths.sort((a, b) => strongestFirst(a.weight, b.weight));
  return strengths
    .filter(({ index }, rank) => rank < SHOWN || pair.includes(index))
    .map(({ index }) => index);
}

/** How the numbers of all heads stand beside a label: in columns, and where those do not do, in lines too. */
interface NumberGrid {
  readonly columns: number;
  readonly lines: number;
  readonly size: number;
}

/** Null where there is no room for all of them: the lowest row holds two, one above the other. */
function gridOf(count: number, columns: number): NumberGrid | null {
  if (count <= columns) return { columns, lines: 1, size: SIZE };
  return count <= 2 * columns ? { columns, lines: 2, size: STACKED } : null;
}

/** Whether only the strongest heads have their numbers beside labels, for want of room for all. */
export function lacksNumbers(
  numbers: { readonly query: number; readonly key: number },
  numHeads: number,
): "tokens" | "queries" | null {
  const lacks = (columns: number) => columns > 0 && gridOf(numHeads, columns) === null;
  if (lacks(numbers.key)) return "tokens";
  return lacks(numbers.query) ? "queries" : null;
}

/** Exact weights at the outer side of the partners of the token in focus, each a head's own. */
export function drawNumbers(surface: Surface, scene: Scene, input: LinesInput): void {
  const { layout, series, focus } = input;
  const { theme } = scene;
  const atKeys = focus.about === "query";
  const column = atKeys ? layout.keys : layout.queries;
  const columns = atKeys ? layout.numbers.key : layout.numbers.query;
  if (columns === 0 || focus.about === "all") return;
  const left = atKeys ? column.x + column.width : column.x - columns * NUMBER_WIDTH;
  const weights = partners(input, false);
  const grid = gridOf(series.length, columns);
  const { lines, size } = grid ?? { lines: 1, size: SIZE };
  // A sign leaves room for a digit less.
  const say = input.signed ? (value: number) => formatSigned(value, 2) : formatWeight;
  for (const index of numberedRows(input, column, weights)) {
    const known = series.map((_, group) => ({ group, weight: weights(group, index) ?? 0 }));
    // Without room for all, those of the heads that look there most.
    const shown = grid
      ? known
      : [...known]
          .sort((a, b) => strongestFirst(Math.abs(a.weight), Math.abs(b.weight)))
          .slice(0, columns)
          .sort((a, b) => a.group - b.group);
    const middle = rowMiddle(column.axis, index);
    shown.forEach(({ group, weight }, i) => {
      // Among numbers of other heads, next to nothing is an empty place.
      const of = Math.abs(weight);
      const nothing = Math.max(NOTHING * (input.scale ?? 1), input.signed ? LEAST : 0);
      if (series.length > 1 && of < nothing) return;
      const x = left + ((i % columns) + 1) * NUMBER_WIDTH - 3;
      const y = middle + (Math.floor(i / columns) - (lines - 1) / 2) * size;
      if (series.length > 1) {
        const height = lines > 1 ? size - 1 : 10;
        const bar = { x: x - NUMBER_WIDTH + 4, y: y - height / 2, width: 2, height };
        surface.rect(bar, { fill: series[group]?.colour ?? theme.text });
      }
      const fill = of >= 0.1 * (input.scale ?? 1) ? theme.text : theme.muted;
      surface.text(x, y, say(weight), { fill, size, anchor: "end" });
    });
  }
}
