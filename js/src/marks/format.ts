// Numbers as text: weights, scores, differences, ranks. Equal widths where possible, a real minus sign.

const MINUS = "−";
const INFINITY = "∞";

/**
 * A weight after softmax, three decimals. "0" is kept for exactly zero (masked), so that a reader
 * can tell nothing at all from very little.
 */
export function formatWeight(weight: number): string {
  if (!Number.isFinite(weight)) return formatScore(weight);
  if (weight === 0) return "0";
  if (weight < 0) return MINUS + formatWeight(-weight);
  // Measures other than weights may be large: then three digits say as much.
  if (weight >= 9.9995) return String(Number(weight.toPrecision(3)));
  return weight < 0.0005 ? "<0.001" : weight.toFixed(3);
}

/** A score before softmax, or any other quantity that may be negative: `decimals` decimals. */
export function formatScore(score: number, decimals = 2): string {
  if (Number.isNaN(score)) return "NaN";
  if (score === Number.POSITIVE_INFINITY) return INFINITY;
  if (score === Number.NEGATIVE_INFINITY) return MINUS + INFINITY;
  const digits = Math.abs(score).toFixed(decimals);
  // Rounded to zero, a sign would claim more than the digits say.
  return score < 0 && Number(digits) !== 0 ? MINUS + digits : digits;
}

/** A difference: the sign is always there, except for exactly nothing. */
export function formatSigned(value: number, decimals = 3): string {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return value > 0 ? `+${INFINITY}` : formatScore(value);
  const digits = Math.abs(value).toFixed(decimals);
  if (Number(digits) === 0) return "≈0";
  return (value < 0 ? MINUS : "+") + digits;
}

/** 1 -> "1st", 2 -> "2nd", 11 -> "11th". */
export function ordinal(n: number): string {
  const tens = Math.floor((n % 100) / 10);
  const suffix = tens === 1 ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${suffix}`;
}

/** A number of the scale to so many digits, without zeros behind them. */
export function rounded(value: number, digits = 2): string {
  return String(Number(value.toPrecision(digits)));
}
