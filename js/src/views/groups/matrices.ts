// The form "groups": a matrix of shares for each selected head, and small ones of all heads of the layer.

import type { Matrix } from "../../data/blocks.js";
import { drawCard } from "../../marks/card.js";
import { formatSigned, formatWeight } from "../../marks/format.js";
import {
  drawDivergingLegend,
  drawNotes,
  drawSequentialLegend,
  drawSwatch,
  LEGEND_BAR,
  LEGEND_LINE,
} from "../../marks/legends/legend.js";
import {
  type Colouring,
  divergingShade,
  scaleEnd,
  sequentialShade,
} from "../../marks/matrix/shading.js";
import { drawNotice } from "../../marks/notice.js";
import { pairOfGroups } from "../../scene/groups.js";
import { hasLegend, onPaper, type Scene } from "../../scene/scene.js";
import type { Hit, ViewName } from "../../state/interaction.js";
import { entry } from "../../styles/colours.js";
import { inkOn } from "../../styles/ink.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { drawFailure } from "../shared/failure.js";
import { MEASURES } from "../shared/measure.js";
import { pointer } from "../shared/series.js";
import type { Frame, Stop } from "../view.js";
import {
  type GroupsLayout,
  groupsLayout,
  groupsNotes,
  LABEL,
  NUMBERED,
  type PlacedPanel,
} from "./layout.js";
import { comparedPanels, headPanels, type SharePanel } from "./panels.js";
import { layerShares } from "./shares.js";

/** Which matrices: of the selected heads, or of what is compared. */
export type ShareView = Extract<ViewName, "head" | "compare">;

const panelsOf = (scene: Scene, view: ShareView) =>
  view === "head" ? headPanels(scene) : comparedPanels(scene);

function layoutOf(
  scene: Scene,
  frame: Frame,
  view: ShareView,
  panels = panelsOf(scene, view),
): GroupsLayout | null {
  const whole = view === "head" && !scene.drawing?.panel && scene.state.measure !== "rollout";
  return groupsLayout(scene, frame, panels, whole);
}

export function groupsHeight(scene: Scene, width: number, height: number, view: ShareView): number {
  return layoutOf(scene, { width, height, scroll: 0 }, view)?.height ?? height;
}

const known = ({ shares }: SharePanel): Matrix | null =>
  shares && !("error" in shares) ? shares : null;

const largest = (panels: readonly SharePanel[]) =>
  panels.reduce(
    (most, panel) =>
      (known(panel)?.data ?? new Float32Array(0)).reduce(
        (best, value) => Math.max(best, Math.abs(value) || 0),
        most,
      ),
    0,
  );

interface ShareColouring extends Colouring {
  /** The end of the scale. */
  readonly end: number;
}

/** Weights end at 1, what is longer at its largest; a difference at its own. */
function colouringOf(scene: Scene, panels: readonly SharePanel[], signed: boolean): ShareColouring {
  const { theme, state } = scene;
  const own = panels.filter((panel) => panel.signed === signed);
  const weights = state.measure === "weights";
  const end = signed || !weights ? scaleEnd(largest(own)) : 1;
  const colouring: Colouring = signed
    ? { name: "signed", shade: divergingShade(end), table: theme.diverging }
    : { name: "shares", shade: sequentialShade(end), table: theme.sequential };
  return { ...colouring, end };
}

/** Of shares, and of a difference of shares. */
interface Colourings {
  readonly plain: ShareColouring;
  readonly signed: ShareColouring;
}

interface Cell {
  readonly row: number;
  readonly column: number;
}

function cellRect(rect: Rect, { rows, columns }: Matrix, { row, column }: Cell): Rect {
  const [width, height] = [rect.width / columns, rect.height / rows];
  return { x: rect.x + column * width, y: rect.y + row * height, width, height };
}

/** What a number is at a cell's width; null where it has no room. */
function numberIn(value: number, width: number, height: number, signed: boolean): string | null {
  if (height < NUMBERED.down || width < NUMBERED.short) return null;
  if (signed) return formatSigned(value, width < NUMBERED.across ? 1 : 2);
  if (width >= NUMBERED.across) return formatWeight(value);
  return value > 0 && value < 0.005 ? "0.00" : formatWeight(value).slice(0, 4);
}

