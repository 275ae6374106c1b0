// The legend that panels of links share: how strong they are, and of both signs which colour is which.

import {
  colourKeyWidth,
  drawColourKey,
  drawLinkLegend,
  type KeyEntry,
  type LinkScale,
  linkLegendWidth,
  signKey,
} from "../../marks/legends/legend.js";
import type { Scene } from "../../scene/scene.js";
import type { Theme } from "../../styles/theme.js";
import type { Surface } from "../../surface/surface.js";
import { isSigned } from "../shared/measure.js";

const APART = 24;

/** What the colours of both signs are called. */
export const signEntries = (theme: Theme): readonly KeyEntry[] =>
  signKey("adds", "takes away", theme);

export function sharedLegendWidth(scene: Scene, scale: LinkScale): number {
  const signs = isSigned(scene) ? APART + colourKeyWidth(signEntries(scene.theme)) : 0;
  return linkLegendWidth(scale) + signs;
}

export function drawSharedLegend(
  surface: Surface,
  scene: Scene,
  x: number,
  y: number,
  scale: LinkScale,
): void {
  const { theme } = scene;
  drawLinkLegend(surface, x, y, scale, theme.text, theme);
  if (!isSigned(scene)) return;
  const entries = signEntries(theme);
  const left = x + linkLegendWidth(scale) + APART;
  drawColourKey(surface, left, y, colourKeyWidth(entries) + 1, entries, theme);
}
