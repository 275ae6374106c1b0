// Groups over pictures and sounds, and among the tokens beside them.

import { drawMargin, MARGIN_ABOVE, type MarginRun } from "../../marks/groups/margins.js";
import type { Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { groupLabels } from "../shared/groups.js";
import type { MediaLayout, MediaTile } from "./media-positions.js";

/** What the group is called that all positions in a medium are in; null where they are in several, or in none. */
function groupOfMedium(scene: Scene, { places, over }: MediaLayout, medium: number): string | null {
  const labels = groupLabels(scene, over === "key" ? "keys" : "queries");
  const inside = places.media.get(medium);
  if (!labels || !inside) return null;
  const found = new Set<string>();
  for (const index of inside.at) if (index >= 0) found.add(labels(index));
  const [only = ""] = found;
  return found.size === 1 && only !== "" ? only : null;
}

/** Room above the pictures for the names of their groups; none where no medium is in one. */
export function mediaMargin(scene: Scene, mediaLayout: MediaLayout): number {
  const media = [...mediaLayout.places.media.keys()];
  return media.some((medium) => groupOfMedium(scene, mediaLayout, medium)) ? MARGIN_ABOVE : 0;
}

/** A rule and a name over the first row of pictures; neighbours of one group have one. */
export function drawMediaGroups(
  surface: Surface,
  scene: Scene,
  mediaLayout: MediaLayout,
  tiles: readonly MediaTile[],
): void {
  const top = Math.min(...tiles.map(({ rect }) => rect.y));
  const first = tiles.filter(({ rect }) => rect.y === top).sort((a, b) => a.rect.x - b.rect.x);
  const runs: MarginRun[] = [];
  for (const { medium, rect } of first) {
    const label = groupOfMedium(scene, mediaLayout, medium);
    if (label === null) continue;
    const before = runs.at(-1);
    const to = rect.x + rect.width;
    if (before?.label === label) runs[runs.length - 1] = { ...before, to };
    else runs.push({ from: rect.x, to, label });
  }
  const [leading] = runs;
  if (!leading) return;
  const window = [leading.from, (runs.at(-1) ?? leading).to] as const;
  const edge = Math.min(...first.map(({ titleTop }) => titleTop));
  drawMargin(surface, runs, { side: "above", edge, room: MARGIN_ABOVE, window }, scene.theme);
}

/** A group's name among the tokens beside a picture, and the lines under them. */
export interface ChipGroup {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly rules: readonly Rect[];
}

export const CHIP_GROUP_SIZE = 11;

export function drawChipGroups(
  surface: Surface,
  scene: Scene,
  groups: readonly ChipGroup[],
  at: { readonly left: number; readonly top: number; readonly middle: number },
): void {
  const { theme } = scene;
  for (const { text, x, y, rules } of groups) {
    const style = { fill: theme.muted, size: CHIP_GROUP_SIZE, weight: "bold" } as const;
    surface.text(x + at.left, y + at.top + at.middle, text, style);
    for (const rule of rules) {
      const rect = { ...rule, x: rule.x + at.left, y: rule.y + at.top };
      surface.rect(rect, { fill: theme.muted, opacity: 0.5 });
    }
  }
}
