// Tokens that lie in no image, shaded beside it.

import { LEGEND_SIZE } from "../../marks/legends/legend.js";
import { heatShade } from "../../marks/matrix/image-heat.js";
import { drawFoundFrame } from "../../marks/text/found-frame.js";
import { labelFill, labelOf } from "../../marks/text/tokens.js";
import type { Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { foundAt } from "../shared/found.js";
import { isSigned } from "../shared/measure.js";
import { hoveredPositions, keyName, queryName } from "../shared/series.js";
import type { Frame, Stop } from "../view.js";
import { drawChipGroups } from "./groups.js";
import { CHIP, CHIP_SIZE, type TokenChip } from "./layout.js";
import type { ImagePlan, Shown } from "./plan.js";

/** The strongest shade still lets its label be read. */
const STRONGEST = 0.6;

function rectOf(plan: ImagePlan, { rect }: TokenChip): Rect {
  return { ...rect, x: rect.x + plan.left, y: rect.y + plan.stripTop - plan.stripScroll };
}

const inWindow = ({ stripTop, stripHeight }: ImagePlan, { y, height }: Rect) =>
  y + height > stripTop && y < stripTop + stripHeight;

function drawChip(
  surface: Surface,
  scene: Scene,
  plan: ImagePlan,
  shown: Shown,
  chip: TokenChip,
): void {
  const { theme, state } = scene;
  const strip = plan.mediaLayout.strips[chip.strip];
  if (!strip) return;
  const rect = rectOf(plan, chip);
  const at = strip.indices.indexOf(chip.index);
  const hovered = hoveredPositions(scene);
  const pinned = (strip.axis === "query" ? state.queries : state.keys).includes(chip.index);
  const pointed = hovered[strip.axis] === chip.index;
  surface.rect(rect, { fill: theme.wash, radius: 2 });
  plan.series.forEach(({ colour }, n) => {
    const weight = shown.beside[chip.strip]?.[n]?.[at] ?? 0;
    const opacity = STRONGEST * heatShade(Math.abs(weight), shown.mostBeside);
    const fill = !isSigned(scene) ? colour : weight < 0 ? theme.negative : theme.positive;
    if (!(opacity > 1 / 255)) return;
    const width = rect.width / plan.series.length;
    surface.rect({ ...rect, x: rect.x + n * width, width }, { fill, opacity });
  });
  if (pinned || pointed) {
    const stroke = pinned ? theme.accent : theme.text;
    surface.rect(rect, { stroke, strokeWidth: pinned ? 2 : 1, radius: 2 });
  }
  const mark = foundAt(scene, strip.axis)?.(chip.index);
  if (mark) drawFoundFrame(surface, { ...rect, x: rect.x + 2, width: rect.width - 4 }, mark, theme);
  const positions = strip.axis === "query" ? scene.queries : scene.keys;
  surface.text(rect.x + rect.width / 2, rect.y + rect.height / 2, labelOf(positions, chip.index), {
    fill: pinned ? theme.accent : labelFill(positions[chip.index], theme),
    size: CHIP_SIZE,
    anchor: "middle",
    maxWidth: rect.width - 4,
  });
}

/** The tokens that lie in no picture, shaded by the same weights. */
export function drawStrips(
  surface: Surface,
  scene: Scene,
  frame: Frame,
  plan: ImagePlan,
  shown: Shown,
): void {
  const { theme } = scene;
  const { strips, stripTop, stripHeight, stripScroll } = plan;
  if (strips.chips.length === 0) return;
  const clip = { x: 0, y: stripTop - 1, width: frame.width, height: stripHeight + 1 };
  const draw = () => {
    for (const { text, x, y } of strips.names) {
      const middle = y + CHIP / 2 - 1 + stripTop - stripScroll;
      surface.text(x + plan.left, middle, text, { fill: theme.muted, size: LEGEND_SIZE });
    }
    const at = { left: plan.left, top: stripTop - stripScroll, middle: CHIP / 2 - 1 };
    drawChipGroups(surface, scene, strips.groups, at);
    for (const chip of strips.chips) {
      if (inWindow(plan, rectOf(plan, chip))) drawChip(surface, scene, plan, shown, chip);
    }
  };
  surface.group("tokens", draw, { clip });
  if (strips.height > stripHeight) {
    for (const y of [stripTop - 1, stripTop + stripHeight]) {
      surface.line(plan.left + 4, y, plan.left + plan.width - 4, y, { stroke: theme.rule });
    }
  }
}

const hitOf = (plan: ImagePlan, chip: TokenChip): Hit =>
  plan.mediaLayout.strips[chip.strip]?.axis === "key" ? { key: chip.index } : { query: chip.index };

export function stripHit(plan: ImagePlan, x: number, y: number): Hit | null {
  if (y < plan.stripTop || y >= plan.stripTop + plan.stripHeight) return null;
  const chip = plan.strips.chips.find((each) => {
    const rect = rectOf(plan, each);
    return x >= rect.x && x < rect.x + rect.width && y >= rect.y && y < rect.y + rect.height + 2;
  });
  return chip ? hitOf(plan, chip) : null;
}

/** The scroll that brings a token into the window; null when it is there already, or in no strip. */
export function stripReveal(
  plan: ImagePlan,
  at: { readonly query?: number; readonly key?: number },
): number | null {
  const chip = plan.strips.chips.find((each) => {
    const { query, key } = hitOf(plan, each);
    return (query !== undefined && query === at.query) || (key !== undefined && key === at.key);
  });
  if (!chip || inWindow(plan, rectOf(plan, chip))) return null;
  return Math.max(0, chip.rect.y - plan.stripHeight / 2);
}

const MOST_STOPS = 36;

export function stripStops(scene: Scene, plan: ImagePlan): readonly Stop[] {
  return plan.strips.chips
    .filter((chip) => inWindow(plan, rectOf(plan, chip)))
    .slice(0, MOST_STOPS)
    .map((chip) => {
      const hit = hitOf(plan, chip);
      const name =
        hit.query === undefined
          ? keyName(scene, chip.index)
          : queryName(scene, plan.series, chip.index);
      return { ...hit, name, rect: rectOf(plan, chip) };
    });
}
