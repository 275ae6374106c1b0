// Columns of token labels, with shades, pins and the border of a prompt.

import type { Aside } from "../../data/aside.js";
import type { Position } from "../../protocol/generated.js";
import type { Theme } from "../../styles/theme.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { ellipsize, textWidth } from "../../surface/text.js";
import { memo } from "../memo.js";
import { drawFoundFrame, drawFoundTicks, type MarkOf } from "./found-frame.js";
import { drawStrike } from "./strike.js";
import { labelStep, rowMiddle, side, type TokenAxis, visibleRows } from "./token-axis.js";

/** One head's line under a label. */
export interface Underline {
  readonly colour: string;
  /** 0..1. */
  readonly opacity: number;
}

export interface TokenColumn {
  readonly axis: TokenAxis;
  readonly positions: readonly Position[];
  /** The labels' space. */
  readonly x: number;
  readonly width: number;
  /** Where labels stand: queries end at the links, keys start there. */
  readonly align: "start" | "end";
  readonly size: number;
}

export interface TokenMarks {
  readonly hovered?: number | null;
  readonly pinned?: readonly number[];
  /** Of a generation: how many tokens are there already, and how many were given. */
  readonly there?: number | null;
  readonly prompt?: number | null;
  /** What is not there for another reason. */
  readonly absent?: (position: Position) => boolean;
  /** What is set aside is pale. */
  readonly aside?: Aside;
  /** Lines under the label, those of heads whose links end there. */
  readonly underlines?: (index: number) => readonly Underline[] | null;
  /** What is there, and whose links are left out. */
  readonly faded?: ((index: number) => boolean) | undefined;
  /** What was found by a search. */
  readonly found?: MarkOf | undefined;
  /** What an edit of the model takes away is struck through. */
  readonly struck?: ((index: number) => boolean) | undefined;
}

/** Between a label and the links. */
export const LABEL_PAD = 6;

export function labelOf(positions: readonly Position[], index: number): string {
  return positions[index]?.label ?? String(index);
}

/** Which position it is in the record: where others are left out, that is not its place here. */
export function indexOf(positions: readonly Position[], index: number): string {
  return String(positions[index]?.index ?? index);
}

/** A label in quotation marks, cut where it would crowd out what stands beside it. */
export function quoted(positions: readonly Position[], index: number, room = 200): string {
  return `“${ellipsize(labelOf(positions, index), room, 12)}”`;
}

/** Two labels and what stands between them within `room`: the longer one is cut first. */
export function quotedPair(from: string, between: string, to: string, room: number): string {
  const size = 12;
  const say = (each: number) =>
    `“${ellipsize(from, each, size)}”${between}“${ellipsize(to, each, size)}”`;
  const free = Math.max(0, room - textWidth(`“”${between}“”`, size));
  const shorter = Math.min(textWidth(from, size), textWidth(to, size));
  return say(Math.max(free / 2, free - shorter));
}

export function labelFill(position: Position | undefined, theme: Theme): string {
  // In the colour of the one of two records that has it; of a series nobody's.
  if (position?.only) return position.only === "a" ? theme.negative : theme.positive;
  if (position?.among) return theme.muted;
  if (position?.kind === "special") return theme.special;
  return position && isNumbered(position) ? theme.muted : theme.text;
}

/** Whether a label is no text of a token: the number of a position nothing is known about, or a token's bare id. */
function isNumbered({ kind, text }: Position): boolean {
  return kind === "latent" || (kind === "token" && text === undefined);
}

/** Width of the widest label of a whole column, which must not change with the scroll. */
export function widestLabel(positions: readonly Position[], size: number): number {
  return memo(positions, `widest ${size}`, () =>
    positions.reduce((widest, { label }) => Math.max(widest, textWidth(label, size)), 0),
  );
}

/** Opacity of labels of what is not there yet. */
export const ABSENT = 0.28;
/** Of labels of what is set aside. */
export const PALE = 0.5;
/** Opacity of labels whose links are left out. */
export const FADED = 0.42;

function drawLabel(
  surface: Surface,
  column: TokenColumn,
  index: number,
  y: number,
  fill: string,
  opacity = 1,
) {
  const end = column.align === "end";
  surface.text(
    end ? column.x + column.width - LABEL_PAD : column.x + LABEL_PAD,
    y,
    labelOf(column.positions, index),
    {
      fill,
      ...(opacity < 1 ? { opacity } : {}),
      size: column.size,
      anchor: end ? "end" : "start",
      maxWidth: Math.max(0, column.width - LABEL_PAD - 4),
    },
  );
}

