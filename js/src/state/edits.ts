// Edits of the model on the page: made of the selection, kept as chips, with undo and redo. Pure functions.

import { findStream } from "../data/meta.js";
import type { Intervention, Interventions, Meta } from "../protocol/generated.js";
import { groupingOf } from "./groups.js";
import type { State } from "./selection.js";

/** An edit as the reader sees it: one that is off is kept, and not in force. */
export interface Chip {
  readonly part: Intervention;
  readonly on: boolean;
}

export type Chips = readonly Chip[];

export interface EditHistory {
  readonly chips: Chips;
  /** What undo goes back to, the latest last, and what redo goes on to. */
  readonly past: readonly Chips[];
  readonly future: readonly Chips[];
}

export const NO_EDITS: EditHistory = { chips: [], past: [], future: [] };

/** Undone steps that are kept. */
const MOST_STEPS = 200;

/** The same part whatever the order of its fields: Python writes them in its own. */
export function partKey(part: unknown): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== "object" || value === null) return value;
    const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(fields.map(([name, field]) => [name, sorted(field)]));
  };
  return JSON.stringify(sorted(part));
}

export function inForce({ chips }: Pick<EditHistory, "chips">): Interventions {
  return chips.filter(({ on }) => on).map(({ part }) => part);
}

function changed(history: EditHistory, chips: Chips): EditHistory {
  return { chips, past: [...history.past, history.chips].slice(-MOST_STEPS), future: [] };
}

const at = (chips: Chips, part: Intervention) =>
  chips.findIndex((chip) => partKey(chip.part) === partKey(part));

/** Switch a chip on or off; an edit that has none becomes one. */
export function toggle(history: EditHistory, part: Intervention): EditHistory {
  const { chips } = history;
  const place = at(chips, part);
  if (place < 0) return changed(history, [...chips, { part, on: true }]);
  return changed(
    history,
    chips.map((chip, n) => (n === place ? { ...chip, on: !chip.on } : chip)),
  );
}

export function remove(history: EditHistory, part: Intervention): EditHistory {
  const place = at(history.chips, part);
  return place < 0
    ? history
    : changed(
        history,
        history.chips.filter((_, n) => n !== place),
      );
}

export function clear(history: EditHistory): EditHistory {
  return history.chips.length > 0 ? changed(history, []) : history;
}

export function undo({ chips, past, future }: EditHistory): EditHistory | null {
  const before = past.at(-1);
  return before ? { chips: before, past: past.slice(0, -1), future: [chips, ...future] } : null;
}

export function redo({ chips, past, future }: EditHistory): EditHistory | null {
  const [next, ...rest] = future;
  return next ? { chips: next, past: [...past, chips], future: rest } : null;
}

/**
 * What Python put in force. Chips that are off stay; one that was refused is switched off, and one that
 * Python took away is gone.
 */
export function adopt(
  history: EditHistory,
  parts: Interventions,
  { refused }: { readonly refused: boolean },
): EditHistory {
  const now = inForce(history).map(partKey);
  const given = parts.map(partKey);
  if (now.length === given.length && now.every((key, n) => key === given[n])) return history;
  const kept = history.chips.flatMap((chip): Chip[] => {
    if (given.includes(partKey(chip.part))) return [{ ...chip, on: true }];
    return chip.on && !refused ? [] : [{ ...chip, on: false }];
  });
  const known = kept.map(({ part }) => partKey(part));
  const fresh = parts.filter((part) => !known.includes(partKey(part)));
  const chips = [...kept, ...fresh.map((part) => ({ part, on: true }))];
  const { length } = chips.filter(({ on }) => on);
  // An order of Python's own counts: edits apply one after the other.
  const ordered =
    length === parts.length && inForce({ chips }).every((part, n) => partKey(part) === given[n]);
  if (ordered) return changed(history, chips);
  const off = chips.filter(({ on }) => !on);
  return changed(history, [...parts.map((part) => ({ part, on: true })), ...off]);
}

/** A stream is named where there are several. */
const streamName = (meta: Meta, state: State) => (meta.streams.length > 1 ? state.stream : null);

const headsOf = ({ layer, heads }: State) =>
  [...heads].sort((a, b) => a - b).map((head): readonly [number, number] => [layer, head]);

/** One position as its number, several as a list in their order on the page. */
const ends = (positions: readonly number[]) =>
  positions.length === 1 ? (positions[0] as number) : [...positions].sort((a, b) => a - b);

/** The selected heads zeroed; null where heads are merged into a rollout. */
export function headsOut(meta: Meta, state: State): Intervention | null {
  if (state.measure === "rollout") return null;
  return { ablate: headsOf(state), how: "zero", stream: streamName(meta, state), source: null };
}

/** The pinned link of the selected heads; null where query and key are not both pinned. */
export function linkOut(meta: Meta, state: State): Intervention | null {
  const { queries, keys } = state;
  if (queries.length === 0 || keys.length === 0 || state.measure === "rollout") return null;
  return {
    cut: { query: ends(queries), key: ends(keys) },
    heads: headsOf(state),
    layers: null,
    stream: streamName(meta, state),
    renormalise: true,
  };
}

const hidden = (
  meta: Meta,
  state: State,
  query: readonly number[] | null,
  key: readonly number[],
): Intervention => ({
  cut: { query: query && ends(query), key: ends(key) },
  heads: null,
  layers: null,
  stream: streamName(meta, state),
  renormalise: true,
});

/** All attention to the pinned keys, else to the pinned queries where those are the same tokens. */
export function tokenOut(meta: Meta, state: State): Intervention | null {
  const { query_positions, key_positions } = findStream(meta, state.stream);
  const same = query_positions === key_positions;
  const keys = state.keys.length > 0 ? state.keys : same ? state.queries : [];
  return keys.length > 0 ? hidden(meta, state, null, keys) : null;
}

/** All attention to the group at the far end of `from` and `to`, of the near one if that is chosen too. */
export function groupOut(meta: Meta, state: State): Intervention | null {
  const { from_group, to_group, grouping: name } = state;
  const grouping = groupingOf(findStream(meta, state.stream), name);
  const listed = (group: string | null, axis: "queries" | "keys") =>
    grouping?.groups
      .find((each) => each.name === group)
      ?.[axis].flatMap(([start, stop]) =>
        Array.from({ length: stop - start }, (_, n) => start + n),
      ) ?? [];
  const keys = to_group === null ? [] : listed(to_group, "keys");
  if (keys.length === 0) return null;
  return hidden(meta, state, from_group === null ? null : listed(from_group, "queries"), keys);
}
