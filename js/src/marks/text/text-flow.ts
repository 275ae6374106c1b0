// Running text broken into lines of a width.

import type { ReadingPiece } from "../../data/text-pieces.js";
import { type Family, isRightToLeft, textWidth } from "../../surface/text.js";
import { hasRightToLeft, joined, joins, placeLine, type TextBox } from "./bidi.js";

const FLOW_SIZE = 14;
const SMALL_SIZE = 11;
/** A patch of a picture or a frame of a sound in running text. */
const CELL = 8;
const TAB = "    ";
const RETURN = "↵";

/** What stands on a line of its own between two parts of a text. */
export interface FlowMark {
  readonly text: string;
  /** What the model wrote begins here. */
  readonly generated?: boolean;
}

/** Sizes of the words of a text, and of what is small in it. */
export interface FlowSize {
  readonly words: number;
  readonly small: number;
}

export const READING: FlowSize = { words: FLOW_SIZE, small: SMALL_SIZE };

export interface FlowRequest {
  /** The usual ones where nothing is said. */
  readonly size?: FlowSize;
  /** Of the words; what is small is as it always is. */
  readonly family?: Family;
  readonly pieces: readonly ReadingPiece[];
  readonly width: number;
  /** Before which positions a part begins. */
  readonly marks: ReadonlyMap<number, FlowMark>;
  /** Every line runs from right to left, whatever is written in it. */
  readonly rightToLeft: boolean;
}

/** A position on a line, or a part of one that is longer than a line. */
export interface Fragment extends TextBox {
  readonly index: number;
  readonly kind: ReadingPiece["kind"] | "return";
  x: number;
}

/** Running text broken into lines: which of thousands of positions exist on the screen, and where. */
export interface Flow {
  readonly fragments: readonly Fragment[];
  /** Of each line, its first fragment; and one past the last. */
  readonly starts: readonly number[];
  /** Lines that hold no text but the name of the part below. */
  readonly marks: ReadonlyMap<number, FlowMark>;
  /** Of each position, its first fragment. */
  readonly first: Int32Array;
  readonly width: number;
  readonly size: FlowSize;
  readonly family: Family;
}

export const lineCount = ({ starts }: Flow): number => starts.length - 1;

/** The line that a fragment stands on. */
export function lineOf({ starts }: Flow, fragment: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] as number) <= fragment) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Everything that is on a line. */
export function lineFragments({ fragments, starts }: Flow, line: number): readonly Fragment[] {
  return fragments.slice(starts[line], starts[line + 1]);
}

type Content = Pick<Fragment, "index" | "text" | "kind">;

class Writer {
  readonly fragments: Fragment[] = [];
  readonly starts: number[] = [0];
  readonly marks = new Map<number, FlowMark>();
  /** Lines after which a paragraph ends. */
  readonly ends = new Set<number>();
  private readonly breaks: boolean[] = [];
  private readonly widths = new Map<string, number>();
  private x = 0;
  readonly space: number;

  constructor(
    readonly width: number,
    readonly size: FlowSize,
    private readonly family: Family,
  ) {
    this.space = textWidth(" ", size.words, family);
  }

  /** Whether the line is the first of a paragraph. */
  private get isParagraph(): boolean {
    const line = this.starts.length - 1;
    return line === 0 || this.ends.has(line - 1);
  }

  private get start(): number {
    return this.starts.at(-1) as number;
  }

  private get isFresh(): boolean {
    return this.start === this.fragments.length;
  }

  widthOf(text: string, size: number): number {
    const key = size === this.size.words ? text : `${size} ${text}`;
    const known = this.widths.get(key);
    if (known !== undefined) return known;
    const width = textWidth(text, size, size === this.size.words ? this.family : "sans");
    this.widths.set(key, width);
    return width;
  }

  endLine(): void {
    this.starts.push(this.fragments.length);
    this.x = 0;
  }

  endParagraph(): void {
    this.ends.add(this.starts.length - 1);
    this.endLine();
  }

  mark(mark: FlowMark): void {
    if (!this.isFresh) this.endParagraph();
    this.marks.set(this.starts.length - 1, mark);
    this.endParagraph();
  }

  /** The word that the line ends with goes to the next one, if it is not all of the line. */
  private carry(): void {
    let from = this.fragments.length;
    while (from > this.start && this.breaks[from - 1] === false) from--;
    from--;
    if (from <= this.start) {
      this.endLine();
      return;
    }
    this.starts.push(from);
    const first = this.fragments[from] as Fragment;
    this.fragments[from] = { ...first, gap: 0 };
    this.x = this.fragments.slice(from).reduce((sum, { gap, width }) => sum + gap + width, 0);
  }

  put({ index, text, kind }: Content, given: number, width: number, breaks: boolean): void {
    const full = () => this.x + given + width > this.width && !this.isFresh;
    // The sign for the end of a line may stand in the margin.
    if (kind !== "return" && full()) {
      if (breaks) this.endLine();
      else this.carry();
      if (full()) this.endLine();
    }
    // Only what is indented on purpose begins with space.
    const indents = given > 1.5 * this.space && this.isParagraph;
    const gap = this.isFresh && !indents ? 0 : given;
    if (width > this.width && text.length > 1) {
      this.split({ index, text, kind });
      return;
    }
    this.fragments.push({ index, text, kind, x: 0, gap, width });
    this.breaks.push(breaks);
    this.x += gap + width;
  }

