// Order of boxes on a line where text runs in both directions (Unicode bidirectional levels).

import { isRightToLeft } from "../../surface/text.js";

/** A box of text on a line, in the order it is read in. */
export interface TextBox {
  readonly text: string;
  /** Space between it and the box before. */
  readonly gap: number;
  readonly width: number;
}

const strong = /\p{L}/u;
const digit = /\p{N}/u;
const arabic = /[\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f\u08a0-\u08ff]/;
const rightwards =
  /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

export const hasRightToLeft = (text: string): boolean => rightwards.test(text);

/** Joined shapes where a word of a joined script is cut into pieces: each is told that it goes on. */
const JOINER = "\u200d";

export function joins(before: string, text: string): boolean {
  return arabic.test(before.slice(-1)) && arabic.test(text.slice(0, 1));
}

export function joined(text: string, before: boolean, after: boolean): string {
  return (before ? JOINER : "") + text + (after ? JOINER : "");
}

type Level = 0 | 1 | 2;

/** Embedding levels after the Unicode rules, a box as a whole at a time; null where its neighbours decide. */
function levelOf(text: string, backwards: boolean, before: Level): Level | null {
  if (strong.test(text)) return isRightToLeft(text) ? 1 : backwards ? 2 : 0;
  if (digit.test(text)) return before === 0 && !backwards ? 0 : 2;
  return null;
}

function levelsOf(boxes: readonly Pick<TextBox, "text">[], backwards: boolean): Level[] {
  const base: Level = backwards ? 1 : 0;
  let last: Level = base;
  const found = boxes.map(({ text }) => {
    const level = levelOf(text, backwards, last);
    if (level !== null) last = level;
    return level;
  });
  const neighbour = (from: number, step: -1 | 1): Level => {
    for (let at = from + step; at >= 0 && at < found.length; at += step) {
      const level = found[at];
      if (level !== null && level !== undefined) return level;
    }
    return base;
  };
  return found.map((level, index) => {
    if (level !== null) return level;
    const before = neighbour(index, -1);
    return before === neighbour(index, 1) ? before : base;
  });
}

/** From what is read first to what stands first: runs of each level and above are turned round. */
function visualOrder(levels: readonly Level[]): number[] {
  const order = levels.map((_, index) => index);
  for (const level of [2, 1]) {
    for (let start = 0; start < order.length; start++) {
      let end = start;
      while (end < order.length && (levels[order[end] as number] as Level) >= level) end++;
      if (end === start) continue;
      order.splice(start, end - start, ...order.slice(start, end).reverse());
      start = end;
    }
  }
  return order;
}

/** Where each box of a line stands; a line of a text that runs from right to left ends at `room`. */
export function placeLine(boxes: readonly TextBox[], room: number, backwards: boolean): number[] {
  // A space has a place of its own: between two directions it is of neither.
  const items = boxes.flatMap(({ text, gap, width }, index) => [
    { text: "", width: gap, index: -1 },
    { text, width, index },
  ]);
  const total = items.reduce((sum, { width }) => sum + width, 0);
  let x = backwards ? room - total : 0;
  const places = new Array<number>(boxes.length);
  for (const at of visualOrder(levelsOf(items, backwards))) {
    const { index, width } = items[at] as (typeof items)[number];
    if (index >= 0) places[index] = x;
    x += width;
  }
  return places;
}
