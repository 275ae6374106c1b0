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

const VALUE_SIZE = 13;
const CAPTION_SIZE = 10;
const OPERATOR = 18;
export const EQUATION_LINE = 34;
/** Room for most values, so that terms stay in place while the pointer moves over the keys. */
const RESERVED = textWidth("−88.88", VALUE_SIZE);

/** Where each term starts: x and the line it is on. */
export function placeTerms(
  terms: readonly Term[],
  width: number,
): readonly { readonly x: number; readonly line: number; readonly width: number }[] {
  let x = 0;
  let line = 0;
  return terms.map(({ caption, text, operator }) => {
    const operatorWidth = operator === "" ? 0 : OPERATOR;
    const size = Math.ceil(
      Math.max(
        RESERVED,
        textWidth(caption, CAPTION_SIZE),
        textWidth(text, VALUE_SIZE, "sans", "bold"),
      ),
    );
    if (x > 0 && x + operatorWidth + size > width) {
      x = 0;
      line += 1;
    }
    const place = { x: x + operatorWidth, line, width: size };
    x += operatorWidth + size + 2;
    return place;
  });
}

export function equationLines(terms: readonly Term[], width: number): number {
  return (placeTerms(terms, width).at(-1)?.line ?? 0) + 1;
}

/** Values with their names below, from the top left (x, y). */
export function drawEquation(
  surface: Surface,
  at: { x: number; y: number; width: number },
  terms: readonly Term[],
  colours: { text: string; muted: string; result: string },
): void {
  placeTerms(terms, at.width).forEach((place, index) => {
    const { operator, caption, text } = terms[index] as Term;
    const x = at.x + place.x;
    const y = at.y + place.line * EQUATION_LINE;
    const last = index === terms.length - 1;
    if (operator !== "") {
      surface.text(x - OPERATOR / 2 - 1, y + 10, operator, {
        fill: colours.muted,
        size: VALUE_SIZE,
        anchor: "middle",
      });
    }
    const fill = last ? colours.result : colours.text;
    const weight = last ? "bold" : "normal";
    surface.text(x, y + 10, text, { fill, size: VALUE_SIZE, weight });
    const maxWidth = Math.max(place.width, at.width - place.x);
    surface.text(x, y + 24, caption, { fill: colours.muted, size: CAPTION_SIZE, maxWidth });
  });
}
