// Running text: legend, and the strongest positions to jump to.

import {
  drawColourKey,
  drawDivergingLegend,
  drawSequentialLegend,
  LEGEND_BAR,
  LEGEND_LINE,
  LEGEND_SIZE,
} from "../../marks/legends/legend.js";
import { indexOf, quoted } from "../../marks/text/tokens.js";
import { hasLegend, onPaper, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { MEASURES, sayNumber } from "../shared/measure.js";
import { headSeries } from "../shared/series.js";
import type { Frame, Stop } from "../view.js";
import {
  barCount,
  blockOf,
  CHIPS,
  isInSight,
  positionTop,
  scrollFor,
  type TextPlan,
  textNotes,
} from "./layout.js";
import { strongest, type TextShading, weightAt } from "./shading.js";

/** One of the strongest: where it is and how much it has. */
interface StrongestChip {
  readonly rect: Rect;
  readonly text: string;
  readonly hit: Hit;
  readonly name: string;
}

const MOST_CHIPS = 5;
/** Around the words of a chip; on paper there is nothing to be clicked. */
const padOf = (scene: Scene) => (onPaper(scene) ? 0 : 6);
const GAP = { screen: 6, paper: 18 };
const LABEL = 110;
/** What is less is said to be "<0.001", and so is worth no chip. */
const LEAST = 0.0005;

/** What the shades are, in words. */
function shadeTitle(scene: Scene, { subject }: Pick<TextShading, "subject">, room = 90): string {
  const { queries, keys, state } = scene;
  const weight = MEASURES[state.measure].short;
  const { about } = subject;
  const name = (list: typeof keys, group: readonly number[], several: string) =>
    group.length > 1 ? `${group.length} ${several}` : quoted(list, group[0] ?? 0, room);
  if (about === "query")
    return `${weight} of ${name(queries, subject.queries, "queries")} on each token`;
  if (about === "key") return `${weight} of each token on ${name(keys, subject.keys, "keys")}`;
  const there = scene.generationStep?.numQueries ?? queries.length;
  return `mean ${weight} on each token, over ${there === 1 ? "1 query" : `${there} queries`}`;
}

/** The strongest of what is shaded, from the left as many as fit. */
function chipsOf(
  scene: Scene,
  plan: TextPlan,
  shading: TextShading,
  width: number,
): readonly StrongestChip[] {
  const pad = padOf(scene);
  const { over, about } = shading.subject;
  const block = blockOf(plan, over);
  const chips: StrongestChip[] = [];
  const arrow = about === "key" ? "←" : "→";
  let x = 8;
  for (const index of strongest(shading.shades, MOST_CHIPS)) {
    const away = plan.strip !== null && !isInSight(plan, block, index);
    const above = positionTop(plan, block, index) < plan.scroll;
    const label = quoted(block.positions, index, LABEL);
    const weight = weightAt(shading, index);
    if (Math.abs(weight) < LEAST) continue;
    const number = sayNumber(scene, weight);
    const where = away ? (above ? "▲ " : "▼ ") : "";
    const text = `${where}${label} (position ${indexOf(block.positions, index)}) ${number}`;
    const own = Math.ceil(textWidth(text, LEGEND_SIZE)) + 2 * pad;
    if (x + own > width - 8) break;
    const rect = { x, y: plan.footerTop + 7, width: own, height: 18 };
    const at = { [over]: index };
    const hit = away ? { ...at, scrollTo: scrollFor(plan, block, index) } : at;
    chips.push({ rect, text, hit, name: `${away ? "Jump to " : ""}${arrow} ${text}` });
    x += own + (pad === 0 ? GAP.paper : GAP.screen);
  }
  return chips;
}

export function drawTextFooter(
  surface: Surface,
  scene: Scene,
  plan: TextPlan,
  shading: TextShading | null,
  { width }: Frame,
): void {
  if (!hasLegend(scene)) return;
  const { theme } = scene;
  let y = plan.footerTop + 6 + CHIPS;
  if (shading) {
    surface.group("strongest", () => {
      for (const { rect, text } of chipsOf(scene, plan, shading, width)) {
        if (!onPaper(scene)) surface.rect(rect, { fill: theme.wash, radius: 3 });
        const style = { fill: theme.text, size: LEGEND_SIZE };
        surface.text(rect.x + padOf(scene), rect.y + rect.height / 2, text, style);
      }
    });
    const full = shadeTitle(scene, shading);
    const title =
      textWidth(full, LEGEND_SIZE) + 130 > width ? shadeTitle(scene, shading, 40) : full;
    const wide = Math.min(width - 16, 220 + textWidth(title, LEGEND_SIZE));
    const bar = { x: 8, y: y + 4, width: wide, title };
    if (shading.signed) drawDivergingLegend(surface, bar, shading.end, theme);
    else drawSequentialLegend(surface, bar, theme, shading);
  }
  y += LEGEND_BAR;
  if (barCount(scene) > 0) {
    const entries = headSeries(scene, { isolate: false }).map(
      ({ name, head, colour, out = false }, n) => ({
        label: n === 0 ? name : `${head}${out ? " · out" : ""}`,
        colour,
        hollow: out,
      }),
    );
    drawColourKey(surface, 8, y + LEGEND_LINE / 2, width - 16, entries, theme);
    y += LEGEND_LINE;
  }
  const note = { fill: theme.muted, size: LEGEND_SIZE, maxWidth: width - 16 };
  textNotes(scene).forEach((text, n) => {
    surface.text(8, y + (n + 0.5) * LEGEND_LINE - 2, text, note);
  });
}

export function hitTextFooter(
  scene: Scene,
  plan: TextPlan,
  shading: TextShading,
  { width }: Frame,
  x: number,
  y: number,
): Hit | null {
  if (!hasLegend(scene)) return null;
  return chipsOf(scene, plan, shading, width).find(({ rect }) => contains(rect, x, y))?.hit ?? null;
}

export function textChipStops(
  scene: Scene,
  plan: TextPlan,
  shading: TextShading,
  { width }: Frame,
): readonly Stop[] {
  if (!hasLegend(scene)) return [];
  return chipsOf(scene, plan, shading, width).map(({ rect, hit, name }) => ({
    ...hit,
    rect,
    name,
  }));
}
