// Groups in the views: the runs of an axis with what they are called, and what of them is left out.

import type { MarginRun } from "../../marks/groups/margins.js";
import { MARGIN_ABOVE, marginRoom } from "../../marks/groups/margins.js";
import { REST_GROUP } from "../../protocol/constants.js";
import { groupFilter, groupsOf, type SceneGroups } from "../../scene/groups.js";
import type { Scene } from "../../scene/scene.js";

/** More runs than this are no groups any more that a margin could name: only their borders are drawn. */
const MOST_RUNS = 200;

export type AxisName = "queries" | "keys";

/** The runs of an axis; `at` says where a place begins. */
export function marginRuns(
  scene: Scene,
  axis: AxisName,
  at: (index: number) => number,
): readonly MarginRun[] {
  const groups = groupsOf(scene);
  if (!groups || groups[axis].runs.length > MOST_RUNS) return [];
  const filter = groupFilter(scene);
  return groups[axis].runs.map(({ start, stop, group }) => {
    const { name, label } = groups.grouping.groups[group] as SceneGroups["grouping"]["groups"][0];
    const drawn = axis === "queries" ? filter?.query(start) : filter?.key(start);
    return {
      from: at(start),
      to: at(stop),
      label: name === REST_GROUP ? "" : label,
      faded: drawn === false,
    };
  });
}

/** What the group of each place is called, empty for none; null where no groups are shown. */
export function groupLabels(scene: Scene, axis: AxisName): ((index: number) => string) | null {
  const groups = groupsOf(scene);
  if (!groups || groups[axis].runs.length > MOST_RUNS) return null;
  return (index) => {
    const group = groups.grouping.groups[groups[axis].numbers[index] ?? -1];
    return group && group.name !== REST_GROUP ? group.label : "";
  };
}

/** Places at which another group begins. */
export function groupBorders(scene: Scene, axis: AxisName): readonly number[] {
  const runs = groupsOf(scene)?.[axis].runs ?? [];
  return runs.length > MOST_RUNS ? [] : runs.slice(1).map(({ start }) => start);
}

/** What the margin beside an axis takes of a width; none where no groups are shown. */
export function groupMargin(scene: Scene, axis: AxisName, available: number): number {
  const groups = groupsOf(scene);
  if (!groups || groups[axis].runs.length > MOST_RUNS) return 0;
  const there = new Set(groups[axis].runs.map(({ group }) => group));
  const labels = groups.grouping.groups
    .filter(({ name }, number) => there.has(number) && name !== REST_GROUP)
    .map(({ label }) => label);
  return labels.length === 0 ? 0 : marginRoom(labels, available);
}

/** Room for the names of groups around a matrix of this width. */
export function matrixMargins(scene: Scene, width: number): { row: number; column: number } {
  return {
    row: groupMargin(scene, "queries", width),
    column: groupMargin(scene, "keys", width) > 0 ? MARGIN_ABOVE : 0,
  };
}
