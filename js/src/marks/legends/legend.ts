// Legends: colour bars with ticks, link strengths, head colours, notes.

import type { Theme } from "../../styles/theme.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth, wrapNote } from "../../surface/text.js";
import { formatSigned, rounded } from "../format.js";
import { linkOpacity, linkPath, linkWidth } from "../links.js";
import { drawRamp } from "./colour-ramp.js";

/** Font size of every legend. */
export const LEGEND_SIZE = 11;
/** Height of one line of legend. */
export const LEGEND_LINE = 20;
/** Height of a colour bar with its ticks below. */
export const LEGEND_BAR = 30;

/** Notes as the lines that they take at a width, so that none is cut. */
export function fittedNotes(notes: readonly string[], width: number): readonly string[] {
  return notes.flatMap((note) => wrapNote(note, width, LEGEND_SIZE));
}

/** Lines of words under a picture, each on a line of legend; the first one's middle is at `y`. */
export function drawNotes(
  surface: Surface,
  notes: readonly string[],
  width: number,
  y: number,
  theme: Theme,
): void {
  const style = {
    fill: theme.muted,
    size: LEGEND_SIZE,
    anchor: "middle",
    maxWidth: width,
  } as const;
  notes.forEach((note, line) => {
    surface.text(width / 2, y + line * LEGEND_LINE, note, style);
  });
}

export interface Tick {
  /** 0..1 along the legend. */
  readonly at: number;
  readonly label: string;
}

/** Weights are shaded by their square root, and the ticks stand where that puts them. */
export function sequentialTicks(end = 1, beyond = false): readonly Tick[] {
  return [0, 0.01, 0.1, 0.5, 1].map((part) => ({
    at: Math.sqrt(part),
    label: (beyond && part === 1 ? "≥ " : "") + rounded(part * end, part === 1 ? 3 : 2),
  }));
}

/** −max, a quarter of it (half way, by the root), 0, and the same above. */
export function divergingTicks(max: number): readonly Tick[] {
  return [-1, -0.25, 0, 0.25, 1].map((part) => ({
    at: (1 + Math.sign(part) * Math.sqrt(Math.abs(part))) / 2,
    label: formatSigned(part * max, max < 0.1 ? 3 : 2),
  }));
}

interface Bar {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly title: string;
}

/** Several tables share the bar's height, one above the other. */
export function drawScaleBar(
  surface: Surface,
  { x, y, width, title }: Bar,
  tables: readonly Uint8Array[],
  ticks: readonly Tick[],
  theme: Theme,
): void {
  const label = { fill: theme.muted, size: LEGEND_SIZE };
  const titleWidth = textWidth(title, LEGEND_SIZE) + 10;
  const left = x + titleWidth;
  const length = Math.max(40, width - titleWidth - 10);
  surface.text(x, y + 4, title, label);
  const height = 8 / tables.length;
  tables.forEach((table, n) => {
    drawRamp(surface, { x: left, y: y + n * height, width: length, height }, table);
  });
  surface.rect({ x: left, y, width: length, height: 8 }, { stroke: theme.rule });
  let free = Number.NEGATIVE_INFINITY;
  for (const tick of ticks) {
    const at = left + tick.at * length;
    surface.line(at, y + 8, at, y + 11, { stroke: theme.muted });
    const half = textWidth(tick.label, LEGEND_SIZE - 1) / 2;
    if (at - half < free) continue;
    free = at + half + 4;
    const style = { fill: theme.muted, size: LEGEND_SIZE - 1, anchor: "middle" } as const;
    surface.text(at, y + 18, tick.label, style);
  }
}

/** Of weights, or of what ends at another number than 1; `beyond` where larger ones have its last shade. */
export function drawSequentialLegend(
  surface: Surface,
  bar: Bar,
  theme: Theme,
  { end, beyond = false }: { readonly end?: number | undefined; readonly beyond?: boolean } = {},
): void {
  const ticks = sequentialTicks(end, beyond);
  surface.group("legend", () => drawScaleBar(surface, bar, [theme.sequential], ticks, theme));
}

export function drawDivergingLegend(surface: Surface, bar: Bar, max: number, theme: Theme): void {
  surface.group("legend", () =>
    drawScaleBar(surface, bar, [theme.diverging], divergingTicks(max), theme),
  );
}

const SAMPLE = 22;
/** The least of them is the least that shows as a line by itself. */
const samples = [0.05, 0.5, 1] as const;

/** What links are called, and where their scale ends when it is not at 1. */
export interface LinkScale {
  readonly title: string;
  readonly end?: number | undefined;
}

const sampleLabel = (part: number, { end }: LinkScale) =>
  end === undefined ? String(part) : rounded(part * end, part === 1 ? 3 : 2);

function sampleWidth(part: number, scale: LinkScale): number {
  return SAMPLE + 4 + textWidth(sampleLabel(part, scale), LEGEND_SIZE) + 10;
}

/** Width of the key to links. */
export function linkLegendWidth(scale: LinkScale): number {
  return (
    textWidth(scale.title, LEGEND_SIZE) +
    10 +
    samples.reduce((sum, part) => sum + sampleWidth(part, scale), 0)
  );
}

