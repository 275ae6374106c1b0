// Heat over an image, curves over a sound, and their legends.

import { UNDER } from "../../data/media.js";
import { oklch } from "../../styles/colours.js";
import type { Theme } from "../../styles/theme.js";
import type { Pixels, Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { formatWeight } from "../format.js";
import { divergingTicks, drawScaleBar, LEGEND_SIZE } from "../legends/legend.js";

/**
 * One hue, the same on every page: what lies under it is a photograph, not the page. Lightness rises
 * all the way, so it reads without colours too.
 */
const HUE = { degrees: 55, chroma: 0.16, dark: 0.45, light: 0.85 } as const;
/** Of what is negative: the same lightness, and apart for every common colour blindness. */
const COLD_DEGREES = 255;
const heatOf = (degrees: number) =>
  Uint8Array.from(
    Array.from({ length: 256 }, (_, i) => {
      const lightness = HUE.dark + ((HUE.light - HUE.dark) * i) / 255;
      return oklch(lightness, HUE.chroma, degrees);
    }).flat(),
  );
export const HEAT = heatOf(HUE.degrees);
const COLD = heatOf(COLD_DEGREES);
/** What is attended to most is covered so much. */
const MOST_COVER = 0.84;
/** Evenly spread weights leave the picture as it is: what is covered grows slowly at first. */
const COVER_POWER = 1.6;

const alpha = (shade: number) => MOST_COVER * shade ** COVER_POWER;

/** What the heat looks like on a grey of this level: the legend shows what is on the picture. */
function heatOn(level: number, heat = HEAT): Uint8Array {
  return heat.map((value, i) => {
    const cover = alpha(Math.floor(i / 3) / 255);
    return Math.round(cover * value + (1 - cover) * level);
  });
}

/** Both signs of it, nothing in the middle. */
function bothOn(level: number): Uint8Array {
  const [cold, heat] = [heatOn(level, COLD), heatOn(level)];
  const at = (i: number) => Math.min(255, Math.round(2 * Math.abs(i - 127.5)));
  return Uint8Array.from(
    Array.from({ length: 256 }, (_, i) => [
      ...(i < 128 ? cold : heat).subarray(3 * at(i), 3 * at(i) + 3),
    ]).flat(),
  );
}

const ON_WHITE = heatOn(UNDER.white);
const ON_BLACK = heatOn(UNDER.black);
const BOTH_ON_WHITE = bothOn(UNDER.white);
const BOTH_ON_BLACK = bothOn(UNDER.black);

/** 0..1 of the scale by the square root, so that small weights are told apart. */
export function heatShade(weight: number, most: number): number {
  return most > 0 && weight > 0 ? Math.sqrt(Math.min(1, weight / most)) : 0;
}

/** Which position each cell of a picture shows. */
export interface HeatGrid {
  readonly rows: number;
  readonly columns: number;
  /** Position at each cell; -1 where there is none. */
  readonly at: ArrayLike<number>;
}

/** One translucent pixel per cell, in the colour of its sign; cells without a number are transparent. */
export function heatPixels(
  { rows, columns, at }: HeatGrid,
  weights: ArrayLike<number>,
  most: number,
): Pixels {
  const data = new Uint8ClampedArray(4 * rows * columns);
  for (let cell = 0; cell < rows * columns; cell++) {
    const weight = weights[at[cell] as number];
    if (weight === undefined || Number.isNaN(weight)) continue;
    const shade = heatShade(Math.abs(weight), most);
    const from = 3 * Math.round(255 * shade);
    data.set((weight < 0 ? COLD : HEAT).subarray(from, from + 3), 4 * cell);
    data[4 * cell + 3] = Math.round(255 * alpha(shade));
  }
  return { width: columns, height: rows, data };
}

/**
 * The scale from nothing to the largest weight in the picture, as it looks on the picture's white
 * (above) and on its black (below); of numbers with both signs from the one to the other.
 */
export function drawHeatLegend(
  surface: Surface,
  { x, y, width }: { x: number; y: number; width: number },
  {
    most,
    title,
    signed = false,
  }: { readonly most: number; readonly title: string; readonly signed?: boolean },
  theme: Theme,
): void {
  if (signed) {
    const tables = [BOTH_ON_WHITE, BOTH_ON_BLACK];
    surface.group("legend", () =>
      drawScaleBar(surface, { x, y, width, title }, tables, divergingTicks(most), theme),
    );
    return;
  }
  const ticks = [0, 1 / 16, 1 / 4, 1].map((part) => ({
    at: Math.sqrt(part),
    label: formatWeight(part * most),
  }));
  surface.group("legend", () =>
    drawScaleBar(surface, { x, y, width, title }, [ON_WHITE, ON_BLACK], ticks, theme),
  );
}

/** Around a cell that is small or lies on anything: a bright line in a dark one. */
export function drawPatchOutline(surface: Surface, cell: Rect, stroke: string): void {
  const grow = Math.max(0, (7 - Math.min(cell.width, cell.height)) / 2);
  const { x, y, width, height } = cell;
  const rect = { x: x - grow, y: y - grow, width: width + 2 * grow, height: height + 2 * grow };
  surface.rect(rect, { stroke: "#000000", strokeWidth: 3.5, opacity: 0.75 });
  surface.rect(rect, { stroke, strokeWidth: 1.75 });
}

/** A weight per frame as a hill along the time axis, in a head's colour. */
export function drawCurve(
  surface: Surface,
  rect: Rect,
  edges: ArrayLike<number>,
  heights: (frame: number) => number,
  colour: string,
  filled: boolean,
): void {
  const columns = Math.max(1, Math.floor(rect.width));
  const tops = new Float64Array(columns);
  for (let frame = 0; frame + 1 < edges.length; frame++) {
    const first = Math.floor((edges[frame] as number) * columns);
    const last = Math.max(first + 1, Math.ceil((edges[frame + 1] as number) * columns));
    const top = heights(frame);
    // Frames narrower than a pixel share it: the largest shows, so that no peak is lost.
    for (let at = first; at < Math.min(last, columns); at++)
      tops[at] = Math.max(tops[at] as number, top);
  }
  const base = rect.y + rect.height;
  const steps: (readonly ["M" | "L", number, number])[] = [];
  let before = Number.NaN;
  tops.forEach((top, at) => {
    if (top === before && tops[at + 1] === top) return;
    const y = base - top * (rect.height - 2);
    steps.push([steps.length === 0 ? "M" : "L", rect.x + at, y], ["L", rect.x + at + 1, y]);
    before = top;
  });
  if (filled) {
    const closed = [
      ...steps,
      ["L", rect.x + columns, base] as const,
      ["L", rect.x, base] as const,
      ["Z"] as const,
    ];
    surface.path(closed, { fill: colour, opacity: 0.35 });
  }
  surface.path(steps, { stroke: colour, strokeWidth: 1.5 });
}

/** Kilohertz that may have a tick: few enough for the lowest sound, and for the highest. */
const KILOHERTZ = [0.05, 0.1, 0.2, 0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 96];
/** Room at the left of a sound for them. */
export const FREQUENCY_ROOM = 38;
const FREQUENCY_PITCH = 16;

/** How far up a frequency is, 0 at the lowest edge and 1 at the highest; null where no band is. */
function heightOf(hertz: number, middles: readonly number[]): number | null {
  const count = middles.length;
  const after = middles.findIndex((middle) => middle >= hertz);
  if (after < 0) {
    // Half a band above the middle of the last.
    const [before = 0, last = 0] = middles.slice(-2);
    const above = (hertz - last) / Math.max(1e-9, last - before);
    return count > 1 && above <= 0.5 ? (count - 0.5 + above) / count : null;
  }
  const [low = 0, high = 0] = [middles[after - 1], middles[after]];
  if (after === 0) return hertz === high ? 0.5 / count : null;
  return (after - 0.5 + (hertz - low) / (high - low)) / count;
}

/** Kilohertz beside a sound: bands need not be evenly wide, those of a mel scale are not. */
export function drawFrequencyAxis(
  surface: Surface,
  { x, y, height }: Rect,
  middles: readonly number[],
  theme: Theme,
): void {
  const style = { fill: theme.muted, size: LEGEND_SIZE - 1, anchor: "end" } as const;
  const ticks = KILOHERTZ.flatMap((value) => {
    const up = heightOf(1000 * value, middles);
    return up === null ? [] : [{ value, at: y + height * (1 - up) }];
  });
  // From the highest down, which says how far it goes; those that would touch are left out.
  let above = Number.NEGATIVE_INFINITY;
  for (const { value, at } of ticks.reverse()) {
    if (at - above < FREQUENCY_PITCH) continue;
    const first = above === Number.NEGATIVE_INFINITY;
    above = at;
    surface.line(x - 4, at, x, at, { stroke: theme.muted });
    const middle = Math.max(y + 5, Math.min(y + height - 4, at));
    surface.text(x - 6, middle, first ? `${value} kHz` : String(value), style);
  }
}

/** Seconds under a sound. */
export function drawTimeAxis(
  surface: Surface,
  { x, y, width, height }: Rect,
  seconds: number,
  theme: Theme,
): void {
  const pitch = 52;
  const least = (pitch * seconds) / width;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= least) ?? seconds;
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const style = { fill: theme.muted, size: LEGEND_SIZE - 1, anchor: "middle" } as const;
  const base = y + height;
  for (let n = 0; n * step <= seconds + 1e-9; n++) {
    const at = x + (n * step * width) / seconds;
    const label = n === 0 ? "0 s" : (n * step).toFixed(digits);
    surface.line(at, base, at, base + 4, { stroke: theme.muted });
    const half = textWidth(label, style.size) / 2;
    surface.text(Math.min(at, x + width - half), base + 11, label, style);
  }
}
