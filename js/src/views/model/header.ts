// Model view: notes, axis titles, layer and head numbers.

import { withoutRecord } from "../../data/meta.js";
import { formatWeight, rounded } from "../../marks/format.js";
import { drawRamp } from "../../marks/legends/colour-ramp.js";
import { hasLegend, type Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { asideNote } from "../shared/aside.js";
import { MEASURES } from "../shared/measure.js";
import type { Frame } from "../view.js";
import { effectsNotes } from "../what-if/heads.js";
import { hoveredHead } from "./card.js";
import { HAIRLINE } from "./cells.js";
import type { Board } from "./head-scores.js";
import type { Grid } from "./layout.js";
import {
  headLabelStep,
  LABEL_SIZE,
  type LayerRow,
  labelled,
  MARGIN,
  placeOf,
  TITLE,
} from "./layout.js";
import { drawScoreLegend, NOTE, scoreNotes } from "./legend.js";
import { FRAMED, meansOf } from "./picture.js";

/** Room that the ramp of the weights takes with its labels, at the right. */
const RAMP_ROOM = 130;

/** Middle of the vertical axis title. */
const AXIS_X = 7;

/** What is to be said above the heads. */
export function gridNotes(scene: Scene, board: Board | null): readonly string[] {
  const { thumbnails } = scene;
  const list = [...scoreNotes(scene, board), ...thumbnails.about.notes];
  list.push(...effectsNotes(scene));
  if (thumbnails.sampled) list.push("pooled from a sample of the query rows");
  const aside = asideNote(scene);
  if (aside) list.push(aside);
  return list;
}

/** What the shade of a head is whose cell is too small for a picture. */
export function flatNote(scene: Scene): string {
  const { least, most } = meansOf(scene);
  return `small cells: a head’s mean √weight, ${formatWeight(least)} to ${formatWeight(most)}`;
}

/** The thumbnails' own colours. */
function drawWeightRamp(surface: Surface, scene: Scene, frame: Frame, layout: Grid): void {
  const { theme, thumbnails, state } = scene;
  const { left } = layout;
  const signed = thumbnails.about.signed ?? false;
  const most = rounded(thumbnails.about.scale, 3);
  const end = signed ? `+${most}` : most;
  const start = signed ? `−${most}` : "0";
  const { short } = MEASURES[state.measure];
  const label = { fill: theme.muted, size: 10, anchor: "end" } as const;
  const right = Math.min(frame.width - MARGIN, Math.max(left + layout.width, left + 180));
  const x = right - textWidth(end, label.size) - 6 - 64;
  const ramp = { x, y: TITLE / 2 - 4, width: 64, height: 8 };
  surface.text(right, TITLE / 2, end, label);
  drawRamp(surface, ramp, signed ? theme.diverging : theme.sequential, theme.rule);
  surface.text(ramp.x - 5, TITLE / 2, start, label);
  const apart = signed ? 10 + textWidth(start, label.size) : 16;
  surface.text(ramp.x - apart, TITLE / 2, `√${scene.sides ? `|Δ ${short}|` : short}`, label);
}

/** What the numbers above the grid count. */
function axisTitle({ numbered, ranked, abreast, open, axis }: Grid): string {
  if (open) return `layer ${open.layer.layer}`;
  if (abreast) return "all heads together";
  if (axis === null) return "layers and their heads";
  if (ranked) return "rank in the layer";
  return numbered ? "head" : "heads that remain";
}

/** The columns that hold a selected head or the one under the pointer. */
function boldColumns(scene: Scene, layout: Grid): readonly number[] {
  const { state, stream } = scene;
  const hovered = hoveredHead(scene);
  const selected = stream.layers.findIndex(({ layer }) => layer === state.layer);
  const refs = state.heads.map((head) => ({ row: selected, head }));
  return [...(hovered ? [hovered] : []), ...refs].flatMap(({ row, head }) => {
    const found = layout.rows.find((each) => each.row === row);
    const place = found && placeOf(found, head);
    return place === undefined ? [] : [place % layout.cells.columns];
  });
}

/** Which column is which head, right above the block that they count; `at` is where the grid begins. */
export function drawColumnLabels(
  surface: Surface,
  scene: Scene,
  layout: Grid,
  origin: { readonly x: number; readonly y: number },
): void {
  const { theme } = scene;
  const { cells, ranked, numbered, axis } = layout;
  if ((!ranked && !numbered) || axis === null) return;
  if (layout.open) {
    const style = { fill: theme.muted, size: 10, anchor: "end" } as const;
    surface.text(origin.x - 5, origin.y + axis, ranked ? "rank" : "head", style);
  }
  const bold = boldColumns(scene, layout);
  const room = textWidth(String(cells.columns), LABEL_SIZE, "sans", "bold") + 5;
  const middle = (column: number) =>
    column * cells.across + HAIRLINE + (cells.across - cells.gap) / 2;
  const at = Array.from({ length: cells.columns }, (_, column) => middle(column));
  for (const column of labelled(at, headLabelStep(cells.across, room), room, bold)) {
    const strong = bold.includes(column);
    const text = String(ranked ? column + 1 : column);
    surface.text(origin.x + middle(column), origin.y + axis, text, {
      fill: strong ? theme.text : theme.muted,
      size: LABEL_SIZE,
      weight: strong ? "bold" : "normal",
      anchor: "middle",
    });
  }
}

export function drawHeader(surface: Surface, scene: Scene, layout: Grid, frame: Frame): void {
  const { theme } = scene;
  const { left, cells, board, open, axis } = layout;
  const muted = { fill: theme.muted, size: LABEL_SIZE } as const;
  const { progress } = scene.thumbnails.about;
  const whole = [axisTitle(layout), ...(progress ? [progress] : [])].join(" · ");
  // Beside the ramp; what is still to come is said for a while, and what is counted can be seen.
  const fits = textWidth(whole, LABEL_SIZE) <= frame.width - left - RAMP_ROOM;
  surface.text(left, TITLE / 2, fits ? whole : (progress ?? whole), muted);
  if (hasLegend(scene) && !withoutRecord(scene) && (!board || open || cells.across >= FRAMED))
    drawWeightRamp(surface, scene, frame, layout);
  if (board) {
    const line = { x: left, y: TITLE + 0.5 * NOTE, width: frame.width - left - MARGIN };
    drawScoreLegend(surface, scene, board, line);
  }
  layout.notes.forEach((note, index) => {
    const y = TITLE + (index + (board ? 1.5 : 0.5)) * NOTE;
    surface.text(left, y, note, { ...muted, size: 10, maxWidth: frame.width - left - MARGIN });
  });
  // Where the columns are below an open layer, their numbers scroll with them.
  if (axis !== null && axis < 0)
    drawColumnLabels(surface, scene, layout, { x: left, y: layout.top });
}

/** The middle of the first line of a layer's heads. */
function middleOf({ y, cells }: LayerRow): number {
  return y + HAIRLINE + (cells.down - cells.caption - cells.gap) / 2;
}

function drawLayerNumber(
  surface: Surface,
  { theme }: Scene,
  y: number,
  text: string,
  strong: boolean,
): void {
  surface.text(-5, y, text, {
    fill: strong ? theme.text : theme.muted,
    size: LABEL_SIZE,
    weight: strong ? "bold" : "normal",
    anchor: "end",
  });
}

/** Layer numbers; in the coordinates of the grid, left of it. */
export function drawLayerLabels(surface: Surface, scene: Scene, layout: Grid): void {
  const { theme, state } = scene;
  const { rows, cells, open, abreast } = layout;
  if (abreast) return;
  if (open) drawLayerNumber(surface, scene, middleOf(open), String(open.layer.layer), true);
  const place = (number: number | undefined) =>
    rows.findIndex(({ layer }) => layer.layer === number);
  const bold = [place(hoveredHead(scene)?.layer), place(state.layer)];
  const middles = rows.map(middleOf);
  const step = headLabelStep(cells.lines * cells.down, LABEL_SIZE + 2);
  for (const at of labelled(middles, step, LABEL_SIZE + 2, bold)) {
    const text = String(rows[at]?.layer.layer);
    drawLayerNumber(surface, scene, middles[at] as number, text, bold.includes(at));
  }
  if (open || cells.caption > 0 || cells.down < 10) return;
  rows.forEach((row, at) => {
    for (let line = 1; line < cells.lines && line * cells.columns < row.heads.length; line++) {
      surface.text(-5, (middles[at] as number) + line * cells.down, `+${line * cells.columns}`, {
        fill: theme.muted,
        size: 9,
        anchor: "end",
      });
    }
  });
}

export function drawLayerTitle(
  surface: Surface,
  { theme }: Scene,
  { top, height, abreast, open, rows }: Grid,
  frame: Frame,
): void {
  if (abreast || rows.length === 0) return;
  const above = open ? (rows[0] as LayerRow).y - frame.scroll : 0;
  const shown = Math.min(frame.height - top, height - (open ? frame.scroll : 0));
  if (shown <= above + LABEL_SIZE) return;
  surface.text(AXIS_X, top + Math.max(0, above) + (shown - Math.max(0, above)) / 2, "layer", {
    fill: theme.muted,
    size: LABEL_SIZE,
    anchor: "middle",
    rotate: -90,
  });
}