function drawCells(
  surface: Surface,
  scene: Scene,
  matrix: Matrix,
  rect: Rect,
  { shade, table, signed }: Colouring & { readonly signed: boolean },
): void {
  const { theme } = scene;
  for (let row = 0; row < matrix.rows; row++) {
    for (let column = 0; column < matrix.columns; column++) {
      const value = matrix.row(row)[column] as number;
      const cell = cellRect(rect, matrix, { row, column });
      if (Number.isNaN(value)) {
        surface.rect(cell, { fill: theme.wash });
        continue;
      }
      const at = Math.round(shade(value));
      surface.rect(cell, { fill: entry(table, at) });
      const text = numberIn(value, cell.width, cell.height, signed);
      if (text === null) continue;
      surface.text(cell.x + cell.width / 2, cell.y + cell.height / 2, text, {
        fill: inkOn(table, at, theme.text),
        size: LABEL,
        anchor: "middle",
      });
    }
  }
}

/** Around what is chosen as from and to: a row, a column or a cell. */
function drawChosen(surface: Surface, scene: Scene, layout: GroupsLayout, rect: Rect): void {
  const { state, theme } = scene;
  const { axes } = layout;
  const row = axes.from.findIndex(({ name }) => name === state.from_group);
  const column = axes.to.findIndex(({ name }) => name === state.to_group);
  if (row < 0 && column < 0) return;
  const [width, height] = [rect.width / axes.to.length, rect.height / axes.from.length];
  const box = {
    x: rect.x + Math.max(0, column) * width,
    y: rect.y + Math.max(0, row) * height,
    width: column < 0 ? rect.width : width,
    height: row < 0 ? rect.height : height,
  };
  surface.rect(box, { stroke: theme.background, strokeWidth: 4 });
  surface.rect(box, { stroke: theme.accent, strokeWidth: 2 });
}

function drawNames(surface: Surface, scene: Scene, layout: GroupsLayout, rect: Rect): void {
  const { theme, state, hover } = scene;
  const { axes, rowRoom, columnRoom, turned } = layout;
  const style = (chosen: boolean) =>
    ({ fill: chosen ? theme.accent : theme.text, size: LABEL }) as const;
  const down = rect.height / axes.from.length;
  const across = rect.width / axes.to.length;
  axes.from.forEach(({ name }, row) => {
    const chosen = name === state.from_group || name === hover?.from;
    surface.text(rect.x - 6, rect.y + (row + 0.5) * down, name, {
      ...style(chosen),
      anchor: "end",
      maxWidth: rowRoom - 8,
    });
  });
  axes.to.forEach(({ name }, column) => {
    const chosen = name === state.to_group || name === hover?.to;
    const x = rect.x + (column + 0.5) * across;
    const place = turned
      ? ({ rotate: -90, maxWidth: columnRoom - 8 } as const)
      : ({ anchor: "middle", maxWidth: across } as const);
    const y = turned ? rect.y - 5 : rect.y - 5 - LABEL / 2;
    surface.text(x, y, name, { ...style(chosen), ...place });
  });
}

function drawPanel(
  surface: Surface,
  scene: Scene,
  layout: GroupsLayout,
  { panel, rect, titleTop }: PlacedPanel,
  colouring: Colouring,
  end: number,
): void {
  const { theme, drawing } = scene;
  if (!drawing?.panel) {
    const middle = titleTop + 9;
    const swatch = { x: rect.x, y: middle - 4.5, width: 9, height: 9 };
    if (panel.colour) drawSwatch(surface, swatch, panel.colour, panel.out);
    surface.text(rect.x + (panel.colour ? 14 : 0), middle, panel.name, {
      fill: theme.text,
      size: 12,
      weight: "bold",
      // Heads that are one have a long name, and nothing beside it.
      maxWidth: Math.max(60, scene.together ? end - rect.x - 14 : rect.width),
    });
  }
  drawNames(surface, scene, layout, rect);
  const matrix = known(panel);
  if (matrix) {
    drawCells(surface, scene, matrix, rect, { ...colouring, signed: panel.signed });
    surface.rect(rect, { stroke: theme.rule });
    drawChosen(surface, scene, layout, rect);
    return;
  }
  surface.rect(rect, { stroke: theme.rule });
  if (!panel.shares) drawNotice(surface, rect, "loading", theme.muted);
}

