// In the grid of heads: dashes around those that are out, and below each what its knock-out changes.

import { formatScore } from "../../marks/format.js";
import { memo } from "../../marks/memo.js";
import { EFFECT } from "../../protocol/constants.js";
import type { EffectsOfStream } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { metricName } from "./words.js";

/** One head's effect. */
export interface HeadEffect {
  readonly value: number;
  readonly exact: boolean;
  /** The largest of all, whatever its sign. */
  readonly most: number;
  /** The same with the head set to its mean, where that says something else than zero; else null. */
  readonly mean: number | null;
}

function streamEffects(scene: Scene): EffectsOfStream | null {
  const { edited, stream, sides } = scene;
  if (sides || !edited?.effects || edited.effects.state === "refused") return null;
  return edited.effects.streams[stream.name] ?? null;
}

/** Whether numbers of any head are here. */
export function hasEffects(scene: Scene): boolean {
  const found = streamEffects(scene);
  return found?.values.some((layer) => layer.some((value) => value !== null)) ?? false;
}

/** The effect of a head, by its layer's place in the stream; null where it is not known. */
export function effectOf(scene: Scene, row: number, head: number): HeadEffect | null {
  const found = streamEffects(scene);
  const value = found?.values[row]?.[head] ?? null;
  if (!found || value === null) return null;
  const most = memo(found, "most", () =>
    Math.max(1e-9, ...found.values.flat().map((each) => Math.abs(each ?? 0))),
  );
  const mean = found.differs?.[row]?.[head] ? (found.means?.[row]?.[head] ?? null) : null;
  return { value, exact: found.exact[row]?.[head] ?? false, most, mean };
}

/** What is said of a head whose mean says something else than zero; null of all others. */
export function bothWays({ value, mean }: HeadEffect): string | null {
  return mean === null ? null : `zero ${signed(value)}, mean ${signed(mean)}`;
}

/** A sign on "0.00", too: columns of numbers line up. */
function signed(value: number): string {
  return `${value < 0 ? "" : "+"}${formatScore(value)}`;
}

/** The size of every head's effect, in the order of all heads; null while there are none. */
export function effectSizes(scene: Scene): Float32Array | null {
  const found = streamEffects(scene);
  if (!found || !hasEffects(scene)) return null;
  return memo(found, "sizes", () =>
    Float32Array.from(found.values.flat(), (value) =>
      value === null ? Number.NaN : Math.abs(value),
    ),
  );
}

/** Over the heads, instead of their name; in fewer words where the whole does not fit. */
export function effectsTitle(
  scene: Scene,
  fits: (title: string) => boolean = () => true,
): string | null {
  const effects = scene.edited?.effects;
  const { score } = scene.state;
  // Heads that are coloured by something else are not by this.
  if (score !== null && score !== EFFECT) return null;
  if (!effects || !hasEffects(scene)) return null;
  const what = `effect on ${metricName(effects.metric)}`;
  const whole = `Heads by ${what}`;
  if (fits(whole)) return whole;
  // The list of scores beside it says it already.
  return score === EFFECT ? null : `E${what.slice(1)}`;
}

const HOW = { zero: "zeroed", mean: "set to its mean", resample: "taken from another input" };

/** What the score is called that is their size. */
export function effectName({ edited }: Scene): string {
  return edited?.effects ? `effect on ${metricName(edited.effects.metric)}` : "effect";
}

/** What the numbers below the heads are, and how sure. */
export function effectsNotes(scene: Scene): readonly string[] {
  const effects = scene.edited?.effects;
  if (!effects || !hasEffects(scene)) return [];
  const { at, done, of, how, metric } = effects;
  const sure = done < of ? "solid: exact · hatched, ≈: an estimate" : "all exact";
  // They stay those of this position when another is pinned.
  const where = at === null ? "" : `after “${at.trim()}” · `;
  const notes = [`change of ${metric} when the head is ${HOW[how]}`, where + sure];
  const differing = streamEffects(scene)?.differs?.some((layer) => layer.includes(true));
  if (differing) notes.push(`${DIFFERS}: set to its mean, it differs by more than 3 ×`);
  return notes;
}

/** After the number of a head whose mean says something else. */
const DIFFERS = "≠";
const SIZE = 10;
const BAR = 7;
/** An effect of this part of the largest stands out. */
const LARGE = 0.08;
/** Of a cell, what the bar of the largest effect takes. */
const SHARE = 0.5;

/** A bar that is filled, or hatched while it is an estimate. */
function drawBar(surface: Surface, rect: Rect, colour: string, exact: boolean): void {
  if (exact || rect.width < 3) {
    surface.rect(rect, { fill: colour, opacity: exact ? 1 : 0.5 });
    return;
  }
  const { x, y, width, height } = rect;
  const inner = { x: x + 0.5, y: y + 0.5, width: width - 1, height: height - 1 };
  surface.rect(inner, { stroke: colour, strokeWidth: 1 });
  for (let at = 3; at < width; at += 3) {
    const up = Math.min(at, height);
    surface.line(x + at, y, x + at - up, y + up, { stroke: colour, width: 0.75 });
  }
}

/** Below a cell: a bar from its left, the number at its right; `number` is which head it is, where that is said. */
export function drawEffect(
  surface: Surface,
  { theme }: Scene,
  effect: HeadEffect,
  cell: Rect,
  caption: number,
  number: string,
): void {
  const { value, exact, most } = effect;
  const middle = cell.y + cell.height + caption / 2 + 1;
  const colour = value < 0 ? theme.changed : theme.accent;
  const strong = Math.abs(value) >= LARGE * most;
  const weight = strong ? "bold" : "normal";
  if (number) surface.text(cell.x, middle, number, { fill: theme.muted, size: SIZE });
  const left = number ? textWidth(number, SIZE) + 4 : 0;
  const both = bothWays(effect);
  const plain = `${exact ? "" : "≈"}${signed(value)}${both ? DIFFERS : ""}`;
  const text = both && textWidth(both, SIZE, "sans", weight) <= cell.width - left ? both : plain;
  const wide = textWidth(text, SIZE, "sans", weight);
  const room = cell.width - left - wide - 4;
  const fits = left + wide <= cell.width;
  const bar = Math.max(
    1,
    (Math.min(SHARE * cell.width, Math.max(0, room)) * Math.abs(value)) / most,
  );
  const rect = { x: cell.x + left, y: middle - BAR / 2, width: bar, height: BAR };
  if (room > 3 || !fits) drawBar(surface, rect, colour, exact);
  if (!fits) return;
  const style = { size: SIZE, anchor: "end", weight } as const;
  surface.text(cell.x + cell.width, middle, text, {
    ...style,
    fill: strong ? colour : theme.muted,
  });
}

/** Around a head that is out: over its picture, which shows what it would have weighed. */
export function drawOut(surface: Surface, { theme }: Scene, { x, y, width, height }: Rect): void {
  if (width < 6 || height < 6) {
    surface.rect({ x, y, width, height }, { fill: theme.changed });
    return;
  }
  const rect = { x: x + 0.75, y: y + 0.75, width: width - 1.5, height: height - 1.5 };
  surface.rect(rect, { fill: theme.background, opacity: 0.6 });
  surface.rect(rect, { stroke: theme.changed, strokeWidth: 1.5, dash: [4, 3] });
}
