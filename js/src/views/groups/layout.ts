// Sizes and places of matrices of shares: the selected heads with numbers, below them all heads of the layer.

import { fittedNotes, LEGEND_BAR, LEGEND_LINE } from "../../marks/legends/legend.js";
import type { Group } from "../../protocol/generated.js";
import { hasLegend, type Scene } from "../../scene/scene.js";
import type { Rect } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { measureNotes } from "../shared/measure.js";
import type { Frame } from "../view.js";
import { editNotes } from "../what-if/parts.js";
import type { SharePanel } from "./panels.js";
import { type ShareAxes, shareAxes } from "./shares.js";

export const LABEL = 11;
export const TITLE = 22;
const SMALL_TITLE = 14;
export const HEADING = 24;
const TOP = 4;
const GAP = 18;
const SIDE = 4;
const CELL_LEAST = 9;
const SMALL = { least: 4, gap: 10 } as const;
/** The largest cells of the selected heads, and of all heads below them. */
interface Cells {
  readonly across: number;
  readonly down: number;
  readonly small: number;
}
const ROOMY: Cells = { across: 84, down: 52, small: 24 };
/** Where the larger ones would reach below what is in sight. */
const SNUG: Cells = { across: 58, down: 36, small: 16 };
/** So many groups are still few. */
const FEW = 4;
const MOST_LABEL = 110;
/** With less room a number would be cut. */
export const NUMBERED = { across: 36, short: 27, down: 15 } as const;

export interface PlacedPanel {
  readonly panel: SharePanel;
  readonly rect: Rect;
  readonly titleTop: number;
}

/** A head of the layer, small. */
export interface SmallPanel {
  readonly head: number;
  readonly rect: Rect;
}

export interface GroupsLayout {
  readonly axes: ShareAxes;
  readonly panels: readonly PlacedPanel[];
  /** Room for names at the left and above each panel. */
  readonly rowRoom: number;
  readonly columnRoom: number;
  /** Names above the columns are read upwards where they have no room side by side. */
  readonly turned: boolean;
  readonly small: readonly SmallPanel[];
  readonly smallTop: number;
  readonly footerTop: number;
  readonly height: number;
}

const widest = (groups: readonly Group[]) =>
  groups.reduce((most, { name }) => Math.max(most, textWidth(name, LABEL)), 0);

export function groupsNotes(scene: Scene, width: number): readonly string[] {
  const { state, meta } = scene;
  const notes = ["from a row’s group to a column’s: mean over its queries"];
  if (meta.comparison?.names.length === 2) notes.push("B − A: what the second record has more");
  notes.push(...(state.measure === "weights" ? editNotes(scene) : measureNotes(scene, undefined)));
  return fittedNotes(notes, width);
}

function footerHeight(scene: Scene, bars: number, width: number): number {
  if (!hasLegend(scene)) return 4;
  return 12 + bars * (LEGEND_BAR + 2) + LEGEND_LINE * groupsNotes(scene, width).length;
}

/** As many side by side as there is room for at a size in which numbers can be read. */
function cellSize(axes: ShareAxes, width: number, count: number, rowRoom: number, most: Cells) {
  const columns = axes.to.length;
  const free = width - 2 * SIDE;
  const wished = NUMBERED.across + 6;
  const panel = rowRoom + columns * wished;
  const across = Math.max(1, Math.min(count, Math.floor((free + GAP) / (panel + GAP))));
  const each = (free - (across - 1) * GAP) / across;
  const cell = Math.max(CELL_LEAST, Math.min(most.across, (each - rowRoom) / columns));
  const down = Math.max(CELL_LEAST, Math.min(most.down, cell));
  return { across, width: Math.floor(cell), height: Math.floor(down) };
}

