// Positions as pieces of running text, with the spaces that the tokenizer left out.

import type { Position } from "../protocol/generated.js";

/** A position as it stands in running text. */
export interface ReadingPiece {
  /** What stands between it and the position before: nothing, or a space that the tokenizer left out. */
  readonly gap: "" | " ";
  readonly text: string;
  /** What is no text of the input is small, and a place in a picture or a sound only a cell. */
  readonly kind: "text" | "small" | "cell";
  /** It goes on with the word before it: no line ends between the two. */
  readonly glued: boolean;
}

const known = new WeakMap<readonly Position[], readonly ReadingPiece[]>();

const lineEnds = /\r\n?|[\v\f\u2028\u2029]/g;
const spaceFirst = /^\s/;
const spaceLast = /\s$/;
const closing = /^['’.,;:!?%)\]}…»”]/;
const opening = /['’([{«“#$]$/;
const wordFirst = /^[\p{L}\p{M}\p{N}'’.,;:!?%)\]}…»”]/u;
const wordLast = /[\p{L}\p{M}\p{N}'’([{«“]$/u;
/** Scripts that write no spaces: a line may end between any two of their characters. */
const unspaced = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef]/;

const isCell = ({ kind }: Position) => kind === "patch" || kind === "frame";
/** What stands by itself, whatever is beside it. */
const isApart = (position: Position) =>
  isCell(position) || position.kind === "special" || position.kind === "latent";

/** Whether a list of positions is text at all, or only places in pictures and sounds. */
export function isText(positions: readonly Position[]): boolean {
  return positions.some(({ kind }) => kind === "token" || kind === "special" || kind === "word");
}

/** Bytes that are no character yet have only a label. */
const isReadable = ({ text }: Position) =>
  text !== undefined && text !== "" && !text.includes("\ufffd");

function kindOf(position: Position): ReadingPiece["kind"] {
  if (isCell(position)) return "cell";
  const unread = position.text !== undefined && !isReadable(position);
  return isApart(position) || unread ? "small" : "text";
}

const touches = (before: string, text: string) => spaceLast.test(before) || spaceFirst.test(text);

const isOneWord = (before: string, text: string) =>
  wordLast.test(before) &&
  wordFirst.test(text) &&
  !unspaced.test(before.slice(-1)) &&
  !unspaced.test(text.slice(0, 1));

/** Some tokenizers keep the spaces between words in their pieces; others, such as WordPiece, drop them. */
function keepsSpaces(positions: readonly Position[]): boolean {
  return positions.some(
    ({ kind, text = "" }, index) =>
      kind !== "special" && ((index > 0 && spaceFirst.test(text)) || spaceLast.test(text)),
  );
}

/** Positions as running text; where the spaces were dropped, words get one between them. */
export function readingPieces(positions: readonly Position[]): readonly ReadingPiece[] {
  const made = known.get(positions);
  if (made) return made;
  const spaced = keepsSpaces(positions);
  const pieces: ReadingPiece[] = [];
  positions.forEach((position, index) => {
    const kind = kindOf(position);
    const own = isReadable(position) ? (position.text as string) : position.label;
    const text = kind === "cell" ? "" : own.replace(lineEnds, "\n");
    const before = pieces[index - 1];
    const last = positions[index - 1];
    if (!before || !last) {
      pieces.push({ gap: "", text, kind, glued: false });
      return;
    }
    const apart = isApart(position) || isApart(last);
    const joined = apart
      ? kind === "cell" && before.kind === "cell"
      : (spaced && position.text !== undefined) ||
        position.continues === true ||
        closing.test(text) ||
        opening.test(before.text);
    const gap = joined || touches(before.text, text) ? "" : " ";
    const glued = gap === "" && !apart && isOneWord(before.text, text);
    pieces.push({ gap, text, kind, glued });
  });
  known.set(positions, pieces);
  return pieces;
}
