// What stands where there is nothing to explain: why a layer has no vectors, or what went wrong.

import { drawParagraph } from "../../marks/text/paragraph.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { wrapText } from "../../surface/text.js";
import { failureText } from "../shared/failure.js";
import type { Frame } from "../view.js";
import { HEADER, PAD, REASON_LINE } from "./layout.js";

const SIZE = 12;

function reasonText({ layer }: Scene): string {
  return layer.reason ?? "This layer was recorded without query and key vectors.";
}

const room = (width: number) => width - 6 * PAD;

/** Lines that the reason takes; 0 for a layer that has vectors. */
export function reasonLines(scene: Scene, width: number): number {
  return scene.layer.has_vectors ? 0 : wrapText(reasonText(scene), room(width), SIZE).length;
}

/** Why a layer has no vectors, from a place on: its left end, or with `middle` its middle. */
export function drawReason(
  surface: Surface,
  scene: Scene,
  { width }: Pick<Frame, "width">,
  { x, y }: { readonly x: number; readonly y: number },
  anchor: "start" | "middle",
): void {
  const at = { x, y, width: room(width), leading: REASON_LINE };
  const style = { fill: scene.theme.text, size: SIZE, anchor } as const;
  drawParagraph(surface, at, reasonText(scene), style);
}

/** What went wrong, in place of everything below the header. */
export function drawError(
  surface: Surface,
  scene: Scene,
  { width }: Pick<Frame, "width">,
  error: string,
): void {
  const at = { x: PAD, y: HEADER + 14, width: width - 2 * PAD, leading: REASON_LINE };
  const { text, fill } = failureText(scene, error);
  drawParagraph(surface, at, text, { fill, size: SIZE });
}
