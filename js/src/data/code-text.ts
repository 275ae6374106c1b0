// Whether running text is code: its lines are then to stand as they were written, every letter of one width.

import type { Position } from "../protocol/generated.js";
import { readingPieces } from "./text-pieces.js";

/** Of a long text the first part says it. */
const MOST_CHARACTERS = 20_000;
/** So much of what is not empty looks like code. */
const LEAST_SHARE = 0.4;

/** A line that is indented on purpose. */
const indented = /^(?:\t| {2,})\S/;
/** How lines of code end, and what prose has not: a call, an assignment, a block. */
const written =
  /(?:[;{}]|\)\s*:|\b(?:else|try|finally)\s*:|->.*:)\s*$|[\w\])]\s*(?:[-+*/]?=|:=|=>)\s*\S|\w\([^)]*\)\s*$/;

function isCodeText(text: string): boolean {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length < 2) return false;
  const inside = lines.filter((line) => indented.test(line)).length;
  const like = lines.filter((line) => written.test(line)).length;
  const either = lines.filter((line) => indented.test(line) || written.test(line)).length;
  // Indentation alone may be a list, an assignment alone a formula.
  return inside > 0 && like > 0 && either >= LEAST_SHARE * lines.length;
}

const known = new WeakMap<readonly Position[], boolean>();

/** Told by the text that there is: a tokenizer that drops line ends leaves nothing to tell it by. */
export function isCode(positions: readonly Position[]): boolean {
  const found = known.get(positions);
  if (found !== undefined) return found;
  let text = "";
  for (const piece of readingPieces(positions)) {
    if (piece.kind !== "text") continue;
    text += piece.gap + piece.text;
    if (text.length > MOST_CHARACTERS) break;
  }
  const code = isCodeText(text);
  known.set(positions, code);
  return code;
}