/** All heads of the layer, small: a click selects one. */
function drawSmall(surface: Surface, scene: Scene, layout: GroupsLayout, colouring: Colouring) {
  const { small, smallTop } = layout;
  if (small.length === 0) return;
  const { theme, state, layer, blocks } = scene;
  const shares = layerShares(scene, blocks, layer.layer);
  const matrices = shares && !("error" in shares) ? shares : [];
  const heading = { fill: theme.muted, size: LABEL } as const;
  surface.text(4, smallTop + 10, `all heads of layer ${layer.layer}`, heading);
  for (const { head, rect } of small) {
    const chosen = (scene.together?.heads ?? state.heads).includes(head);
    surface.text(rect.x, rect.y - 6, String(head), {
      fill: chosen ? theme.head(head, layer.num_heads) : theme.muted,
      size: 10,
      ...(chosen ? { weight: "bold" } : {}),
    });
    const matrix = matrices[head];
    // Too small for numbers, whatever its size.
    if (matrix) drawCells(surface, scene, matrix, rect, { ...colouring, signed: false });
    const stroke = chosen ? theme.head(head, layer.num_heads) : theme.rule;
    surface.rect(rect, { stroke, strokeWidth: chosen ? 2 : 1 });
  }
}

function drawFooter(
  surface: Surface,
  scene: Scene,
  panels: readonly SharePanel[],
  colourings: Colourings,
  { footerTop }: GroupsLayout,
  width: number,
): void {
  const { theme, state } = scene;
  const { short } = MEASURES[state.measure];
  const bar = Math.min(width - 8, 330);
  const x = Math.max(4, (width - bar) / 2);
  let y = footerTop + 12;
  const { end } = colourings.plain;
  const scale = end === 1 ? {} : { end };
  drawSequentialLegend(surface, { x, y, width: bar, title: `share of ${short}` }, theme, scale);
  y += LEGEND_BAR + 2;
  const difference = panels.find(({ signed }) => signed);
  if (difference) {
    const { end: most } = colourings.signed;
    drawDivergingLegend(surface, { x, y, width: bar, title: difference.name }, most, theme);
    y += LEGEND_BAR + 2;
  }
  drawNotes(surface, groupsNotes(scene, width), width, y - 4 + LEGEND_LINE / 2, theme);
}

/** The shares of the pair under the pointer, of every panel. */
function drawShareCard(
  surface: Surface,
  scene: Scene,
  view: ShareView,
  layout: GroupsLayout,
  frame: Frame,
) {
  const at = pointer(scene.hover, view);
  const { from, to } = scene.hover ?? {};
  if (!at || from === undefined || to === undefined) return;
  const row = layout.axes.from.findIndex(({ name }) => name === from);
  const column = layout.axes.to.findIndex(({ name }) => name === to);
  if (row < 0 || column < 0) return;
  const rows = layout.panels.flatMap(({ panel }) => {
    const value = known(panel)?.row(row)[column];
    if (value === undefined) return [];
    const said = panel.signed ? formatSigned(value) : formatWeight(value);
    return [
      { label: panel.name, colour: panel.colour ?? scene.theme.muted, value: said, note: "" },
    ];
  });
  const title = pairOfGroups(from, to);
  const footnote = "click: links from one to the other alone";
  const bounds = { x: 0, y: 0, width: frame.width, height: frame.height };
  drawCard(surface, { title, rows: rows.slice(0, 8), footnote }, at, bounds, scene.theme);
}

