// Paths of a trace over layers and positions, the residual stream behind them, and their labels.

import type { Theme } from "../styles/theme.js";
import type { PathStep, Rect, Surface } from "../surface/surface.js";
import { textWidth } from "../surface/text.js";

/** A link as a path: from its key, below a layer, to its query, above it. */
export interface TracePath {
  readonly from: { readonly x: number; readonly y: number };
  readonly to: { readonly x: number; readonly y: number };
  readonly colour: string;
  readonly width: number;
  /** How far the middle of the path is moved down, off others between the same two places. */
  readonly drop: number;
  /** An estimate, which no run of the model has checked. */
  readonly dashed: boolean;
  readonly label: string;
}

/** A position as it goes through the layers: from the input up to where it is read last. */
export interface TraceStem {
  readonly x: number;
  readonly bottom: number;
  readonly top: number;
}

export interface PlacedLabel {
  readonly box: Rect;
  readonly text: string;
  /** What it is a label of. */
  readonly path: TracePath;
}

/** Which paths stand out: what is selected, and what is pointed at. */
export type TraceMark = "selected" | "pointed" | null;
export type MarkOf = (path: TracePath) => TraceMark;

export const TRACE_LABEL = 10.5;
const LABEL_HEIGHT = 13;
const DASH = [5, 3.5] as const;
const NODE = 2.6;
/** What a path that stands out has around it, on each side. */
const HALO = 3;
/** While something is pointed at, all else is so faint. */
const FAINT = 0.3;
/** A dot of the path's colour before the text, which says whose label it is where paths cross. */
const SWATCH = 9;
/** Where along a path its label may stand, the best place first. */
const PLACES = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82];

/** The two points that bend the path: it leaves the key upwards and arrives at the query from below. */
function bendsOf({ from, to, drop }: TracePath): readonly [number, number] {
  const bend = (from.y - to.y) * 0.55;
  return [from.y - bend + drop, to.y + bend + drop];
}

function steps(path: TracePath): readonly PathStep[] {
  const { from, to } = path;
  const [first, second] = bendsOf(path);
  return [
    ["M", from.x, from.y],
    ["C", from.x, first, to.x, second, to.x, to.y],
  ];
}

/** A point of the path, `t` of the way from the key to the query. */
export function pointOf(path: TracePath, t: number): { x: number; y: number } {
  const { from, to } = path;
  const [first, second] = bendsOf(path);
  const u = 1 - t;
  const mixed = (a: number, b: number, c: number, d: number) =>
    u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d;
  return {
    x: mixed(from.x, from.x, to.x, to.x),
    y: mixed(from.y, first, second, to.y),
  };
}

const apart = (a: Rect, b: Rect) =>
  a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;

/**
 * Labels of paths where they have room, inside `within` and off each other.
 * Earlier paths come first: one that finds no place has none.
 */
export function placeLabels(paths: readonly TracePath[], within: Rect): readonly PlacedLabel[] {
  const placed: PlacedLabel[] = [];
  for (const path of paths) {
    const width = SWATCH + textWidth(path.label, TRACE_LABEL) + 6;
    for (const t of PLACES) {
      const { x, y } = pointOf(path, t);
      const left = Math.max(within.x, Math.min(x - width / 2, within.x + within.width - width));
      const box = { x: left, y: y - LABEL_HEIGHT / 2, width, height: LABEL_HEIGHT };
      if (box.y < within.y || box.y + box.height > within.y + within.height) continue;
      if (width > within.width || placed.some((other) => !apart(box, other.box))) continue;
      placed.push({ box, text: path.label, path });
      break;
    }
  }
  return placed;
}

/** The residual stream of each position: thin lines that say nothing of their own. */
export function drawStems(surface: Surface, stems: readonly TraceStem[], theme: Theme): void {
  for (const { x, bottom, top } of stems) {
    surface.line(x, bottom, x, top, { stroke: theme.muted, width: 1, opacity: 0.45 });
  }
}

/** Paths, given the largest first: the smallest are drawn first, so that the largest lie on top. */
export function drawTrace(
  surface: Surface,
  paths: readonly TracePath[],
  labels: readonly PlacedLabel[],
  theme: Theme,
  mark: MarkOf = () => null,
): void {
  const pointed = paths.some((path) => mark(path) === "pointed");
  const rank = (path: TracePath) => (mark(path) === null ? 0 : 1);
  for (const path of [...paths].reverse().sort((a, b) => rank(a) - rank(b))) {
    const { from, to, colour, width, dashed } = path;
    const dash = dashed ? { dash: DASH } : {};
    const marked = mark(path);
    if (marked !== null) {
      const stroke = marked === "pointed" ? theme.text : theme.accent;
      surface.path(steps(path), { stroke, strokeWidth: width + 2 * HALO, opacity: 0.3 });
    }
    const opacity = pointed && marked === null ? FAINT : 0.88;
    surface.path(steps(path), { stroke: colour, strokeWidth: width, opacity, ...dash });
    for (const { x, y } of [from, to]) {
      surface.circle(x, y, NODE, { fill: colour, ...(opacity === FAINT ? { opacity } : {}) });
    }
  }
  for (const { box, text, path } of labels) {
    const marked = mark(path);
    const middle = box.y + box.height / 2;
    surface.rect(box, { fill: theme.background, opacity: 0.9, radius: 2 });
    if (marked !== null) {
      const stroke = marked === "pointed" ? theme.text : theme.accent;
      surface.rect(box, { stroke, strokeWidth: 1.25, radius: 2 });
    }
    surface.circle(box.x + 6, middle, NODE, { fill: path.colour });
    const fill = pointed && marked === null ? theme.muted : theme.text;
    surface.text(box.x + 3 + SWATCH, middle, text, { fill, size: TRACE_LABEL });
  }
}
