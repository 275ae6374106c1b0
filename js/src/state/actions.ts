// Clicks and keys as pure functions from the selection to its changes.

import { findStream } from "../data/meta.js";
import { EFFECT, RANKING } from "../protocol/constants.js";
import type { HeadRef, Meta, Ranking } from "../protocol/generated.js";
import { clickGroups } from "./groups.js";
import type { Hit, ViewName } from "./interaction.js";
import type { State } from "./selection.js";
import { clampTo } from "./signals.js";

/**
 * What a click or a key means: pure functions from the selection to what changes in it. They know
 * nothing of the DOM or of Python.
 */
export type Change = Partial<State>;

const sameHead = (a: HeadRef, b: HeadRef) => a[0] === b[0] && a[1] === b[1];

export function toggleHead(state: State, head: number): Change {
  const without = state.heads.filter((h) => h !== head);
  // The last head stays: an empty selection would leave nothing to look at.
  if (without.length === 0) return {};
  if (without.length < state.heads.length) return { heads: without };
  // The first one is the head that the neuron view takes apart: adding another leaves it first.
  return { heads: [...state.heads, head] };
}

export function addToCompare(state: State, heads: readonly HeadRef[]): Change {
  const compare = [...state.compare];
  for (const head of heads) if (!compare.some((other) => sameHead(other, head))) compare.push(head);
  return { compare };
}

const selectedHeads = ({ layer, heads }: State) => heads.map((head): HeadRef => [layer, head]);

/** The selected heads of the selected layer, side by side with what is compared already. */
export function compareSelected(state: State): Change {
  return addToCompare(state, selectedHeads(state));
}

/** One head by itself: others are no longer taken together with it. */
export function chooseHead({ together_layers }: State, layer: number, head: number): Change {
  return { layer, heads: [head], ...(together_layers ? { together_layers: null } : {}) };
}

/**
 * Click selects one head. Shift-click adds: in the same layer to the selected heads; in another
 * layer there is no such thing, so both are pinned side by side.
 */
export function clickHead(state: State, layer: number, head: number, additive: boolean): Change {
  if (!additive) return chooseHead(state, layer, head);
  if (layer === state.layer) return toggleHead(state, head);
  return addToCompare(
    state,
    state.compare.length > 0 ? [[layer, head]] : [...selectedHeads(state), [layer, head]],
  );
}

/** A link with its head: all of it is selected, or let go where it is all that is. */
export function chooseLink(state: State, { layer, head, pin }: Hit): Change {
  if (layer === undefined || head === undefined) return {};
  const queries = pin?.query === undefined ? [] : [pin.query];
  const keys = pin?.key === undefined ? [] : [pin.key];
  const same = (pins: readonly number[], link: readonly number[]) =>
    pins.length === link.length && pins[0] === link[0];
  const there = state.layer === layer && state.heads.length === 1 && state.heads[0] === head;
  if (there && same(state.queries, queries) && same(state.keys, keys))
    return { queries: [], keys: [] };
  return { ...chooseHead(state, layer, head), queries, keys };
}

const isAlone = (pins: readonly number[], pin: number) => pins.length === 1 && pins[0] === pin;
const without = (pins: readonly number[], pin: number) => pins.filter((other) => other !== pin);
const withPin = (pins: readonly number[], pin: number) => [...without(pins, pin), pin];

/**
 * A click on a token pins it; a click on the one that is pinned alone lets it go. An additive click
 * adds a token to the pinned ones of its axis, or takes it away.
 */
export function clickPosition(state: State, { query, key }: Hit, additive: boolean): Change {
  const { queries, keys } = state;
  if (query !== undefined && key !== undefined) {
    const there = additive
      ? queries.includes(query) && keys.includes(key)
      : isAlone(queries, query) && isAlone(keys, key);
    if (there) return { queries: without(queries, query), keys: without(keys, key) };
    if (!additive) return { queries: [query], keys: [key] };
    return { queries: withPin(queries, query), keys: withPin(keys, key) };
  }
  const clicked = (pins: readonly number[], pin: number) => {
    if (additive ? pins.includes(pin) : isAlone(pins, pin)) return without(pins, pin);
    return additive ? withPin(pins, pin) : [pin];
  };
  return {
    ...(query === undefined ? {} : { queries: clicked(queries, query) }),
    ...(key === undefined ? {} : { keys: clicked(keys, key) }),
  };
}

/** From one position to another, both included; where it began leads. */
function range(from: number, to: number): number[] {
  const step = from <= to ? 1 : -1;
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => from + i * step);
}

/** A drag pins all positions from where it began to where it is: tokens of one axis, or a block of a matrix. */
export function drag(from: Hit, to: Hit): Change {
  const [q, k] = [from.query !== undefined, from.key !== undefined];
  // On the way it may cross what is of another kind.
  if (q !== (to.query !== undefined) || k !== (to.key !== undefined)) return {};
  return {
    ...(q ? { queries: range(from.query as number, to.query as number) } : {}),
    ...(k ? { keys: range(from.key as number, to.key as number) } : {}),
  };
}