/** Thickness of a line under a label, and how many have one above another. */
const UNDERLINE = 2;
const MOST_LINES = 3;

/** Lines as wide as the label: of a few heads below one another, of more side by side in one line. */
function drawUnderlines(
  surface: Surface,
  column: TokenColumn,
  index: number,
  y: number,
  lines: readonly Underline[],
) {
  const { axis, size, align } = column;
  const shown = lines.filter(({ opacity }) => opacity >= 1 / 255);
  const low = axis.rowHeight < size;
  const label = textWidth(labelOf(column.positions, index), size);
  const width = low ? column.width : Math.min(Math.max(8, label), column.width - LABEL_PAD - 4);
  const left =
    align === "end" && !low
      ? column.x + column.width - LABEL_PAD - width
      : column.x + (low ? 0 : LABEL_PAD);
  const stacked = !low && shown.length <= MOST_LINES;
  // Rows too low for a label are their line.
  const thick = low ? Math.max(1, axis.rowHeight - 1) : UNDERLINE;
  const top = low ? y - thick / 2 : Math.min(y + size / 2, y + axis.rowHeight / 2 - thick);
  shown.forEach(({ colour, opacity }, i) => {
    const part = stacked ? width : width / shown.length;
    const rect = {
      x: left + (stacked ? 0 : i * part),
      y: top + (stacked ? i * (UNDERLINE + 0.5) : 0),
      width: part,
      height: thick,
    };
    surface.rect(rect, { fill: colour, opacity });
  });
}

function drawPin(surface: Surface, column: TokenColumn, y: number, theme: Theme): void {
  const height = Math.max(3, column.axis.rowHeight - 4);
  // On the side that faces the links: there the eye already is.
  const x = column.align === "end" ? column.x + column.width - 3 : column.x;
  surface.rect({ x, y: y - height / 2, width: 3, height }, { fill: theme.accent });
}

function drawWash(surface: Surface, column: TokenColumn, y: number, theme: Theme): void {
  const { rowHeight } = column.axis;
  surface.rect(
    { x: column.x, y: y - rowHeight / 2, width: column.width, height: rowHeight },
    { fill: theme.wash },
  );
}

/** A piece that continues a word is tied to the piece before it by a thin line at its side. */
function drawTie(surface: Surface, column: TokenColumn, y: number, theme: Theme): void {
  const x = column.align === "end" ? column.x + column.width - 2 : column.x + 2;
  const { rowHeight } = column.axis;
  surface.line(x, y - rowHeight + 3, x, y + Math.min(3, rowHeight / 4), {
    stroke: theme.muted,
    opacity: 0.55,
  });
}

/** Frames around the labels in which something was found; where rows are too low for labels, ticks beside them. */
function drawFound(surface: Surface, column: TokenColumn, found: MarkOf, theme: Theme): void {
  const { axis, size, align } = column;
  const [first, last] = visibleRows(axis);
  const rows = Array.from({ length: Math.max(0, last - first) }, (_, n) => first + n);
  if (labelStep(axis.rowHeight, size) > 1) {
    const at = (index: number) => {
      const from = rowMiddle(axis, index) - axis.rowHeight / 2;
      return { from, length: axis.rowHeight };
    };
    // At the outer side: links are at the other.
    const edge =
      align === "end"
        ? ({ side: "right", at: column.x } as const)
        : ({ side: "left", at: column.x + column.width } as const);
    drawFoundTicks(surface, rows, found, at, edge, theme);
    return;
  }
  for (const index of rows) {
    const mark = found(index);
    if (!mark) continue;
    drawFoundFrame(surface, labelRect(column, index), mark, theme);
  }
}

/** The label's place in its row. */
function labelRect({ axis, positions, x, width, size, align }: TokenColumn, index: number): Rect {
  const room = Math.max(0, width - LABEL_PAD - 4);
  const wide = Math.min(Math.max(4, textWidth(labelOf(positions, index), size)), room);
  const left = align === "end" ? x + width - LABEL_PAD - wide : x + LABEL_PAD;
  const height = Math.min(axis.rowHeight - 1, size + 5);
  return { x: left, y: rowMiddle(axis, index) - height / 2, width: wide, height };
}

