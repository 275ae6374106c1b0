// Groups at the margins: a rule and a name beside each run of positions, a hairline where the next begins.

import type { Theme } from "../../styles/theme.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";

/** A run of positions as it is drawn, in pixels along its axis. */
export interface MarginRun {
  readonly from: number;
  readonly to: number;
  /** Empty for positions in no group: they have no rule. */
  readonly label: string;
  /** Links of it are left out. */
  readonly faded?: boolean;
}

const LABEL = 11;
/** A rule, and what lies between it and what it is beside. */
const RULE = 3;
const GAP = 6;
const MOST_LABEL = 76;
const FADED = 0.35;
/** Between two runs that touch. */
const BETWEEN = 1.5;

/** What a margin with these labels takes; less where the labels would take too much of the width. */
export function marginRoom(labels: readonly string[], available: number): number {
  const widest = labels.reduce(
    (most, label) => Math.max(most, textWidth(label, LABEL, "sans", "bold")),
    0,
  );
  const label = Math.min(MOST_LABEL, Math.ceil(widest));
  return label > available / 8 ? RULE + GAP + 2 : label + RULE + 2 * GAP;
}

/** Room of a margin above columns. */
export const MARGIN_ABOVE = LABEL + RULE + GAP + 2;

export interface Margin {
  readonly side: "left" | "right" | "above";
  /** The edge of what it is beside. */
  readonly edge: number;
  /** How far it reaches away from there. */
  readonly room: number;
  /** What of the axis is in sight. */
  readonly window: readonly [number, number];
}

function drawLabel(surface: Surface, run: MarginRun, margin: Margin, theme: Theme): void {
  const { side, edge, room, window } = margin;
  const [from, to] = [Math.max(run.from, window[0]), Math.min(run.to, window[1])];
  const style = {
    fill: theme.muted,
    size: LABEL,
    weight: "bold",
    ...(run.faded ? { opacity: FADED } : {}),
  } as const;
  const middle = (from + to) / 2;
  if (side === "above") {
    const free = to - from - 4;
    if (free < Math.min(textWidth(run.label, LABEL, "sans", "bold"), 22)) return;
    const y = edge - GAP / 2 - RULE - 2 - LABEL / 2;
    surface.text(middle, y, run.label, { ...style, anchor: "middle", maxWidth: free });
    return;
  }
  const free = room - RULE - GAP - 4;
  if (to - from < LABEL - 1 || free < 8) return;
  const away = GAP / 2 + RULE + 4;
  const left = side === "left";
  surface.text(left ? edge - away : edge + away, middle, run.label, {
    ...style,
    anchor: left ? "end" : "start",
    maxWidth: free,
  });
}

/** A rule and a name beside each run that is in sight. */
export function drawMargin(
  surface: Surface,
  runs: readonly MarginRun[],
  margin: Margin,
  theme: Theme,
): void {
  const { side, edge, window } = margin;
  surface.group(`groups ${side}`, () => {
    for (const run of runs) {
      const from = Math.max(run.from, window[0]) + BETWEEN;
      const to = Math.min(run.to, window[1]) - BETWEEN;
      if (run.label === "" || to - from < 1) continue;
      const at = side === "right" ? edge + GAP / 2 : edge - GAP / 2 - RULE;
      const rect: Rect =
        side === "above"
          ? { x: from, y: at, width: to - from, height: RULE }
          : { x: at, y: from, width: RULE, height: to - from };
      surface.rect(rect, {
        fill: theme.muted,
        opacity: run.faded ? FADED / 2 : 0.5,
        radius: RULE / 2,
      });
      drawLabel(surface, run, margin, theme);
    }
  });
}