export function click(state: State, view: ViewName, hit: Hit, additive: boolean): Change {
  const { layer, head } = hit;
  if (hit.action === "unpin-head" && layer !== undefined && head !== undefined) {
    return { compare: state.compare.filter((other) => !sameHead(other, [layer, head])) };
  }
  if (hit.action === "make-first" && layer !== undefined && head !== undefined) {
    const rest = state.compare.filter((other) => !sameHead(other, [layer, head]));
    return { compare: [[layer, head], ...rest] };
  }
  if (hit.action === "choose-head" && head !== undefined) {
    return { heads: [head, ...state.heads.filter((other) => other !== head)] };
  }
  if (hit.action === "choose-query" && hit.query !== undefined) {
    return { queries: [hit.query, ...state.queries.filter((other) => other !== hit.query)] };
  }
  if (hit.action === "explain-link" || hit.action === "explain-head") {
    return { explain: hit.action === "explain-link" ? "link" : "head" };
  }
  if (hit.action === "show-head" && layer !== undefined && head !== undefined) {
    return clickHead(state, layer, head, additive);
  }
  if (hit.from !== undefined || hit.to !== undefined) return clickGroups(state, hit);
  if (view === "model" && layer !== undefined && head !== undefined) {
    return clickHead(state, layer, head, additive);
  }
  return clickPosition(state, hit.pin ?? hit, additive);
}

/** One head of every layer that has it, side by side; once more, and they are let go. */
export function headInAllLayers(meta: Meta, state: State, head: number): Change {
  const compare = findStream(meta, state.stream)
    .layers.filter(({ layer, num_heads }) => {
      return head < num_heads && (state.show_layers?.includes(layer) ?? true);
    })
    .map(({ layer }): HeadRef => [layer, head]);
  const same =
    compare.length === state.compare.length &&
    compare.every((one, n) => sameHead(one, state.compare[n] as HeadRef));
  return { compare: same ? [] : compare };
}

/** Escape lets go of one thing at a time: the pinned key, then the query, then the compared heads. */
export function letGo(state: State): Change {
  if (state.key !== null) return { key: null };
  if (state.query !== null) return { query: null };
  if (state.compare.length > 0) return { compare: [] };
  return {};
}

/** Read a text the other way: what is pinned stays in question, as the key of others or as a query. */
export function turnText({ queries, keys }: State, attendedBy: boolean): Change {
  const [from, to] = attendedBy ? [queries, keys] : [keys, queries];
  if (from.length === 0 || to.length > 0) return {};
  return attendedBy ? { queries: [], keys: from } : { queries: from, keys: [] };
}

export function stepLayer(meta: Meta, state: State, step: number): Change {
  const { layers } = findStream(meta, state.stream);
  const at = layers.findIndex((l) => l.layer === state.layer);
  // Those that the model view leaves out are passed over.
  const beyond = layers.filter(({ layer }, place) => {
    const shown = state.show_layers?.includes(layer) ?? true;
    return shown && (step > 0 ? place > at : place < at);
  });
  const next = (step > 0 ? beyond[step - 1] : beyond.at(step)) ?? layers[at];
  return next ? setLayer(meta, state, next.layer) : {};
}

export function setLayer(meta: Meta, state: State, layer: number): Change {
  const { heads } = clampTo(meta, { ...state, layer });
  return { layer, heads };
}

export function stepHead(meta: Meta, state: State, step: number): Change {
  const { layers } = findStream(meta, state.stream);
  const count = layers.find((l) => l.layer === state.layer)?.num_heads ?? 1;
  const from = step > 0 ? Math.max(...state.heads) : Math.min(...state.heads);
  return { heads: [(from + step + count) % count] };
}

export function setStream(meta: Meta, state: State, stream: string): Change {
  // A pin means another token in another stream, and heads of two streams are not comparable.
  return clampTo(meta, { ...state, stream, queries: [], keys: [], compare: [], ranking: null });
}

/** The links that the pins name; null without a pinned key. Keys alone are ranked over all queries. */
export function pinnedLinks({ queries, keys }: State): Ranking | null {
  if (keys.length === 0) return null;
  // In their order on the page, as Python names them, whatever the order of the clicks.
  const sorted = (positions: readonly number[]) => [...positions].sort((a, b) => a - b);
  return { queries: queries.length === 0 ? null : sorted(queries), keys: sorted(keys) };
}

/** Colour all heads by a ranking; those that stand by layers then stand in its order. */
function rankBy(state: State, ranking: Ranking | null): Change {
  if (!ranking) return {};
  const loose = state.arrange === "layers" || state.arrange === "rank_by_layer";
  return { ranking, score: RANKING, ...(loose ? { arrange: "rank" } : {}) };
}

/** Rank all heads by the weight of the pinned links. */
export function rankByPins(state: State): Change {
  return rankBy(state, pinnedLinks(state));
}

/** The share from one group on show to the other; null while neither is chosen. */
export function groupRanking({ grouping, from_group, to_group }: State): Ranking | null {
  if (grouping === null || (from_group ?? to_group) === null) return null;
  return { grouping, from: from_group, to: to_group };
}

/** Rank all heads by the share from one group on show to the other. */
export function rankByGroups(state: State): Change {
  return rankBy(state, groupRanking(state));
}

/**
 * Choose what heads are coloured by; without a score there is nothing to order them by. A threshold among effects is
 * in their own units, and means nothing among shares of weight.
 */
export function setScore(score: string | null, before: string | null): Change {
  if (score === null) return { score, arrange: "layers", threshold: null };
  const units = (score === EFFECT) !== (before === EFFECT);
  return units ? { score, threshold: null } : { score };
}

/** The head before or after the selected one in a ranking. */
export function stepRank(state: State, order: readonly HeadRef[], step: number): Change {
  const at = order.findIndex((ref) => sameHead(ref, [state.layer, state.heads[0] ?? 0]));
  const [layer, head] = order[Math.max(0, Math.min(order.length - 1, at + step))] ?? [];
  return layer === undefined || head === undefined ? {} : chooseHead(state, layer, head);
}