  /** What is longer than a line, character by character. */
  private split(fragment: Content): void {
    const size = fragment.kind === "small" ? this.size.small : this.size.words;
    let [text, width, tied] = ["", 0, false];
    const flush = () => {
      if (text === "") return;
      if (!this.isFresh && this.x + width > this.width) this.endLine();
      this.fragments.push({ ...fragment, text, x: 0, gap: 0, width });
      this.breaks.push(true);
      this.x += width;
      [text, width] = ["", 0];
    };
    if (!this.isFresh) this.endLine();
    for (const char of fragment.text) {
      const own = this.widthOf(char, size);
      // An accent or a joined sign stays with what it belongs to.
      if (own > 0 && !tied && width + own > this.width) {
        flush();
        this.endLine();
      }
      tied = char === "\u200d";
      text += char;
      width += own;
    }
    flush();
  }
}

/** Spaces at the beginning of a line of a piece, as they stand in code, and what follows them. */
function indented(text: string): readonly [number, string] {
  if (/^\S/.test(text)) return [0, text];
  const body = text.replace(/^[ \t\u00a0]+/, "");
  return [text.length - body.length, body];
}

function writeText(
  writer: Writer,
  index: number,
  line: string,
  piece: ReadingPiece,
  breaks: boolean,
) {
  const size = piece.kind === "small" ? writer.size.small : writer.size.words;
  const text = line.includes("\t") ? line.replaceAll("\t", TAB) : line;
  const [spaces, body] = indented(text);
  const { space } = writer;
  const lead = (breaks ? piece.gap.length : 0) * space;
  if (body === "") {
    // A position that is nothing but space is as wide as that, and can still be pointed at.
    const width = Math.max(4, spaces * space);
    writer.put({ index, text: "", kind: piece.kind }, lead, width, true);
    return;
  }
  // A trailing space is drawn as the space that it is.
  const width = writer.widthOf(body, size);
  writer.put({ index, text: body, kind: piece.kind }, lead + spaces * space, width, breaks);
}

function writePiece(writer: Writer, piece: ReadingPiece, index: number): void {
  const { kind, text, glued } = piece;
  if (kind === "cell") {
    const gap = piece.gap === "" ? 1 : CELL;
    writer.put({ index, text: "", kind }, gap, CELL, true);
    return;
  }
  if (!text.includes("\n")) {
    writeText(writer, index, text, piece, !glued);
    return;
  }
  const lines = text.split("\n");
  lines.forEach((line, n) => {
    const last = n === lines.length - 1;
    if (line !== "") writeText(writer, index, line, piece, n > 0 || !glued);
    if (last) return;
    if (n === 0 || line !== "") {
      const width = writer.widthOf(RETURN, writer.size.small);
      writer.put({ index, text: RETURN, kind: "return" }, 1, width, false);
    }
    writer.endParagraph();
  });
}

/** Texts that are not all of one direction, line by line: who is read first does not always stand first. */
function place(writer: Writer, rightToLeft: boolean): void {
  const { fragments, starts, ends, width } = writer;
  const mixed = fragments.some(({ text }) => hasRightToLeft(text));
  let backwards: boolean | null = null;
  for (let line = 0; line + 1 < starts.length; line++) {
    const row = fragments.slice(starts[line], starts[line + 1]);
    backwards ??= rightToLeft || (mixed && paragraphRuns(writer, line));
    if (backwards || (mixed && row.some(({ text }) => hasRightToLeft(text)))) {
      const places = placeLine(row, width, backwards);
      row.forEach((fragment, at) => {
        fragment.x = places[at] as number;
      });
    } else {
      let x = 0;
      for (const fragment of row) {
        fragment.x = x + fragment.gap;
        x += fragment.gap + fragment.width;
      }
    }
    if (ends.has(line)) backwards = null;
  }
}

/** Whether the paragraph that begins on a line runs from right to left: its first letter says. */
function paragraphRuns({ fragments, starts, ends }: Writer, from: number): boolean {
  let line = from;
  while (!ends.has(line) && line + 2 < starts.length) line++;
  for (let at = starts[from] as number; at < (starts[line + 1] as number); at++) {
    const { text, kind } = fragments[at] as Fragment;
    if (kind === "text" && /\p{L}/u.test(text)) return isRightToLeft(text);
  }
  return false;
}

/** Pieces of one word of a joined script keep the shapes that they have in it. */
function join(fragments: Fragment[], pieces: readonly ReadingPiece[]): void {
  let before = false;
  fragments.forEach((fragment, at) => {
    const next = fragments[at + 1];
    const after =
      next !== undefined &&
      next.gap === 0 &&
      next.text.charCodeAt(0) > 0x600 &&
      (next.index === fragment.index || pieces[next.index]?.glued === true) &&
      joins(fragment.text, next.text);
    if (before || after) {
      fragments[at] = { ...fragment, text: joined(fragment.text, before, after) };
    }
    before = after;
  });
}

/** Break a text into lines of a width. */
export function flowText({
  pieces,
  width,
  marks,
  rightToLeft,
  size = READING,
  family = "sans",
}: FlowRequest): Flow {
  const writer = new Writer(Math.max(40, width), size, family);
  pieces.forEach((piece, index) => {
    const mark = marks.get(index);
    if (mark) writer.mark(mark);
    writePiece(writer, piece, index);
  });
  if (writer.starts.at(-1) !== writer.fragments.length || pieces.length === 0)
    writer.endParagraph();
  join(writer.fragments, pieces);
  place(writer, rightToLeft);
  const first = new Int32Array(pieces.length).fill(-1);
  writer.fragments.forEach(({ index }, at) => {
    if (first[index] === -1) first[index] = at;
  });
  const { fragments, starts } = writer;
  return { fragments, starts, marks: writer.marks, first, width: writer.width, size, family };
}
