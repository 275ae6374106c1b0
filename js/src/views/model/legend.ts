// Model view: legend of the score.

import { drawRamp } from "../../marks/legends/colour-ramp.js";
import { RANKING } from "../../protocol/constants.js";
import type { Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { ellipsize, textWidth } from "../../surface/text.js";
import { type Board, toldOfLinks, weightNote, whyNoScore } from "./head-scores.js";

/** Height of one line above the heads. */
export const NOTE = 15;

const SIZE = 10;
const RAMP = 64;

/** "3 of 16 heads reach 0.40". */
export function remainingText({ remaining, heads }: Board, threshold: number): string {
  return `${remaining} of ${heads.length} heads reach ${threshold.toFixed(2)}`;
}

/** Lines above the heads: why there is no score, or what the score is of. */
export function scoreNotes(scene: Scene, board: Board | null): readonly string[] {
  if (!board) {
    const why = whyNoScore(scene);
    return why === null ? [] : [why];
  }
  const { threshold } = scene.state;
  const told = toldOfLinks(scene, board.score.name);
  if (told) return [...told, ...(threshold === null ? [] : [remainingText(board, threshold)])];
  const parts = [weightNote(scene, board.score.name)];
  const { survey } = scene.meta;
  if (survey && board.score.name !== RANKING) {
    parts.unshift(`mean over ${survey.inputs} ${survey.inputs === 1 ? "input" : "inputs"}`);
  }
  if (scene.generationStep) parts.push("of the whole generation");
  if (threshold !== null) parts.push(remainingText(board, threshold));
  return [parts.join(" · ")];
}

/** The score's name and its colours, on one line. */
export function drawScoreLegend(
  surface: Surface,
  { theme }: Scene,
  { score, most }: Board,
  { x, y, width }: Pick<Rect, "x" | "y" | "width">,
): void {
  const label = { fill: theme.muted, size: SIZE } as const;
  const end = String(most);
  const room = width - RAMP - textWidth(`0${end}`, SIZE) - 20;
  const title = ellipsize(score.title, Math.max(20, room), 11, "sans", "bold");
  surface.text(x, y, title, { fill: theme.text, size: 11, weight: "bold" });
  let at = x + textWidth(title, 11, "sans", "bold") + 8;
  surface.text(at, y, "0", label);
  at += textWidth("0", SIZE) + 4;
  drawRamp(surface, { x: at, y: y - 4, width: RAMP, height: 8 }, theme.score, theme.rule);
  surface.text(at + RAMP + 4, y, end, label);
}
