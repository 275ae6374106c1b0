// What of the reading line there is room for: the least needed gives way first.

import type { Weight } from "../../surface/text.js";

/** Pixels of a text in the page's own font. */
export type Measure = (text: string, size: number, weight?: Weight) => number;

/** Font sizes of the sentence and of what follows it. As in widget.css. */
export const SAID_SIZE = 15;
const REST_SIZE = 12;
/** Between one thing and the next; around the words of a button. As in widget.css. */
const SPACE = 4;
const APART = 16;
const PADDING = 6;
/** A line of words ends before its room does. */
const RAGGED = 0.92;

/** What could be said, each in the order in which it is needed. */
export interface Wished {
  /** Pixels of the sentence, whole. */
  readonly said: number;
  readonly parts: readonly string[];
  /** Buttons that have to be there. */
  readonly buttons: readonly string[];
  /** Buttons that may be, after a word for all of them. */
  readonly others: readonly string[];
  readonly before: string;
}

/** How much of it stands in the line. */
export interface Fitting {
  readonly parts: number;
  readonly others: number;
}

/** Whether a sentence stands in so many rows. */
export function stands(said: number, width: number, rows: number): boolean {
  return said <= (rows === 1 ? width : RAGGED * width * rows);
}

/** Counts what stands in the rows, none of it broken; `said` is wrapped at its words. */
export function fitLine(wished: Wished, width: number, rows: number, measure: Measure): Fitting {
  const { said, parts, buttons, others, before } = wished;
  const full = RAGGED * width;
  let row = stands(said, width, 1) ? 1 : Math.ceil(said / full);
  let x = row === 1 ? said : said - (row - 1) * full;
  const place = (size: number): boolean => {
    const [nextRow, nextX] = x + size <= width ? [row, x + size] : [row + 1, size];
    if (nextRow > rows || size > width) return false;
    [row, x] = [nextRow, nextX];
    return true;
  };
  const widthOf = (text: string) => SPACE + measure(text, REST_SIZE);
  for (const text of buttons) place(APART + PADDING + measure(text, REST_SIZE));
  const count = (sizes: readonly number[]) => {
    const out = sizes.findIndex((size) => !place(size));
    return out < 0 ? sizes.length : out;
  };
  const told = count(parts.map((part, at) => widthOf(at < parts.length - 1 ? `${part} ·` : part)));
  const sizes = others.map((text) => PADDING + widthOf(text));
  // The word for all of them stands with the first.
  const [first = 0, ...rest] = sizes;
  const named = count([APART + measure(before, REST_SIZE) + first, ...rest].slice(0, sizes.length));
  return { parts: told, others: told < parts.length ? 0 : named };
}
