// Search in the tokens' running text, across the borders of positions.

import { readingPieces } from "../data/text-pieces.js";
import type { Position } from "../protocol/generated.js";

/** What the reader looks for. Front-end only. */
export interface SearchState {
  readonly text: string;
  /** Which of the hits is looked at; -1 before the first jump. */
  readonly at: number;
}

/** Positions in a row that hold what is looked for. */
export interface SearchHit {
  readonly axis: "query" | "key";
  readonly first: number;
  readonly last: number;
}

export interface Found {
  readonly hits: readonly SearchHit[];
  readonly at: number;
}

interface Running {
  readonly text: string;
  /** Where each position begins in it. */
  readonly starts: Int32Array;
}

const running = new WeakMap<readonly Position[], Running>();

/** Upper and lower case alike, and accents however they were typed. */
const folded = (text: string) => text.normalize("NFC").toLowerCase();

/** The text as it reads, in which any amount of space is one. */
function runningText(positions: readonly Position[]): Running {
  const made = running.get(positions);
  if (made) return made;
  const parts: string[] = [];
  const starts = new Int32Array(positions.length + 1);
  let length = 0;
  let spaced = true;
  readingPieces(positions).forEach(({ gap, text }, index) => {
    let part = folded(gap + text).replace(/\s+/g, " ");
    if (spaced && part.startsWith(" ")) part = part.slice(1);
    starts[index] = length;
    parts.push(part);
    length += part.length;
    if (part !== "") spaced = part.endsWith(" ");
  });
  starts[positions.length] = length;
  const found = { text: parts.join(""), starts };
  running.set(positions, found);
  return found;
}

/** The position that holds a character. */
function positionAt(starts: Int32Array, offset: number): number {
  let [low, high] = [0, starts.length - 2];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Where a text occurs in running text, across the borders of positions. */
export function findText(
  positions: readonly Position[],
  sought: string,
): readonly { readonly first: number; readonly last: number }[] {
  const wanted = folded(sought).replace(/\s+/g, " ");
  if (wanted.trim() === "") return [];
  const { text, starts } = runningText(positions);
  const found: { first: number; last: number }[] = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
    // A space in front of a word belongs to its position, but is none of what was looked for.
    const lead = wanted.length - wanted.trimStart().length;
    const end = at + wanted.trimEnd().length;
    found.push({ first: positionAt(starts, at + lead), last: positionAt(starts, end - 1) });
  }
  return found;
}

interface Axes {
  readonly queries: readonly Position[];
  readonly keys: readonly Position[];
}

interface Hits {
  readonly keys: readonly Position[];
  readonly text: string;
  readonly hits: readonly SearchHit[];
}

const latest = new WeakMap<readonly Position[], Hits>();

/** All hits: of one text that is queries and keys alike once, as queries; else in the queries, then in the keys. */
function hitsIn({ queries, keys }: Axes, text: string): readonly SearchHit[] {
  const known = latest.get(queries);
  if (known?.keys === keys && known.text === text) return known.hits;
  const of = (axis: SearchHit["axis"], positions: readonly Position[]) =>
    findText(positions, text).map((range) => ({ axis, ...range }));
  const hits = [...of("query", queries), ...(keys === queries ? [] : of("key", keys))];
  latest.set(queries, { keys, text, hits });
  return hits;
}

/** What a search finds in what is shown; null where nothing is looked for. */
export function found(search: SearchState | null, axes: Axes): Found | null {
  if (!search || search.text.trim() === "") return null;
  const hits = hitsIn(axes, search.text);
  return { hits, at: Math.min(search.at, hits.length - 1) };
}

/** The hit after the present one, or before it; round at either end. */
export function nextHit({ hits, at }: Found, step: 1 | -1): number {
  if (hits.length === 0) return -1;
  if (at < 0) return step > 0 ? 0 : hits.length - 1;
  return (at + step + hits.length) % hits.length;
}
