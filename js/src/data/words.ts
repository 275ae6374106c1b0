// Word pieces merged to words: sums over key pieces, means over query pieces.

import type { Position } from "../protocol/generated.js";
import type { Rows } from "./blocks.js";
import { columnSum } from "./columns.js";

/** The pieces of an axis put together to words; the same rule as `word_numbers` in Python. */
export interface Words {
  readonly positions: readonly Position[];
  /** Of each piece, the number of its word. */
  readonly numbers: readonly number[];
  /** Of each word, its pieces. */
  readonly pieces: readonly (readonly number[])[];
}

const known = new WeakMap<readonly Position[], Words | null>();

function joins(position: Position, before: Position | undefined): boolean {
  return (
    position.continues === true &&
    position.kind === before?.kind &&
    position.segment === before?.segment
  );
}

/** The words of an axis, or null where every position is one already. */
export function wordsOf(positions: readonly Position[]): Words | null {
  const made = known.get(positions);
  if (made !== undefined) return made;
  const numbers: number[] = [];
  const pieces: number[][] = [];
  positions.forEach((position, index) => {
    const last = pieces.at(-1);
    if (last && joins(position, positions[index - 1])) last.push(index);
    else pieces.push([index]);
    numbers.push(pieces.length - 1);
  });
  const words = pieces.length === positions.length ? null : { numbers, pieces };
  const found = words && { ...words, positions: pieces.map((group) => wordOf(positions, group)) };
  known.set(positions, found);
  return found;
}

function wordOf(positions: readonly Position[], group: readonly number[]): Position {
  const { continues: _, ...first } = positions[group[0] as number] as Position;
  if (group.length === 1) return first;
  const join = (part: (position: Position) => string) =>
    group.map((index) => part(positions[index] as Position)).join("");
  const { text, ...rest } = first;
  const read = text === undefined ? {} : { text: join((each) => each.text ?? each.label) };
  return { ...rest, ...read, kind: "word", label: join(({ label }) => label) };
}

/** Add up over the pieces of a key. */
function summed(row: Float32Array, keys: Words | null): Float32Array {
  if (!keys) return row;
  const out = new Float32Array(keys.pieces.length);
  for (let piece = 0; piece < row.length; piece++) {
    const word = keys.numbers[piece] as number;
    out[word] = (out[word] as number) + (row[piece] as number);
  }
  return out;
}

/**
 * A head's rows between words: the sum over the pieces of a key, the mean over the pieces of a query.
 * Of a word that is half generated, the pieces that are there.
 */
export function wordRows(rows: Rows, queries: Words | null, keys: Words | null): Rows {
  const made = new Map<number, Float32Array>();
  const there = rows.numShown ?? rows.numQueries;
  const piecesOf = (word: number): readonly number[] => {
    const group = queries ? (queries.pieces[word] ?? []) : [word];
    const shown = group.filter((piece) => piece < there);
    return shown.length > 0 ? shown : group;
  };
  const { numShown } = rows;
  return {
    numQueries: queries?.pieces.length ?? rows.numQueries,
    numKeys: keys?.pieces.length ?? rows.numKeys,
    ...(numShown === undefined
      ? {}
      : { numShown: queries ? wordsThere(queries, numShown) : numShown }),
    ...(rows.fitted ? { fitted: true } : {}),
    get scale() {
      return rows.scale;
    },
    get error() {
      return rows.error;
    },
    has: (word) => piecesOf(word).every((piece) => rows.has?.(piece) ?? rows.row(piece) !== null),
    column(word) {
      const all = columnSum(rows, keys ? (keys.pieces[word] ?? []) : [word]);
      if (!queries || !all) return all;
      return Float32Array.from(queries.pieces, (_, query) => {
        const group = piecesOf(query);
        return group.reduce((total, piece) => total + (all[piece] as number), 0) / group.length;
      });
    },
    row(word) {
      const ready = made.get(word);
      if (ready) return ready;
      const group = piecesOf(word);
      const parts = group.map((piece) => rows.row(piece));
      const mean = new Float32Array(rows.numKeys);
      for (const part of parts) {
        if (!part) return null;
        for (let key = 0; key < mean.length; key++) {
          mean[key] = (mean[key] as number) + (part[key] as number) / group.length;
        }
      }
      const row = summed(mean, keys);
      made.set(word, row);
      return row;
    },
  };
}

/** How many words have a piece among the first `count`. */
export function wordsThere({ numbers }: Words, count: number): number {
  return count === 0 ? 0 : (numbers[Math.min(count, numbers.length) - 1] ?? -1) + 1;
}

/** A picture of all pieces between words, or null where it holds less than every piece. */
export function wordPicture(
  picture: { readonly rows: number; readonly columns: number; readonly data: ArrayLike<number> },
  queries: Words | null,
  keys: Words | null,
): { readonly rows: number; readonly columns: number; readonly data: Float32Array } | null {
  const { rows, columns, data } = picture;
  if (queries && queries.numbers.length !== rows) return null;
  if (keys && keys.numbers.length !== columns) return null;
  const wide = keys?.pieces.length ?? columns;
  const out = new Float32Array((queries?.pieces.length ?? rows) * wide);
  for (let row = 0; row < rows; row++) {
    const word = queries ? (queries.numbers[row] as number) : row;
    const share = 1 / (queries?.pieces[word]?.length ?? 1);
    for (let column = 0; column < columns; column++) {
      const at = word * wide + (keys ? (keys.numbers[column] as number) : column);
      out[at] = (out[at] as number) + share * (data[row * columns + column] as number);
    }
  }
  return { rows: out.length / wide, columns: wide, data: out };
}
