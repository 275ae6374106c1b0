// What part of several heads that are one is each layer's and each head's, at what is pinned.

import { headsOf, type Together } from "../../data/together.js";
import { labelOf, quotedPair } from "../../marks/text/tokens.js";
import type { Between } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import { asideName } from "./aside.js";
import { groupLabel } from "./series.js";
import { NAMES, numbersOf } from "./together.js";

/** One of the layers or of the heads, and the parts of the single heads that its part is made of. */
export interface Part {
  readonly number: number;
  /** 0..1; null while it is not here. */
  readonly share: number | null;
  readonly of: readonly { readonly layer: number; readonly head: number; readonly share: number }[];
}

/** The parts of layers, none where there is only the selected one, and of heads; or why there are none. */
export interface TogetherParts {
  readonly layers: readonly Part[];
  readonly heads: readonly Part[];
  readonly error: string | null;
}

/** Numbers as half-open ranges, rising. */
function ranges(numbers: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = found.at(-1);
    if (last && last[1] === number) last[1] = number + 1;
    else found.push([number, number + 1]);
  }
  return found;
}

/** Which keys count where none is pinned: those that are not set aside; null for all. */
function keysLeft({ keys, aside }: Scene): readonly number[] | null {
  if (aside.keys.length === 0 || aside.keys.length >= keys.length) return null;
  return [...keys.keys()].filter((key) => !aside.has(key));
}

/** From which queries to which keys the parts are: what is pinned, and where nothing is, everything. */
function betweenOf(scene: Scene): Between {
  const { queries, keys } = scene.state;
  const to = keys.length > 0 ? keys : keysLeft(scene);
  return {
    ...(queries.length > 0 ? { queries: ranges(queries) } : {}),
    ...(to ? { keys: ranges(to) } : {}),
  };
}

export function partsOf(scene: Scene, together: Together): TogetherParts {
  const layer = scene.layer.layer;
  const found = scene.blocks.togetherShares(layer, together, betweenOf(scene));
  const known = found && !("error" in found) ? found : null;
  const each = headsOf(together, layer).map(([layer, head], n) => ({
    layer,
    head,
    share: known?.[n] ?? 0,
  }));
  const of = (number: number, axis: "layer" | "head"): Part => {
    const own = each.filter((one) => one[axis] === number);
    const share = known && own.reduce((sum, one) => sum + one.share, 0);
    return { number, share, of: own };
  };
  const { heads, layers } = numbersOf(together);
  return {
    layers: layers.map((number) => of(number, "layer")),
    heads: heads.map((number) => of(number, "head")),
    error: found && "error" in found ? found.error : null,
  };
}

/** Between what the parts are: “it” → “cat”, all queries. */
function placeName(scene: Scene): string {
  const { state, queries, keys } = scene;
  const label = (of: Scene["keys"], pins: readonly number[]) =>
    pins.length === 1 ? labelOf(of, pins[0] as number) : groupLabel(of, pins);
  const to = state.keys.length > 0 ? label(keys, state.keys) : null;
  const name = to === null ? asideName(scene) : null;
  const without = name ? `, ${name} set aside` : "";
  if (state.queries.length === 0) return to === null ? `all queries${without}` : `all → “${to}”`;
  const from = label(queries, state.queries);
  return to === null ? `“${from}”${without}` : quotedPair(from, " → ", to, 200);
}

/** "part of the mean at “it” → “cat”". */
export function partsTitle(scene: Scene, { how }: Together): string {
  const place = placeName(scene);
  return how === "max"
    ? `where each is the largest: ${place}`
    : `part of the ${NAMES[how]}: ${place}`;
}

/** A query's weights add up to 1 in every head: without a key that is pinned their parts are alike. */
export function partsAreAlike(scene: Scene, { how }: Together, { heads }: TogetherParts): boolean {
  if (how === "max" || scene.state.keys.length > 0) return false;
  const all = heads.flatMap((head) => (head.share === null ? [] : head.of));
  const shares = all.map(({ share }) => share);
  return shares.length > 1 && Math.max(...shares) - Math.min(...shares) < 1e-5;
}