function placeSmall(scene: Scene, axes: ShareAxes, width: number, top: number, largest: number) {
  const heads = scene.layer.num_heads;
  const free = width - 2 * SIDE;
  const side = Math.max(axes.from.length, axes.to.length);
  // Few groups in a row of many heads leave most of the view empty: then the heads stand in two rows.
  const fitting = (count: number) => ((free + SMALL.gap) / count - SMALL.gap) / side;
  const most = Math.min(heads, 12);
  const inRow = heads > 6 && fitting(most) < largest && side <= FEW ? Math.ceil(most / 2) : most;
  const cell = Math.max(SMALL.least, Math.min(largest, Math.floor(fitting(inRow))));
  const [across, down] = [cell * axes.to.length, cell * axes.from.length];
  const inOneRow = Math.floor((free + SMALL.gap) / inRow);
  const pitch = Math.max(across + 4, Math.min(Math.max(across, 20) + SMALL.gap, inOneRow));
  const columns = Math.max(1, Math.floor((free + SMALL.gap) / pitch));
  const small = Array.from({ length: heads }, (_, head): SmallPanel => {
    const row = Math.floor(head / columns);
    const x = SIDE + (head % columns) * pitch;
    const y = top + SMALL_TITLE + row * (down + SMALL_TITLE + SMALL.gap);
    return { head, rect: { x, y, width: across, height: down } };
  });
  const rows = Math.ceil(heads / columns);
  return { small, bottom: top + rows * (down + SMALL_TITLE + SMALL.gap) };
}

/** Null where no groups are shown. With `whole`, all heads of the layer stand below. */
export function groupsLayout(
  scene: Scene,
  frame: Frame,
  panels: readonly SharePanel[],
  whole: boolean,
): GroupsLayout | null {
  const axes = shareAxes(scene);
  if (!axes) return null;
  const roomy = placeAll(scene, frame, panels, whole, axes, ROOMY);
  return roomy.height <= frame.height ? roomy : placeAll(scene, frame, panels, whole, axes, SNUG);
}

function placeAll(
  scene: Scene,
  frame: Frame,
  panels: readonly SharePanel[],
  whole: boolean,
  axes: ShareAxes,
  most: Cells,
): GroupsLayout {
  const { width } = frame;
  const rowRoom = Math.ceil(Math.min(MOST_LABEL, 0.3 * width, widest(axes.from) + 10));
  const cell = cellSize(axes, width, panels.length, rowRoom, most);
  const turned = widest(axes.to) > cell.width - 4;
  const columnRoom = turned ? Math.ceil(Math.min(84, widest(axes.to) + 10)) : LABEL + 8;
  const [across, down] = [cell.width * axes.to.length, cell.height * axes.from.length];
  const title = scene.drawing?.panel ? 0 : TITLE;
  const pitch = title + columnRoom + down + GAP;
  const used = cell.across * (rowRoom + across) + (cell.across - 1) * GAP;
  const left = Math.max(SIDE, Math.floor((width - used) / 2));
  const top = TOP - frame.scroll;
  const placed = panels.map((panel, n): PlacedPanel => {
    const row = Math.floor(n / cell.across);
    const x = left + (n % cell.across) * (rowRoom + across + GAP) + rowRoom;
    const titleTop = top + row * pitch;
    const y = titleTop + title + columnRoom;
    return { panel, titleTop, rect: { x, y, width: across, height: down } };
  });
  const rows = Math.ceil(panels.length / cell.across);
  const end = top + rows * pitch - GAP;
  const { num_heads } = scene.layer;
  const all = whole && num_heads > 1 && SMALL.least * axes.to.length <= width / 2;
  const smallTop = end + 14;
  const below = all ? placeSmall(scene, axes, width, smallTop + HEADING, most.small) : null;
  const footer = footerHeight(scene, panels.some(({ signed }) => signed) ? 2 : 1, width);
  const bottom = below?.bottom ?? end;
  return {
    axes,
    panels: placed,
    rowRoom,
    columnRoom,
    turned,
    small: below?.small ?? [],
    smallTop,
    footerTop: Math.min(bottom, frame.height - footer),
    height: Math.ceil(bottom + frame.scroll + footer),
  };
}
