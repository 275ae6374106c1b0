// Groups of positions as they are shown: which group each place of an axis is in, and which links are drawn.

import { wordsOf } from "../data/words.js";
import type { Group, Grouping, Position } from "../protocol/generated.js";
import { groupingOf } from "../state/groups.js";
import type { GenerationStep } from "./generation-step.js";
import { recordScene, type Scene } from "./scene.js";

/** Places next to each other that are in one group. */
export interface GroupRun {
  readonly start: number;
  readonly stop: number;
  readonly group: number;
}

export interface AxisGroups {
  /** The group of each place, by its number. */
  readonly numbers: Int16Array;
  readonly runs: readonly GroupRun[];
}

/** The grouping on show, over the places of a scene: words where it shows words. */
export interface SceneGroups {
  readonly grouping: Grouping;
  readonly queries: AxisGroups;
  readonly keys: AxisGroups;
}

const made = new WeakMap<Grouping, Map<string, SceneGroups>>();
const cuts = new WeakMap<Grouping, Map<string, Grouping>>();

/** A grouping of the positions that there are at a step of a generation, all groups still in their places. */
function groupingAtStep(grouping: Grouping, { numQueries, numKeys }: GenerationStep): Grouping {
  const known = cuts.get(grouping) ?? new Map<string, Grouping>();
  cuts.set(grouping, known);
  const id = `${numQueries} ${numKeys}`;
  const until = (ranges: Group["queries"], end: number) =>
    ranges
      .filter(([start]) => start < end)
      .map(([start, stop]): [number, number] => [start, Math.min(stop, end)]);
  const groups = grouping.groups.map((group) => ({
    ...group,
    queries: until(group.queries, numQueries),
    keys: until(group.keys, numKeys),
  }));
  const found = known.get(id) ?? { ...grouping, groups };
  known.set(id, found);
  return found;
}

/** A word is in the group of its first piece, as in the kernel. */
function axisOf(
  groups: readonly Group[],
  axis: "queries" | "keys",
  positions: readonly Position[],
  words: boolean,
): AxisGroups {
  // What is not there yet at a step of a generation is in none.
  const pieces = new Int16Array(positions.length).fill(-1);
  groups.forEach((group, number) => {
    for (const [start, stop] of group[axis]) pieces.fill(number, start, stop);
  });
  const merged = words ? wordsOf(positions) : null;
  const numbers = merged
    ? Int16Array.from(merged.pieces, ([first = 0]) => pieces[first] as number)
    : pieces;
  const runs: GroupRun[] = [];
  for (let start = 0, at = 1; at <= numbers.length; at++) {
    if (at < numbers.length && numbers[at] === numbers[start]) continue;
    const group = numbers[start] as number;
    if (group >= 0) runs.push({ start, stop: at, group });
    start = at;
  }
  return { numbers, runs };
}

/** The groups that are marked; null where none are. */
export function groupsOf(scene: Scene): SceneGroups | null {
  const whole = groupingOf(scene.stream, scene.state.grouping);
  if (!whole) return null;
  const { queries, keys, generationStep } = recordScene(scene);
  const grouping = generationStep ? groupingAtStep(whole, generationStep) : whole;
  const words = scene.recorded !== null && scene.state.positions === "words";
  const id = `${words} ${queries.length} ${keys.length}`;
  const known = made.get(grouping) ?? new Map<string, SceneGroups>();
  made.set(grouping, known);
  let found = known.get(id);
  if (!found) {
    const { groups } = grouping;
    found = {
      grouping,
      queries: axisOf(groups, "queries", queries, words),
      keys: axisOf(groups, "keys", keys, words),
    };
    known.set(id, found);
  }
  return found;
}

/** Which queries and keys links are drawn between. */
export interface GroupFilter {
  /** Stands for the filter in what is kept. */
  readonly id: string;
  query(index: number): boolean;
  key(index: number): boolean;
}

/** What `from_group` and `to_group` leave; null where everything is drawn. */
export function groupFilter(scene: Scene): GroupFilter | null {
  const { from_group, to_group } = scene.state;
  const groups = from_group === null && to_group === null ? null : groupsOf(scene);
  if (!groups) return null;
  const number = (name: string | null) =>
    groups.grouping.groups.findIndex((group) => group.name === name);
  const [from, to] = [number(from_group), number(to_group)];
  const { queries, keys } = groups;
  return {
    id: JSON.stringify([groups.grouping.name, from_group, to_group]),
    query: (index) => from < 0 || queries.numbers[index] === from,
    key: (index) => to < 0 || keys.numbers[index] === to,
  };
}

/** "A → all". */
export function pairOfGroups(from: string | null, to: string | null): string {
  return `${from ?? "all"} → ${to ?? "all"}`;
}

/** What is said of a picture from which links are left out; none where all are there. */
export function filterNotes(scene: Scene): readonly string[] {
  const { from_group, to_group } = scene.state;
  if (!groupFilter(scene)) return [];
  return [`only ${pairOfGroups(from_group, to_group)} is drawn; numbers are of all`];
}
