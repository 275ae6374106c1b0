// Columns of a trace: which positions of the input are there, and where.

import type { Trace } from "../../protocol/generated.js";
import { textWidth } from "../../surface/text.js";

export interface TraceColumn {
  readonly position: number;
  readonly x: number;
  readonly label: string;
  /** Whether the metric is read here. */
  readonly start: boolean;
  /** Whether its label has room, and its number: those of the largest links come first. */
  readonly labelled: boolean;
  readonly numbered: boolean;
}

/** Positions that are left out between two columns. */
export interface TraceBreak {
  readonly x: number;
  readonly width: number;
  /** The first of them. */
  readonly first: number;
  readonly count: number;
  readonly numbered: boolean;
  /** How many, in as many words as there is room for. */
  readonly text: string;
}

export interface TraceColumns {
  readonly columns: readonly TraceColumn[];
  readonly breaks: readonly TraceBreak[];
  /** Whether the labels are turned, as they have no room side by side. */
  readonly turned: boolean;
  readonly pitch: number;
}

export const TOKEN_SIZE = 11.5;
/** Of the numbers of positions. */
export const NUMBER_SIZE = 9.5;
/** Longer labels are cut. */
export const LONGEST_LABEL = 96;
/** All positions are there while each has so much room. */
const ROOMY = 44;
/** What positions that are left out take, beside a column's 1, and at most. */
const BREAK = 0.7;
const WIDEST_BREAK = 56;

/** Turned labels stand so far apart. */
const TURNED_PITCH = 12.5;
/** Where more positions are read, all alike, they take part where a link does. */
const MOST_STARTS = 12;

/** The positions that take part: where the metric is read, and at the ends of links, the largest first. */
function takenPart(trace: Trace): readonly number[] {
  const ends = trace.links.flatMap(({ query, key }) => [query, key]);
  const starts = trace.starts.length > MOST_STARTS ? [] : trace.starts;
  return [...new Set([...starts, ...ends])];
}

/** The positions that have a column: all of them, or those that take part; one alone between two of these stays. */
function shownOf(trace: Trace, width: number): readonly number[] {
  const { labels } = trace;
  const part = new Set(takenPart(trace));
  const every = labels.map((_, position) => position);
  if (width / Math.max(1, labels.length) >= ROOMY) return every;
  const there = (position: number) => part.has(position) || every[position] === undefined;
  const between = (position: number) => there(position - 1) && there(position + 1);
  return every.filter((position) => part.has(position) || between(position));
}

function pitchOf(width: number, columns: number, gaps: number): number {
  const wide = (width - WIDEST_BREAK * gaps) / columns;
  return BREAK * wide >= WIDEST_BREAK ? wide : width / (columns + BREAK * gaps);
}

const numberWidth = (text: string) => textWidth(text, NUMBER_SIZE) + 5;

/** Which of some words in one line have room, those that come first before the others. */
function withRoom(
  words: readonly { readonly x: number; readonly width: number }[],
): readonly boolean[] {
  const kept: { readonly x: number; readonly width: number }[] = [];
  return words.map((word) => {
    const fits = kept.every(({ x, width }) => Math.abs(x - word.x) >= (width + word.width) / 2);
    if (fits) kept.push(word);
    return fits;
  });
}

type Gap = Omit<TraceBreak, "numbered" | "text">;

/** What is said below: the numbers of positions, which come first, and how many are left out between them. */
function numbersOf(
  positions: readonly { readonly position: number; readonly x: number }[],
  gaps: readonly Gap[],
): { readonly texts: readonly string[]; readonly numbers: readonly boolean[] } {
  const fitting = (texts: readonly string[]) =>
    withRoom([
      ...positions.map(({ position, x }) => ({ x, width: numberWidth(String(position)) })),
      ...gaps.map(({ x }, gap) => ({ x, width: numberWidth(texts[gap] as string) })),
    ]);
  // All alike: in words, or as "+43", which the notes below explain.
  const words = gaps.map(({ count }) => `${count} left out`);
  const roomy = fitting(words).slice(positions.length).every(Boolean);
  const texts = roomy ? words : gaps.map(({ count }) => `+${count}`);
  return { texts, numbers: fitting(texts) };
}

/** Where the columns stand in `width` pixels from `left`. */
export function columnsOf(trace: Trace, left: number, width: number): TraceColumns {
  const { labels } = trace;
  const shown = shownOf(trace, width);
  const ends = [-1, ...shown, labels.length];
  // Before each column, and after the last.
  const missing = ends.slice(1).map((end, at) => end - (ends[at] as number) - 1);
  const gaps = missing.filter((count) => count > 0).length;
  const pitch = pitchOf(width, Math.max(1, shown.length), gaps);
  const broken = Math.min(WIDEST_BREAK, BREAK * pitch);
  const placed = new Map<number, number>();
  const gapsAt: Gap[] = [];
  let x = left;
  missing.forEach((count, at) => {
    if (count > 0) {
      const first = (ends[at] as number) + 1;
      gapsAt.push({ x: x + broken / 2, width: broken, first, count });
      x += broken;
    }
    const position = shown[at];
    if (position === undefined) return;
    placed.set(position, x + pitch / 2);
    x += pitch;
  });
  const widthOf = (position: number) =>
    Math.min(LONGEST_LABEL, textWidth(labels[position] ?? "", TOKEN_SIZE, "sans", "bold"));
  const turned = Math.max(0, ...shown.map(widthOf)) > pitch - 6;
  const ranked = [...takenPart(trace), ...shown].filter((position) => placed.has(position));
  const order = [...new Set(ranked)];
  const at = (position: number) => placed.get(position) as number;
  const named = withRoom(
    order.map((position) => ({ x: at(position), width: turned ? TURNED_PITCH : 0.99 * pitch })),
  );
  const { texts, numbers } = numbersOf(
    order.map((position) => ({ position, x: at(position) })),
    gapsAt,
  );
  const rank = new Map(order.map((position, place) => [position, place]));
  return {
    columns: shown.map((position) => ({
      position,
      x: at(position),
      label: labels[position] ?? "",
      start: trace.starts.includes(position),
      labelled: named[rank.get(position) as number] as boolean,
      numbered: numbers[rank.get(position) as number] as boolean,
    })),
    breaks: gapsAt.map((each, place) => ({
      ...each,
      text: texts[place] as string,
      numbered: numbers[order.length + place] as boolean,
    })),
    turned,
    pitch,
  };
}
