// The caption of a figure: model, stream, layer and heads in their colours, or its own title.

import { hasLegend, type Scene } from "../scene/scene.js";
import type { Surface } from "../surface/surface.js";
import { textWidth, wrapText } from "../surface/text.js";
import { agreementNote } from "../views/shared/agreement.js";
import { measureTitle, showsWords } from "../views/shared/measure.js";
import { layersName, NAMES, togetherOf } from "../views/shared/together.js";
import { editCaption } from "../views/what-if/words.js";

const SIZE = 12;
const LEADING = 16;
const GAP = 7;
const SWATCH = 11;
/** Between the heading and what is below it. */
const BELOW = 8;
const MOST_HEADS = 16;

interface Part {
  readonly text: string;
  readonly fill: string;
  readonly bold?: boolean;
  /** A head's colour before its number. */
  readonly swatch?: string;
}

/** What stands at the top of a figure, broken into lines. */
export type Caption = readonly (readonly Part[])[];

const widthOf = ({ text, bold, swatch }: Part) =>
  (swatch ? SWATCH : 0) + textWidth(text, SIZE, "sans", bold ? "bold" : "normal");

/** Which model, stream, layer and heads, each head in its colour; `panels` say their own. */
function partsOf(scene: Scene, panels: boolean): readonly Part[] {
  const { meta, stream, state, layer, theme } = scene;
  const { text, muted } = theme;
  const parts: Part[] = [{ text: meta.model, fill: text, bold: true }];
  const together = panels ? null : togetherOf(scene);
  const layers = (together && layersName(together)) || `layer ${state.layer}`;
  const places = panels ? [stream.name] : [stream.name, layers];
  if (state.measure !== "weights") places.push(measureTitle(scene));
  if (showsWords(scene)) places.push("words");
  const edits = editCaption(scene);
  if (edits) places.push(edits);
  for (const place of places) parts.push({ text: "·", fill: muted }, { text: place, fill: muted });
  if (panels) return parts;
  const heads = state.heads.slice(0, MOST_HEADS);
  parts.push({ text: "·", fill: muted });
  if (state.measure === "rollout") return [...parts, { text: "all heads together", fill: muted }];
  const several = state.heads.length === 1 ? "head" : "heads";
  const named = together ? `${NAMES[together.how]} of ${several}` : several;
  parts.push({ text: named, fill: muted });
  for (const head of heads) {
    parts.push({ text: String(head), fill: text, swatch: theme.head(head, layer.num_heads) });
  }
  const more = state.heads.length - heads.length;
  return more > 0 ? [...parts, { text: `and ${more} more`, fill: muted }] : parts;
}

/** A dot that would begin a line is left out. */
function broken(parts: readonly Part[], width: number): Caption {
  const lines: Part[][] = [[]];
  let used = 0;
  for (const part of parts) {
    const line = lines.at(-1) as Part[];
    if (line.length > 0 && used + widthOf(part) > width) {
      lines.push(part.text === "·" ? [] : [part]);
      used = part.text === "·" ? 0 : widthOf(part) + GAP;
    } else {
      line.push(part);
      used += widthOf(part) + GAP;
    }
  }
  return lines;
}

/** The heading of a figure: its own title, or what is shown. */
export function captionOf(
  scene: Scene,
  title: string | boolean,
  panels: boolean,
  width: number,
): Caption {
  if (title === false) return [];
  if (title === true) {
    // Under a figure with a legend it stands there.
    const note = hasLegend(scene) ? null : agreementNote(scene);
    const lines = note === null ? [] : wrapText(note, width, SIZE);
    const fill = scene.theme.muted;
    return [...broken(partsOf(scene, panels), width), ...lines.map((text) => [{ text, fill }])];
  }
  const style = { fill: scene.theme.text, bold: true };
  return wrapText(title, width, SIZE, "sans", "bold").map((text) => [{ text, ...style }]);
}

export function captionHeight(caption: Caption): number {
  return caption.length === 0 ? 0 : LEADING * caption.length + BELOW;
}

export function drawCaption(surface: Surface, caption: Caption): void {
  caption.forEach((line, n) => {
    let x = 0;
    const y = 8 + n * LEADING;
    for (const part of line) {
      const { text, fill, bold, swatch } = part;
      const left = x + (swatch ? SWATCH : 0);
      if (swatch) surface.rect({ x, y: y - 4, width: 8, height: 8 }, { fill: swatch, radius: 1 });
      surface.text(left, y, text, { fill, size: SIZE, weight: bold ? "bold" : "normal" });
      x += widthOf(part) + GAP;
    }
  });
}