/** What a link of each weight looks like: drawn by the same rule as the links themselves. */
export function drawLinkLegend(
  surface: Surface,
  x: number,
  y: number,
  scale: LinkScale,
  colour: string,
  theme: Theme,
): void {
  surface.group("legend", () => {
    const label = { fill: theme.muted, size: LEGEND_SIZE };
    surface.text(x, y, scale.title, label);
    let left = x + textWidth(scale.title, LEGEND_SIZE) + 10;
    for (const weight of samples) {
      surface.path(linkPath({ x: left, y, width: SAMPLE, height: 0 }, y, y), {
        stroke: colour,
        strokeWidth: linkWidth(weight),
        opacity: linkOpacity(weight),
      });
      surface.text(left + SAMPLE + 4, y, sampleLabel(weight, scale), label);
      left += sampleWidth(weight, scale);
    }
  });
}

export interface KeyEntry {
  readonly label: string;
  readonly colour: string;
  /** Dashes in place of a swatch: what it stands for is drawn so. */
  readonly hollow?: boolean;
}

const SWATCH = 9;

function entryWidth(label: string): number {
  return SWATCH + 4 + textWidth(label, LEGEND_SIZE) + 10;
}

/** How many entries fit `width`, leaving room to say how many do not. */
function fitting(entries: readonly KeyEntry[], width: number, last: boolean): number {
  let used = 0;
  const more = last ? textWidth("+00", LEGEND_SIZE) + 10 : 0;
  for (const [i, { label }] of entries.entries()) {
    used += entryWidth(label);
    const needed = used - 10 + (i < entries.length - 1 ? more : 0);
    // Sums of widths differ in their last bit with the order they are added up in.
    if (needed > width + 0.01) return i;
  }
  return entries.length;
}

export function colourKeyWidth(entries: readonly KeyEntry[]): number {
  return entries.reduce((sum, { label }) => sum + entryWidth(label), -10);
}

/** The entries line by line, in at most so many lines; what has no room in them is left out. */
export function colourKeyLines(
  entries: readonly KeyEntry[],
  width: number,
  most = 1,
): readonly (readonly KeyEntry[])[] {
  const lines: (readonly KeyEntry[])[] = [];
  let rest = entries;
  while (rest.length > 0 && lines.length < most) {
    const count = fitting(rest, width, lines.length === most - 1);
    lines.push(rest.slice(0, Math.max(1, count)));
    rest = rest.slice(Math.max(1, count));
  }
  return lines;
}

/** Where each entry is that there is room for; the middle of the first line is at `y`. */
export function colourKeyPlaces(
  x: number,
  y: number,
  width: number,
  entries: readonly KeyEntry[],
  most = 1,
): readonly Rect[] {
  return colourKeyLines(entries, width, most).flatMap((line, n) => {
    let left = x;
    return line.map(({ label }) => {
      const rect = { x: left, y: y + (n - 0.5) * LEGEND_LINE, width: 0, height: LEGEND_LINE };
      left += entryWidth(label);
      return { ...rect, width: left - rect.x };
    });
  });
}

/** A head's colour beside its name; dashes where it is knocked out. */
export function drawSwatch(surface: Surface, rect: Rect, colour: string, hollow = false): void {
  if (!hollow) {
    surface.rect(rect, { fill: colour, radius: 1.5 });
    return;
  }
  const { x, y, width, height } = rect;
  const inner = { x: x + 0.75, y: y + 0.75, width: width - 1.5, height: height - 1.5 };
  surface.rect(inner, { stroke: colour, strokeWidth: 1.5, dash: [2, 1.5] });
}

/** Which colour is which head; what does not fit is counted. */
export function drawColourKey(
  surface: Surface,
  x: number,
  y: number,
  width: number,
  entries: readonly KeyEntry[],
  theme: Theme,
  most = 1,
): void {
  surface.group("colour key", () => {
    const places = colourKeyPlaces(x, y, width, entries, most);
    places.forEach((place, at) => {
      const { label, colour, hollow = false } = entries[at] as KeyEntry;
      const middle = place.y + LEGEND_LINE / 2;
      const rect = { x: place.x, y: middle - SWATCH / 2, width: SWATCH, height: SWATCH };
      drawSwatch(surface, rect, colour, hollow);
      surface.text(place.x + SWATCH + 4, middle, label, { fill: theme.text, size: LEGEND_SIZE });
    });
    const last = places.at(-1);
    const missing = entries.length - places.length;
    if (missing > 0 && last) {
      const style = { fill: theme.muted, size: LEGEND_SIZE };
      surface.text(last.x + last.width, last.y + LEGEND_LINE / 2, `+${missing}`, style);
    }
  });
}

/** The two colours of a signed difference. */
export function signKey(positive: string, negative: string, theme: Theme): readonly KeyEntry[] {
  return [
    { label: positive, colour: theme.positive },
    { label: negative, colour: theme.negative },
  ];
}