export function drawGroups(surface: Surface, scene: Scene, frame: Frame, view: ShareView): void {
  const panels = panelsOf(scene, view);
  const layout = layoutOf(scene, frame, view, panels);
  const all = { x: 0, y: 0, width: frame.width, height: frame.height };
  if (!layout) return;
  const colourings: Colourings = {
    plain: colouringOf(scene, panels, false),
    signed: colouringOf(scene, panels, true),
  };
  const draw = () => {
    for (const placed of layout.panels) {
      const { panel } = placed;
      const colouring = panel.signed ? colourings.signed : colourings.plain;
      surface.group(panel.name, () =>
        drawPanel(surface, scene, layout, placed, colouring, frame.width),
      );
    }
    drawSmall(surface, scene, layout, colourings.plain);
  };
  surface.group("groups", draw, { clip: { ...all, height: layout.footerTop } });
  const failed = panels.flatMap(({ shares }) =>
    shares && "error" in shares ? [shares.error] : [],
  );
  if (failed[0]) {
    drawFailure(surface, scene, { ...all, height: layout.footerTop }, failed[0]);
  }
  if (hasLegend(scene)) drawFooter(surface, scene, panels, colourings, layout, frame.width);
  drawShareCard(surface, scene, view, layout, frame);
}

/** A cell is from a group to another; a name is a group at one end, from or to all. */
function hitPanel(
  layout: GroupsLayout,
  { rect, panel }: PlacedPanel,
  x: number,
  y: number,
): Hit | null {
  const { axes, rowRoom, columnRoom } = layout;
  const row = axes.from[Math.floor(((y - rect.y) / rect.height) * axes.from.length)]?.name;
  const column = axes.to[Math.floor(((x - rect.x) / rect.width) * axes.to.length)]?.name;
  const { layer, head } = panel;
  if (row && column && contains(rect, x, y)) return { layer, head, from: row, to: column };
  if (row && contains({ ...rect, x: rect.x - rowRoom, width: rowRoom }, x, y)) {
    return { from: row, to: null };
  }
  const above = { ...rect, y: rect.y - columnRoom, height: columnRoom };
  return column && contains(above, x, y) ? { from: null, to: column } : null;
}

export function hitGroups(
  scene: Scene,
  frame: Frame,
  x: number,
  y: number,
  view: ShareView,
): Hit | null {
  const layout = layoutOf(scene, frame, view);
  if (!layout || y >= layout.footerTop) return null;
  for (const placed of layout.panels) {
    const hit = hitPanel(layout, placed, x, y);
    if (hit) return hit;
  }
  const { layer } = scene.layer;
  const small = layout.small.find(({ rect }) => contains(rect, x, y));
  return small ? { layer, head: small.head, action: "show-head" } : null;
}

const MOST_STOPS = 80;

/** The cells of the first panel once: the same pair in another panel is the same choice. */
export function groupsStops(scene: Scene, frame: Frame, view: ShareView): readonly Stop[] {
  const layout = layoutOf(scene, frame, view);
  if (!layout || onPaper(scene)) return [];
  const { axes, panels, small, footerTop } = layout;
  const [first] = panels;
  const matrix = first && known(first.panel);
  const cells = !first
    ? []
    : axes.from.flatMap((from, row) =>
        axes.to.map((to, column): Stop => {
          const value = matrix?.row(row)[column];
          const said = value === undefined ? "" : `, share ${formatWeight(value)}`;
          const size = {
            width: first.rect.width / axes.to.length,
            height: first.rect.height / axes.from.length,
          };
          const rect = {
            x: first.rect.x + column * size.width,
            y: first.rect.y + row * size.height,
            ...size,
          };
          const name = `${first.panel.name}: from ${from.name} to ${to.name}${said}`;
          return { from: from.name, to: to.name, name, rect };
        }),
      );
  const { layer } = scene.layer;
  const heads = small.map(
    ({ head, rect }): Stop => ({
      layer,
      head,
      action: "show-head",
      name: `Show head ${head}`,
      rect,
    }),
  );
  return [...cells, ...heads]
    .filter(({ rect }) => rect.y >= 0 && rect.y + rect.height <= footerTop)
    .slice(0, MOST_STOPS);
}
