// The equation of one weight: q · k, scaling, cap, bias, softmax, with all values.

import type { Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { formatScore, formatWeight } from "../format.js";

/** What one weight was computed from. Null: not here yet. */
export interface Ingredients {
  /** Σ q·k over the dimensions, in double precision. */
  readonly dot: number | null;
  /** What the layer multiplies by; null when it does not. */
  readonly scaling: number | null;
  readonly softcap: number | null;
  /** What is added to the scaled product; undefined for a layer that adds nothing. */
  readonly bias: number | null | undefined;
  /** Before softmax, as recorded: -Infinity where masked. */
  readonly score: number | null;
  readonly weight: number | null;
  /** Keys that the softmax runs over. */
  readonly numKeys: number;
  /** A logit that takes its share and gives nothing. */
  readonly sink: number | null;
}

export interface Term {
  readonly operator: "" | "×" | "=" | "→" | "+";
  readonly caption: string;
  /** Null while what it needs is not here. */
  readonly value: number | null;
  readonly text: string;
}

const PENDING = "…";

function term(operator: Term["operator"], caption: string, value: number | null): Term {
  return { operator, caption, value, text: value === null ? PENDING : formatScore(value) };
}

/** 0.125, 0.0884: three digits that count. */
function factor(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/**
 * The weight as a chain of terms, only those that the layer has. Each "=" and "→" is the value of
 * everything before it: (q · k × scaling), soft-capped, plus bias, through softmax.
 */
export function equationTerms(given: Ingredients): readonly Term[] {
  const { dot, scaling, softcap, bias, score, weight, sink } = given;
  const terms = [term("", "q · k", dot)];
  let value = dot;
  if (scaling !== null && scaling !== 1) {
    terms.push({ operator: "×", caption: "scaling", value: scaling, text: factor(scaling) });
    value = value === null ? null : value * scaling;
    terms.push(term("=", "scaled", value));
  }
  if (softcap !== null) {
    value = value === null ? null : softcap * Math.tanh(value / softcap);
    terms.push(term("→", `softcap ${factor(softcap)}`, value));
  }
  const masked = score === Number.NEGATIVE_INFINITY;
  if (bias !== undefined) {
    terms.push(term("+", masked ? "mask" : "bias", bias), term("=", "score", score));
  } else if (masked) {
    const last = terms.length > 1 ? terms.length - 1 : 1;
    terms[last] = term("+", "mask", score);
  } else {
    const last = terms.length - 1;
    const { operator, caption } = terms[last] as Term;
    const name = caption === "scaled" ? "score" : `${caption} = score`;
    terms[last] = { ...term(operator, name, value) };
  }
  const among = `softmax over ${given.numKeys} ${given.numKeys === 1 ? "key" : "keys"}`;
  const caption = sink === null ? among : `${among} (+ sink ${formatScore(sink)})`;
  const text = weight === null ? PENDING : formatWeight(weight);
  terms.push({ operator: "→", caption, value: weight, text });
  return terms;
}

/** The same in one line of words, for screen readers. */
export function equationText(terms: readonly Term[]): string {
  return terms
    .map(({ operator, caption, text }) => `${operator} ${caption} ${text}`.trim())
    .join(" ");
}

/** A run of text in a line of the equation. */
export interface Piece {
  readonly text: string;
  readonly role: "text" | "muted" | "value";
}

/** "÷ √32" where that is what the layer multiplies by, else "× 0.125". */
export function scalingText(scaling: number, headDim: number | null): string {
  const usual = headDim !== null && Math.abs(scaling * Math.sqrt(headDim) - 1) < 1e-5;
  return usual ? `÷ √${headDim}` : `× ${factor(scaling)}`;
}

const operation = (text: string): Piece => ({ text, role: "muted" });
const value = (text: string): Piece => ({ text, role: "value" });

/** From the sum over the dimensions to the score: "sum −12.41 ÷ √32 = −2.19". */
export function scorePieces(given: Ingredients, headDim: number | null): readonly Piece[] {
  return equationTerms(given)
    .slice(0, -1)
    .flatMap(({ operator, caption, text }, index): Piece[] => {
      if (index === 0) return [{ text: "sum", role: "text" }, value(text)];
      if (operator === "×") return [operation(scalingText(given.scaling ?? 1, headDim))];
      if (operator === "=") return [operation("="), value(text)];
      if (operator === "+") return [operation(`+ ${caption}`), value(text)];
      return [operation(`→ ${caption.replace(" = score", "")}`), value(text)];
    });
}

/** Four digits that count, also of what is very small or large. */
function plain(number: number): string {
  return String(number.toPrecision(4)).replaceAll("-", "−");
}

/** From the score to the weight: "e^score = 0.1119, ÷ 0.1120, the sum over 9 keys = 0.999"; none while it is not here. */
export function weightPieces({ score, weight, numKeys, sink }: Ingredients): readonly Piece[] {
  if (score === null || weight === null) return [];
  const among = `${numKeys} ${numKeys === 1 ? "key" : "keys"}${sink === null ? "" : " and the sink"}`;
  const result = [operation("="), value(formatWeight(weight))];
  const power = Math.exp(score);
  const total = power / weight;
  if (![power, total].every((one) => Number.isFinite(one) && one > 0)) {
    return [operation(`e^score, as a share of ${among}`), ...result];
  }
  return [
    operation("e^score"),
    value(plain(power)),
    operation("÷"),
    value(plain(total)),
    operation(`over ${among}`),
    ...result,
  ];
}

const SIZE = { text: 13, muted: 12, value: 13 } as const;
const GAP = 5;
export const EQUATION_LINE = 20;

const widthOf = ({ text, role }: Piece) =>
  textWidth(text, SIZE[role], "sans", role === "value" ? "bold" : "normal");

/** Where each piece starts, and on which line; an operation goes with what it is done to. */
export function placePieces(
  pieces: readonly Piece[],
  width: number,
): readonly { readonly x: number; readonly line: number }[] {
  let [x, line] = [0, 0];
  return pieces.map((piece, index) => {
    const next = pieces[index + 1];
    const together = piece.role === "muted" && next?.role === "value" ? GAP + widthOf(next) : 0;
    if (x > 0 && x + widthOf(piece) + together > width) [x, line] = [0, line + 1];
    const place = { x, line };
    x += widthOf(piece) + GAP;
    return place;
  });
}

export function pieceLines(pieces: readonly Piece[], width: number): number {
  return (placePieces(pieces, width).at(-1)?.line ?? -1) + 1;
}

/** One run after another, from the top left (x, y), the last value in the colour of the result. */
export function drawPieces(
  surface: Surface,
  at: { x: number; y: number; width: number },
  pieces: readonly Piece[],
  colours: { text: string; muted: string; result: string },
): void {
  placePieces(pieces, at.width).forEach(({ x, line }, index) => {
    const { text, role } = pieces[index] as Piece;
    const last = index === pieces.length - 1;
    const fill = last ? colours.result : role === "muted" ? colours.muted : colours.text;
    surface.text(at.x + x, at.y + (line + 0.5) * EQUATION_LINE, text, {
      fill,
      size: SIZE[role],
      weight: role === "value" ? "bold" : "normal",
      maxWidth: Math.max(8, at.width - x),
    });
  });
}
