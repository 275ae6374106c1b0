// Which grouping is on show, and from which group to which: what a stream has of it, and what a click means.

import { USUAL_GROUPINGS } from "../protocol/constants.js";
import type { Group, Grouping, StreamMeta } from "../protocol/generated.js";
import type { State } from "./selection.js";

type GroupState = Pick<State, "grouping" | "from_group" | "to_group">;

export function groupingOf(stream: StreamMeta, name: string | null): Grouping | null {
  return stream.groupings?.find((grouping) => grouping.name === name) ?? null;
}

function usualGrouping(stream: StreamMeta): string | null {
  return USUAL_GROUPINGS.find((name) => groupingOf(stream, name)) ?? null;
}

/** The groups that can stand at an end: those with queries, or those with keys. */
export function groupsAt({ groups }: Grouping, axis: "queries" | "keys"): readonly Group[] {
  return groups.filter((group) => group[axis].length > 0);
}

/** What of the groups on show a stream has: the grouping, else its usual one, and the ends that are in it. */
export function fittingGroups(stream: StreamMeta, state: GroupState): GroupState {
  const { grouping: name, from_group, to_group } = state;
  const shown = name === null ? null : (groupingOf(stream, name)?.name ?? usualGrouping(stream));
  const grouping = groupingOf(stream, shown);
  const kept = (end: string | null, axis: "queries" | "keys") =>
    grouping && groupsAt(grouping, axis).some((group) => group.name === end) ? end : null;
  return {
    grouping: shown,
    from_group: kept(from_group, "queries"),
    to_group: kept(to_group, "keys"),
  };
}

/** A click on a share shows links from one group to another; a second one shows all again. */
export function clickGroups(
  { from_group, to_group }: GroupState,
  { from = null, to = null }: { readonly from?: string | null; readonly to?: string | null },
): Partial<State> {
  if (from_group === from && to_group === to) return { from_group: null, to_group: null };
  return { from_group: from, to_group: to };
}
