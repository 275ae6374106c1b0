// The strip under heads that are one: small bars for the part of each layer and of each head.

import type { How } from "../../data/together.js";
import { drawCard } from "../../marks/card.js";
import { LEGEND_SIZE } from "../../marks/legends/legend.js";
import { hasLegend, type Scene } from "../../scene/scene.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { ellipsize, textWidth } from "../../surface/text.js";
import { pointer } from "../shared/series.js";
import { NAMES, togetherOf } from "../shared/together.js";
import { type Part, partsAreAlike, partsOf, partsTitle } from "../shared/together-parts.js";
import type { Frame, Stop } from "../view.js";

const TITLE = 20;
const BAR = 20;
const NAME = 13;
const GAP = 8;
/** Above the bars, for their numbers. */
const NUMBER = 14;
const ROW = NUMBER + BAR + NAME + GAP;
const SIZE = 10;
/** From one bar to the next, at most. */
const STEP = 32;
/** Between the layers and the heads, where both stand on one line. */
const APART = 28;
const EDGE = 4;
/** A card lists no more heads than this. */
const MOST_ROWS = 8;
/** More bars than this are not stops of their own: the keyboard has others to go to. */
const MOST_STOPS = 40;

/** The row of the layers, or that of the heads. */
interface Row {
  readonly what: "layer" | "head";
  readonly parts: readonly Part[];
  readonly top: number;
  /** Where what they are is said, left of the bars. */
  readonly name: number;
  /** Where the bars begin, and from one to the next. */
  readonly left: number;
  readonly step: number;
}

/** Whether there is a strip: where heads are one and are drawn at all. */
function hasStrip(scene: Scene): boolean {
  // A profile is of all heads.
  return togetherOf(scene) !== null && hasLegend(scene) && scene.state.form !== "profile";
}

export function stripHeight(scene: Scene, width: number): number {
  if (!hasStrip(scene)) return 0;
  const rows = rowsOf(scene, width, 0)?.rows ?? [];
  return Math.max(...rows.map(({ top }) => top)) + ROW;
}

/** "34 %", and where there is room "34.2 %"; what is not nothing is not called so. */
function shareText(share: number, decimals = 0): string {
  const least = 10 ** -decimals;
  const percent = 100 * share;
  return percent > 0 && percent < least / 2 ? `<${least} %` : `${percent.toFixed(decimals)} %`;
}

/** "34 % of the mean", "the largest in 34 % of the pairs". */
const saying = (share: string, how: How) =>
  how === "max" ? `the largest in ${share} of the pairs` : `${share} of the ${NAMES[how]}`;

/** The rows of bars in the middle of the view: side by side where there is room. */
function rowsOf(scene: Scene, width: number, top: number) {
  const together = togetherOf(scene);
  if (!together) return null;
  const found = partsOf(scene, together);
  const lists = (
    [
      ["layer", found.layers],
      ["head", found.heads],
    ] as const
  ).filter(([, parts]) => parts.length > 0);
  const name = Math.max(...lists.map(([what]) => textWidth(what, SIZE))) + 8;
  const stepOf = (count: number) => Math.min(STEP, (width - 2 * EDGE - name) / count);
  const widths = lists.map(([, parts]) => name + stepOf(parts.length) * parts.length);
  const whole = widths.reduce((sum, one) => sum + one, APART * (lists.length - 1));
  const abreast = whole <= width - 2 * EDGE;
  const start = (width - (abreast ? whole : Math.max(...widths))) / 2;
  let x = start;
  const rows = lists.map(([what, parts], n): Row => {
    const row = {
      what,
      parts,
      name: x,
      left: x + name,
      step: stepOf(parts.length),
      top: top + TITLE + (abreast ? 0 : n * ROW),
    };
    if (abreast) x += (widths[n] as number) + APART;
    return row;
  });
  return { together, found, rows };
}

/** The place of a bar with its name and number. */
function cellOf({ left, step, top }: Row, n: number): Rect {
  return { x: left + n * step, y: top, width: step, height: ROW - GAP };
}

/** Every how many bars a text of this width stands beside the next. */
const every = (width: number, step: number) => Math.max(1, Math.ceil((width + 3) / step));

