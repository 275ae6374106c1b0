// Bars on their way from what they were to what they are.

import type { Choice } from "../../protocol/generated.js";
import type { BarPair, Bars, Moving } from "../../scene/edited.js";

/** Bars of the choices, at rest. */
function restOf(list: readonly Choice[]): Bars {
  return {
    rows: new Map(list.map(({ label, before, after }) => [label, { before, after }])),
    end: Math.max(...list.flatMap(({ before, after }) => [before, after]), 1e-9),
  };
}

/** Slower towards the end. */
const eased = (part: number) => 1 - (1 - part) ** 3;

/** Bars as they are at the moment: exact at rest. A choice that was not there begins as it was before the edits. */
export function barsOf(list: readonly Choice[], moving: Moving | null): Bars {
  const rest = restOf(list);
  if (!moving || moving.part >= 1) return rest;
  const { from } = moving;
  const at = eased(moving.part);
  const between = (a: number, b: number) => a + (b - a) * at;
  const rows = [...rest.rows].map(([label, { before, after }]): [string, BarPair] => {
    const was = from.rows.get(label) ?? { before, after: before };
    return [label, { before: between(was.before, before), after: between(was.after, after) }];
  });
  return { rows: new Map(rows), end: between(from.end, rest.end) };
}

export function sameBars(a: Bars, b: Bars): boolean {
  return (
    a.rows.size === b.rows.size &&
    [...a.rows].every(([label, { before, after }]) => {
      const other = b.rows.get(label);
      return other?.before === before && other.after === after;
    })
  );
}

/** Where bars start that are drawn for the first time: after as before. */
export function startOf(list: readonly Choice[]): Bars {
  return restOf(list.map((choice) => ({ ...choice, after: choice.before })));
}
