// Tokens that edits take away: which labels are struck through, and where strips of long inputs have ticks.

import type { Scene } from "../../scene/scene.js";
import { type Cut, cutsIn, type DrawnHead } from "./parts.js";

export type Axis = "query" | "key";

/** One end of a cut, and the other. */
function endsOf({ queries, keys }: Cut, axis: Axis) {
  return axis === "query" ? ([queries, keys] as const) : ([keys, queries] as const);
}

type Struck = (index: number) => boolean;

function oneOf(lists: readonly (readonly number[])[]): Struck | undefined {
  if (lists.length === 0) return undefined;
  const all = new Set(lists.flat());
  return (index) => all.has(index);
}

/** Keys that nothing looks at any more, or queries that look at nothing; undefined where there are none. */
export function struckAt(
  scene: Scene,
  drawn: readonly DrawnHead[],
  axis: Axis,
): Struck | undefined {
  const whole = cutsIn(scene, drawn).flatMap((cut) => {
    const [own, other] = endsOf(cut, axis);
    return own && other === null ? [own] : [];
  });
  return oneOf(whole);
}

/** Tokens of an axis whose links with any of the others are cut, besides those that are struck anyway. */
export function struckFrom(
  scene: Scene,
  drawn: readonly DrawnHead[],
  axis: Axis,
  others: readonly number[],
): Struck | undefined {
  const met = cutsIn(scene, drawn).flatMap((cut) => {
    const [own, other] = endsOf(cut, axis);
    if (!own) return [];
    return other === null || other.some((at) => others.includes(at)) ? [own] : [];
  });
  return oneOf(met);
}

/** More ticks than these are no places that could be told apart. */
const MOST_TICKS = 64;

/** Where anything is cut, for the strip beside a long input. */
export function cutTicks(
  scene: Scene,
  drawn: readonly DrawnHead[],
): readonly { readonly axis: Axis; readonly index: number }[] {
  const cuts = cutsIn(scene, drawn);
  return (["query", "key"] as const).flatMap((axis) => {
    const places = new Set(cuts.flatMap((cut) => endsOf(cut, axis)[0] ?? []));
    return [...places].slice(0, MOST_TICKS).map((index) => ({ axis, index }));
  });
}
