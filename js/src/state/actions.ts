import type { HeadRef, Meta, State } from "../protocol/generated.js";
import type { Hit, View } from "../views/view.js";
import { clampTo, findStream } from "./state.js";

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

/**
 * Click selects one head. Shift-click adds: in the same layer to the selected heads; in another
 * layer there is no such thing, so both are pinned side by side.
 */
export function clickHead(state: State, layer: number, head: number, additive: boolean): Change {
  if (!additive) return { layer, heads: [head] };
  if (layer === state.layer) return toggleHead(state, head);
  const selected = state.heads.map((h): HeadRef => [state.layer, h]);
  return addToCompare(
    state,
    state.compare.length > 0 ? [[layer, head]] : [...selected, [layer, head]],
  );
}

/** A click on a token pins it; a click on the pinned one lets it go. */
export function clickPosition(state: State, hit: Hit): Change {
  const change: Change = {};
  if (hit.query !== undefined && hit.key !== undefined) {
    const pinned = state.query === hit.query && state.key === hit.key;
    return pinned ? { query: null, key: null } : { query: hit.query, key: hit.key };
  }
  if (hit.query !== undefined) change.query = state.query === hit.query ? null : hit.query;
  if (hit.key !== undefined) change.key = state.key === hit.key ? null : hit.key;
  return change;
}

export function click(state: State, view: View["name"], hit: Hit, additive: boolean): Change {
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
  if (view === "model" && layer !== undefined && head !== undefined) {
    return clickHead(state, layer, head, additive);
  }
  return clickPosition(state, hit.pin ?? hit);
}

/** Escape lets go of one thing at a time: the pinned key, then the query, then the compared heads. */
export function letGo(state: State): Change {
  if (state.key !== null) return { key: null };
  if (state.query !== null) return { query: null };
  if (state.compare.length > 0) return { compare: [] };
  return {};
}

export function stepLayer(meta: Meta, state: State, step: number): Change {
  const { layers } = findStream(meta, state.stream);
  const at = layers.findIndex((l) => l.layer === state.layer);
  const next = layers[Math.max(0, Math.min(layers.length - 1, at + step))];
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
  return clampTo(meta, { ...state, stream, query: null, key: null, compare: [] });
}
