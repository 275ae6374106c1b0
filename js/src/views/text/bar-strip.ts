// The strip beside a long text: where weight, pins and hits are.

import type { Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { entry } from "../../styles/colours.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { contains } from "../../surface/surface.js";
import { headSeries } from "../shared/series.js";
import { cutTicks } from "../what-if/struck.js";
import { blockOf, positionTop, type TextBlock, type TextPlan } from "./layout.js";
import { shadeIn, type TextShading } from "./shading.js";

/** Rows of the strip that one token takes at least: a single pixel is not seen. */
const TALL = 2;

/** The largest shade in each row, of either sign, of pixels of the strip. */
export function stripShades(
  plan: TextPlan,
  block: TextBlock,
  shades: ArrayLike<number>,
  rows: number,
): Float32Array {
  const most = new Float32Array(rows);
  const { flow } = block;
  const scale = rows / plan.height;
  let line = 0;
  for (let index = 0; index < shades.length; index++) {
    const shade = shades[index] as number;
    const fragment = flow.first[index] as number;
    while ((flow.starts[line + 1] as number) <= fragment && line + 2 < flow.starts.length) line++;
    if (!(Math.abs(shade) > 0)) continue;
    const first = Math.min(rows - TALL, Math.floor((block.top + line * plan.line) * scale));
    for (let row = Math.max(0, first); row < first + TALL; row++) {
      if (Math.abs(shade) > Math.abs(most[row] as number)) most[row] = shade;
    }
  }
  return most;
}

function stripY({ strip, height }: TextPlan, top: number): number {
  return strip ? strip.y + (top / height) * strip.height : 0;
}

function drawShades(
  surface: Surface,
  scene: Scene,
  plan: TextPlan,
  shading: TextShading,
  at: Rect,
) {
  const rows = Math.max(1, Math.floor(at.height));
  const shades = stripShades(plan, blockOf(plan, shading.subject.over), shading.shades, rows);
  const data = new Uint8ClampedArray(4 * rows);
  shades.forEach((shade, row) => {
    const found = shadeIn(shading, shade, scene.theme);
    if (!found) return;
    data.set(found.table.subarray(3 * found.place, 3 * found.place + 3), 4 * row);
    data[4 * row + 3] = 255;
  });
  surface.image({ ...at, height: rows }, { width: 1, height: rows, data });
}

/** The whole document in one narrow column: where its weight lies, what is pinned and what was found. */
export function drawTextStrip(
  surface: Surface,
  scene: Scene,
  plan: TextPlan,
  shading: TextShading | null,
): void {
  const { strip } = plan;
  if (!strip) return;
  const { theme, state, found } = scene;
  surface.group("overview", () => {
    surface.rect(strip, { fill: entry(theme.sequential, 0), stroke: theme.rule });
    const inside = { ...strip, x: strip.x + 1, width: strip.width - 2 };
    if (shading) drawShades(surface, scene, plan, shading, inside);
    const tick = (axis: "query" | "key", index: number, fill: string, x: number) => {
      const block = blockOf(plan, axis);
      const y = stripY(plan, positionTop(plan, block, index) + plan.line / 2);
      surface.rect({ x, y: y - 1, width: 4, height: 2 }, { fill });
    };
    // Thousands of hits are one line.
    const seen = new Set<number>();
    for (const { axis, first } of found?.hits ?? []) {
      const y = Math.round(stripY(plan, positionTop(plan, blockOf(plan, axis), first)));
      if (seen.has(y)) continue;
      seen.add(y);
      tick(axis, first, theme.positive, strip.x + strip.width - 4);
    }
    for (const { axis, index } of cutTicks(scene, headSeries(scene, { isolate: false }))) {
      tick(axis, index, theme.changed, strip.x);
    }
    for (const index of state.queries.slice(0, 64)) tick("query", index, theme.accent, strip.x);
    for (const index of state.keys.slice(0, 64)) tick("key", index, theme.accent, strip.x);
    const top = stripY(plan, plan.scroll);
    const shown = Math.max(6, (plan.body.height / plan.height) * strip.height);
    const window = { ...strip, y: Math.min(top, strip.y + strip.height - shown), height: shown };
    surface.rect(window, { stroke: theme.text, strokeWidth: 1.5, opacity: 0.7 });
  });
}

/** A click anywhere on the strip brings that part of the document into the window. */
export function hitTextStrip(plan: TextPlan, x: number, y: number): Hit | null {
  const { strip, height, body } = plan;
  if (!strip || !contains({ ...strip, x: strip.x - 2, width: strip.width + 3 }, x, y)) return null;
  const wanted = ((y - strip.y) / strip.height) * height - body.height / 2;
  return { scrollTo: Math.round(Math.max(0, Math.min(height - body.height, wanted))) };
}
