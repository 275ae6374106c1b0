// The call that opens a view at a selection, as Python text: what `attnwidget/serve/python_call.py` writes in the kernel.

import { EFFECT, GRADIENT_MEASURES, RANKING, STATE_NAMES } from "../protocol/constants.js";
import type { PythonCall, TraceOfView, State as Traits } from "../protocol/generated.js";
import { same } from "./signals.js";

const SCORES = ["score", "other_score"] as const;
const PLACE = ["stream", "layer", "heads", "query", "key"] as const;

/** Digits without an exponent, the shortest that give the number again. */
function decimal(value: number): string {
  const [digits = "", exponent] = String(value).split("e");
  if (exponent === undefined) return digits;
  const sign = value < 0 ? "-" : "";
  const [whole = "", part = ""] = digits.replace("-", "").split(".");
  const point = whole.length + Number(exponent);
  const all = whole + part;
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${all}`;
  return `${sign}${all.slice(0, point).padEnd(point, "0")}${all.length > point ? `.${all.slice(point)}` : ""}`;
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return decimal(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") {
    const pairs = Object.entries(value).map(([name, of]) => `${literal(name)}: ${literal(of)}`);
    return `{${pairs.join(", ")}}`;
  }
  return JSON.stringify(value);
}

const pairs = (value: readonly (readonly number[])[]) =>
  `[${value.map((pair) => `(${pair.join(", ")})`).join(", ")}]`;

/** The call, of which only what is not as in a view that is told nothing. */
export function pythonCall(
  { call, opened, placed }: PythonCall,
  state: Traits,
  traced: Pick<TraceOfView, "call"> | null = null,
): string {
  // Of words and by gradients another link is chosen, of a rollout none.
  const stays =
    opened !== undefined &&
    !["rollout", ...GRADIENT_MEASURES].includes(state.measure) &&
    [...PLACE, "positions" as const].every((name) => same(state[name], opened[name]));
  const base: Partial<Traits> = stays ? opened : { ...opened, ...placed };
  const { ranking } = state;
  const own = ranking && "pattern" in ranking ? ranking.pattern : null;
  const options = STATE_NAMES.filter((name) => {
    // The kernel knows a pattern of the caller's own by a number, which another view does not have.
    // A view that is made knows no effects yet.
    if (SCORES.some((score) => score === name) && state[name] === EFFECT) return false;
    // Nor is a threshold in their units one of a view without them.
    if (name === "threshold" && state.score === EFFECT) return false;
    // With a layer the view opens there and chooses nothing itself.
    const isLink = name === "query" || name === "key";
    if (!stays && isLink && state[name] === null) return false;
    if (own !== null && (name === "ranking" || state[name] === RANKING)) return false;
    return !same(state[name], base[name]) || (name === "layer" && !stays);
  }).map((name) => `, ${name}=${name === "compare" ? pairs(state.compare) : literal(state[name])}`);
  const notes = own === null ? [] : [`view.rank(pattern=pattern, name=${literal(own)})`];
  if (SCORES.some((score) => state[score] === EFFECT)) notes.push("view.find_effects()");
  if (state.form === "trace" && traced) notes.push(traced.call);
  const note = notes.length ? `  # then ${notes.join(", ")}` : "";
  return `${call}${options.join("")})${note}`;
}
