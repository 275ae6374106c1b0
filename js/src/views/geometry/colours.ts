// What the points of a plane are coloured by: position, group or length, and the legend that says so.

import { rounded } from "../../marks/format.js";
import {
  colourKeyLines,
  drawColourKey,
  drawScaleBar,
  type KeyEntry,
  LEGEND_BAR,
  LEGEND_LINE,
  type Tick,
} from "../../marks/legends/legend.js";
import { groupsOf } from "../../scene/groups.js";
import type { Scene } from "../../scene/scene.js";
import { entry } from "../../styles/colours.js";
import { type Theme, themes } from "../../styles/theme.js";
import type { Surface } from "../../surface/surface.js";
import type { Plane, PlanePoint } from "./points.js";

/** The first shades of a map are nearly the page's: points would not be seen. */
const FIRST_SHADE = 90;
const SHADES = 255 - FIRST_SHADE;
const MOST_LINES = 3;

interface Scale {
  readonly title: string;
  readonly table: Uint8Array;
  readonly ticks: readonly Tick[];
}

export interface PointColours {
  colour(point: PlanePoint): string;
  /** Where colours are a scale; else each group has its own. */
  readonly scale: Scale | null;
  readonly groups: readonly KeyEntry[];
}

/** The part of a map that stands out from the page, over all of a bar. */
function partOf(table: Uint8Array): Uint8Array {
  const part = new Uint8Array(table.length);
  for (let shade = 0; shade < 256; shade++) {
    const from = 3 * Math.round(FIRST_SHADE + (shade / 255) * SHADES);
    part.set(table.subarray(from, from + 3), 3 * shade);
  }
  return part;
}

function scaled(
  title: string,
  table: Uint8Array,
  [low, high]: readonly [number, number],
  value: (point: PlanePoint) => number,
  label: (value: number) => string,
): PointColours {
  const part = partOf(table);
  const at = (number: number) => (high > low ? (number - low) / (high - low) : 1);
  const ticks = [0, 0.5, 1].map((where) => ({
    at: where,
    label: label(low + where * (high - low)),
  }));
  return {
    colour: (point) => entry(part, 255 * at(value(point))),
    scale: { title, table: part, ticks: high > low ? ticks : ticks.slice(2) },
    groups: [],
  };
}

/** As heads are told apart, whatever colour these have in a figure; on paper by greys. */
function groupColour(theme: Theme, group: number, count: number): string {
  if (theme.id !== "print") return themes[theme.name].head(group, count);
  const part = count > 1 ? group / (count - 1) : 1;
  return entry(theme.sequential, FIRST_SHADE + part * SHADES);
}

function grouped(scene: Scene): PointColours | null {
  const groups = groupsOf(scene);
  if (!groups) return null;
  const { theme } = scene;
  const names = groups.grouping.groups.map(({ name }) => name);
  const colours = names.map((_, group) => groupColour(theme, group, names.length));
  return {
    colour: ({ side, index }) => {
      const group = (side === "query" ? groups.queries : groups.keys).numbers[index] ?? -1;
      return colours[group] ?? theme.muted;
    },
    scale: null,
    groups: names.map((label, group) => ({ label, colour: colours[group] as string })),
  };
}

/** The colours of all panels: one scale for all of them. */
export function coloursOf(scene: Scene, planes: readonly Plane[]): PointColours {
  const { theme, state, queries, keys } = scene;
  const groups = state.colour === "group" ? grouped(scene) : null;
  if (groups) return groups;
  if (state.colour === "norm") {
    const norms = planes.flatMap(({ points }) => points.map(({ norm }) => norm));
    const ends = [Math.min(...norms), Math.max(...norms)] as const;
    const title = "length of the vector";
    return scaled(
      title,
      theme.sequential,
      norms.length > 0 ? ends : [0, 1],
      ({ norm }) => norm,
      (n) => rounded(n, 3),
    );
  }
  const last = Math.max(queries.length, keys.length) - 1;
  return scaled(
    "position",
    theme.score,
    [0, last],
    ({ index }) => index,
    (n) => String(Math.round(n)),
  );
}

export function colourLegendHeight({ scale, groups }: PointColours, width: number): number {
  if (scale) return LEGEND_BAR;
  return LEGEND_LINE * Math.max(1, colourKeyLines(groups, width, MOST_LINES).length);
}

export function drawColourLegend(
  surface: Surface,
  scene: Scene,
  { scale, groups }: PointColours,
  { x, y, width }: { readonly x: number; readonly y: number; readonly width: number },
): void {
  const { theme } = scene;
  if (!scale) {
    drawColourKey(surface, x, y + LEGEND_LINE / 2, width, groups, theme, MOST_LINES);
    return;
  }
  const bar = { x, y: y + 4, width: Math.min(width, 330), title: scale.title };
  surface.group("legend", () => drawScaleBar(surface, bar, [scale.table], scale.ticks, theme));
}