/** Lines through labels; where rows are too low for labels, ticks beside the links. */
function drawStruck(
  surface: Surface,
  column: TokenColumn,
  struck: (index: number) => boolean,
  theme: Theme,
): void {
  const { axis, x, width, align } = column;
  const [first, last] = visibleRows(axis);
  const roomy = labelStep(axis.rowHeight, column.size) === 1;
  const edge = align === "end" ? x + width - 3 : x;
  for (let index = first; index < last; index++) {
    if (!struck(index)) continue;
    const height = Math.max(2, axis.rowHeight - 1);
    const y = rowMiddle(axis, index) - height / 2;
    if (roomy) drawStrike(surface, labelRect(column, index), theme);
    else surface.rect({ x: edge, y, width: 3, height }, { fill: theme.changed });
  }
}

/** Where the prompt ends and what was generated begins. */
function drawPromptEnd(
  surface: Surface,
  { axis, x, width }: TokenColumn,
  prompt: number | null | undefined,
  theme: Theme,
): void {
  if (!prompt || prompt >= axis.count) return;
  const y = rowMiddle(axis, prompt) - axis.rowHeight / 2;
  if (y <= axis.top || y >= axis.top + axis.height) return;
  surface.line(x, y, x + width, y, { stroke: theme.accent, dash: [3, 2] });
}

function opacityOf(marks: TokenMarks, index: number, positions: readonly Position[]): number {
  if (!isThere(marks, index, positions)) return ABSENT;
  if (marks.faded?.(index) && !marks.pinned?.includes(index)) return FADED;
  return marks.aside?.has(index) ? PALE : 1;
}

function isThere({ there, absent }: TokenMarks, index: number, positions: readonly Position[]) {
  const position = positions[index];
  if (position && absent?.(position)) return false;
  return index < (there ?? positions.length);
}

/**
 * A column of token labels. Only rows in the window are drawn, whatever the number of tokens; rows
 * too low for a label each show every second, fifth, tenth …, and always the marked ones.
 */
export function drawTokens(
  surface: Surface,
  column: TokenColumn,
  marks: TokenMarks,
  theme: Theme,
): void {
  const { axis, positions } = column;
  const [first, last] = visibleRows(axis);
  const step = labelStep(axis.rowHeight, column.size);
  const roomy = step === 1;
  const { pinned: pins = [], hovered } = marks;
  const inSight = (index: number) => index < axis.count && side(axis, index) === 0;
  const lone = hovered === null || hovered === undefined || pins.includes(hovered);
  const marked = (lone ? pins : [...pins, hovered]).filter(inSight);
  for (let index = first; index < last; index++) {
    const y = rowMiddle(axis, index);
    if (roomy && marked.includes(index)) drawWash(surface, column, y, theme);
    const lines = marks.underlines?.(index);
    if (lines) drawUnderlines(surface, column, index, y, lines);
    if (roomy && positions[index]?.continues) drawTie(surface, column, y, theme);
    if (index % step !== 0) continue;
    if (!roomy && marked.some((m) => Math.abs(m - index) * axis.rowHeight < column.size)) continue;
    const pinned = pins.includes(index);
    drawLabel(
      surface,
      column,
      index,
      y,
      pinned ? theme.accent : labelFill(positions[index], theme),
      opacityOf(marks, index, positions),
    );
  }
  drawPromptEnd(surface, column, marks.prompt, theme);
  for (const index of marked) {
    const y = rowMiddle(axis, index);
    const pinned = pins.includes(index);
    if (!roomy) {
      drawLabel(
        surface,
        column,
        index,
        y,
        pinned ? theme.accent : labelFill(positions[index], theme),
      );
    }
    if (pinned) drawPin(surface, column, y, theme);
  }
  if (marks.struck) drawStruck(surface, column, marks.struck, theme);
  if (marks.found) drawFound(surface, column, marks.found, theme);
}

/** The place of a token kept at the window's edge: high enough for its label, however low rows are. */
export function stickyRect({ axis, x, width, size }: TokenColumn, y: number): Rect {
  const height = Math.max(axis.rowHeight, size + 4);
  const atTop = y < axis.top + axis.height / 2;
  return { x, y: atTop ? axis.top : axis.top + axis.height - height, width, height };
}

/** A row that was scrolled out of the window and stays at its edge, for a pinned token. */
export function drawStickyToken(
  surface: Surface,
  column: TokenColumn,
  index: number,
  y: number,
  theme: Theme,
): void {
  const rect = stickyRect(column, y);
  const edge = rect.y === column.axis.top ? rect.y + rect.height : rect.y;
  surface.rect(rect, { fill: theme.wash });
  surface.line(rect.x, edge, rect.x + rect.width, edge, { stroke: theme.accent, opacity: 0.5 });
  drawPin(surface, column, y, theme);
  drawLabel(surface, column, index, rect.y + rect.height / 2, theme.accent);
}
