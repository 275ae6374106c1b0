// Groups beside two columns of tokens: rules, names, and hairlines where another group begins.

import { drawMargin } from "../../marks/groups/margins.js";
import type { TokenColumn } from "../../marks/text/tokens.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { groupBorders, marginRuns } from "../shared/groups.js";
import type { LinesInput } from "./links.js";

function drawColumn(
  surface: Surface,
  scene: Scene,
  { layout, margins }: LinesInput,
  which: "queries" | "keys",
): void {
  const column: TokenColumn = layout[which];
  const { axis } = column;
  const at = (index: number) => axis.top - axis.offset + index * axis.rowHeight;
  const window = [axis.top, axis.top + axis.height] as const;
  for (const border of groupBorders(scene, which)) {
    const y = at(border);
    if (y <= window[0] || y >= window[1]) continue;
    surface.line(column.x, y, column.x + column.width, y, { stroke: scene.theme.rule });
  }
  const room = margins?.[which] ?? 0;
  if (room === 0) return;
  const { x, width } = layout.body;
  const left = which === "queries";
  const margin = {
    side: left ? "left" : "right",
    edge: left ? x : x + width,
    room,
    window,
  } as const;
  drawMargin(surface, marginRuns(scene, which, at), margin, scene.theme);
}

/** What says which group each token is in; nothing where no groups are shown. */
export function drawGroups(surface: Surface, scene: Scene, input: LinesInput): void {
  drawColumn(surface, scene, input, "queries");
  drawColumn(surface, scene, input, "keys");
}
