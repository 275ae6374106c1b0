// Groups beside the rows of keys: the name of each row's, and where rows stand in the order of the text a rule beside each run.

import { drawMargin, type MarginRun } from "../../marks/groups/margins.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { ellipsize, textWidth } from "../../surface/text.js";
import { groupLabels } from "../shared/groups.js";
import { PAD, ROW } from "./layout.js";
import type { LinkScene } from "./link-scene.js";

const SIZE = 9;
/** Of the room for labels, at most this much is the group's. */
const SHARE = 0.4;
const GAP = 6;

/** Of a key, the name of its group as it stands at the end of a label's room, and the room it takes. */
export function rowGroup(
  scene: Scene,
  key: number,
  room: number,
): { readonly text: string; readonly width: number } | null {
  const label = groupLabels(scene, "keys")?.(key) ?? "";
  if (label === "") return null;
  const text = ellipsize(label, SHARE * room, SIZE);
  return { text, width: textWidth(text, SIZE) + GAP };
}

export function drawRowGroup(
  surface: Surface,
  scene: Scene,
  group: { readonly text: string },
  right: number,
  y: number,
): void {
  surface.text(right, y, group.text, { fill: scene.theme.muted, size: SIZE, anchor: "end" });
}

/** In the order of the text rows of one group stand together: a rule beside each such run. */
export function drawRowRules(
  surface: Surface,
  { scene, table, layout }: LinkScene,
  [first, last]: readonly [number, number],
): void {
  const labels = scene.options.keyOrder === "position" ? groupLabels(scene, "keys") : null;
  if (!labels) return;
  const runs: MarginRun[] = [];
  const at = (line: number) => layout.tableTop + line * ROW;
  for (let line = first; line < last; line++) {
    const what = table.at(line);
    const label = what?.kind === "key" ? labels(what.key) : "";
    const before = runs.at(-1);
    if (before && before.label === label && before.to === at(line)) {
      runs[runs.length - 1] = { ...before, to: at(line + 1) };
    } else runs.push({ from: at(line), to: at(line + 1), label });
  }
  const window = [at(first), at(last)] as const;
  // Their names stand in the rows.
  drawMargin(surface, runs, { side: "left", edge: PAD + 1, room: 0, window }, scene.theme);
}