function drawRow(surface: Surface, scene: Scene, row: Row): void {
  const { theme, layer } = scene;
  const { parts, what, left, step, top } = row;
  const most = Math.max(...parts.map(({ share }) => share ?? 0));
  const highest = parts.findIndex(({ share }) => share === most);
  const base = top + NUMBER + BAR;
  const names = every(
    Math.max(...parts.map(({ number }) => textWidth(String(number), SIZE))),
    step,
  );
  const numbered = every(textWidth("100 %", SIZE), step) === 1;
  surface.text(row.name, base + NAME / 2 + 1, what, { fill: theme.muted, size: SIZE });
  surface.line(left, base + 0.5, left + parts.length * step, base + 0.5, { stroke: theme.rule });
  parts.forEach(({ number, share }, n) => {
    const { x, width } = cellOf(row, n);
    const middle = x + width / 2;
    const style = { size: SIZE, anchor: "middle" } as const;
    if (n % names === 0) {
      surface.text(middle, base + NAME / 2 + 1, String(number), { ...style, fill: theme.muted });
    }
    if (share === null || most <= 0) return;
    const wide = Math.max(1, Math.min(width - 1, 0.6 * width));
    const height = (BAR * share) / most;
    const fill = what === "head" ? theme.head(number, layer.num_heads) : theme.muted;
    if (height > 0) {
      surface.rect({ x: middle - wide / 2, y: base - height, width: wide, height }, { fill });
    }
    // Of bars that are too narrow for it, the highest alone says how high it is.
    if (numbered || n === highest) {
      const y = base - height - NUMBER / 2;
      surface.text(middle, y, shareText(share), { ...style, fill: theme.text });
    }
  });
}

/** The strip, `top` pixels below the upper edge of the view. */
export function drawStrip(surface: Surface, scene: Scene, { width }: Frame, top: number): void {
  const strip = rowsOf(scene, width, top);
  if (!strip) return;
  const { together, found, rows } = strip;
  const { theme } = scene;
  const alike = partsAreAlike(scene, together, found);
  const title =
    partsTitle(scene, together) +
    (alike ? " · alike, as a query’s weights add up to 1: pin a key" : "");
  const text = found.error ?? title;
  surface.text(width / 2, top + TITLE / 2 + 2, ellipsize(text, width - 2 * EDGE, LEGEND_SIZE), {
    anchor: "middle",
    fill: found.error === null ? theme.muted : theme.danger,
    size: LEGEND_SIZE,
  });
  surface.group("parts", () => {
    for (const row of rows) drawRow(surface, scene, row);
  });
}

/** The bar at a point of the view. */
function barAt(rows: readonly Row[], x: number, y: number): readonly [Row, Part] | null {
  for (const row of rows) {
    const n = row.parts.findIndex((_, n) => contains(cellOf(row, n), x, y));
    const part = row.parts[n];
    if (part) return [row, part];
  }
  return null;
}

/** The number of the bar under the pointer, and of the single heads that it is made of. */
export function drawStripCard(surface: Surface, scene: Scene, frame: Frame, top: number): void {
  const at = pointer(scene.hover, "head");
  const strip = at && rowsOf(scene, frame.width, top);
  const bar = strip && barAt(strip.rows, at.x, at.y);
  if (!bar || bar[1].share === null) return;
  const [{ what }, { number, share, of }] = bar;
  const { theme, layer, stream } = scene;
  const { how, layers } = strip.together;
  const strongest = [...of].sort((a, b) => b.share - a.share).slice(0, MOST_ROWS);
  const countOf = (number: number) =>
    stream.layers.find((each) => each.layer === number)?.num_heads ?? layer.num_heads;
  const rows = (layers ? strongest : []).map(({ layer, head, share }) => ({
    label: `layer ${layer} head ${head}`,
    colour: theme.head(head, countOf(layer)),
    value: shareText(share, 1),
    note: "",
  }));
  const left = of.length - rows.length;
  const card = {
    title: `${what} ${number}: ${saying(shareText(share, 1), how)}`,
    rows,
    ...(layers && left > 0 ? { footnote: `and ${left} more` } : {}),
  };
  drawCard(surface, card, at, { x: 0, y: 0, width: frame.width, height: frame.height }, theme);
}

/** The bars with their numbers, one after another. */
export function stripStops(scene: Scene, { width }: Frame, top: number): readonly Stop[] {
  const strip = rowsOf(scene, width, top);
  if (!strip) return [];
  const { how } = strip.together;
  const named = (row: Row, { number, share }: Part) =>
    `${row.what} ${number}${share === null ? "" : `: ${saying(shareText(share), how)}`}`;
  return strip.rows
    .flatMap((row) =>
      row.parts.map((part, n) => ({ rect: cellOf(row, n), name: named(row, part) })),
    )
    .slice(0, MOST_STOPS);
}
