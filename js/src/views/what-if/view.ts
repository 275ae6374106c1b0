// What the model would choose before and after the edits, as bars.

import { formatWeight } from "../../marks/format.js";
import type { Choice } from "../../protocol/generated.js";
import type { Bars } from "../../scene/edited.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import type { View } from "../view.js";
import { barsOf } from "./motion.js";
import { choiceInQuestion } from "./words.js";

const TOP = 20;
const ROW = 34;
const BAR = 11;
const TEXT = 12;
const NUMBER = 46;
const GAP = 24;
/** Words take at most so much of a row. */
const SHARE = 0.32;
const LEAST_WORDS = 40;
/** In a column narrower than this a bar says nothing. */
const LEAST_COLUMN = 220;
const WIDEST_COLUMN = 520;

/** What is drawn: the choices, or of an embedding how similar it still is. */
export function changes({ edited }: Scene): readonly Choice[] {
  const whatIf = edited?.whatIf;
  if (!whatIf || whatIf.edits.length === 0) return [];
  const { choices, kind, before, after } = whatIf;
  if (kind !== "embedding" || before === null || after === null) return choices;
  return [{ label: "similarity", before, after }];
}

export function hasChanges(scene: Scene): boolean {
  return changes(scene).length > 0;
}

function columnsAt(width: number): number {
  return [3, 2].find((count) => (width + GAP) / count - GAP >= LEAST_COLUMN) ?? 1;
}

/** In a column of its own the bars stand one below the other. */
function placesOf(list: readonly Choice[], width: number) {
  const columns = width > WIDEST_COLUMN ? columnsAt(width) : 1;
  const lines = Math.ceil(list.length / columns);
  const each = Math.min(WIDEST_COLUMN, (width + GAP) / columns - GAP);
  return { columns, lines, each };
}

function drawLegend(surface: Surface, { theme }: Scene): void {
  let x = 0;
  for (const [name, fill] of [
    ["before", theme.muted],
    ["after", theme.changed],
  ] as const) {
    const opacity = name === "before" ? 0.45 : 1;
    surface.rect({ x, y: 3, width: 10, height: 8 }, { fill, opacity });
    surface.text(x + 15, 7, name, { fill: theme.muted, size: 11 });
    x += 15 + textWidth(name, 11) + 16;
  }
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly words: number;
  readonly bars: Bars;
}

function drawChoice(
  surface: Surface,
  scene: Scene,
  { label, before, after }: Choice,
  strong: boolean,
  { x, y, width, words, bars }: Place,
): void {
  const { theme } = scene;
  const style = { size: TEXT, weight: strong ? "bold" : "normal" } as const;
  surface.text(x, y + BAR, label, { ...style, fill: theme.text, maxWidth: words - 8 });
  const room = width - words - NUMBER;
  const long = bars.rows.get(label) ?? { before, after };
  const pair = [
    { value: before, length: long.before, fill: theme.muted, opacity: 0.45, top: y },
    { value: after, length: long.after, fill: theme.changed, opacity: 1, top: y + BAR },
  ];
  for (const { value, length, fill, opacity, top } of pair) {
    const size = Math.max(1, (room * Math.max(0, length)) / bars.end);
    surface.rect({ x: x + words, y: top, width: size, height: BAR - 1 }, { fill, opacity });
    const number = { size: 11, anchor: "end", fill, weight: style.weight } as const;
    const shown = value === 0 ? "0.000" : formatWeight(value);
    surface.text(x + width, top + BAR / 2, shown, number);
  }
}

/** The bars of what is chosen, grey before and in the colour of edits after. */
export const changeView: View = {
  name: "change",

  contentHeight(scene, width) {
    return TOP + ROW * placesOf(changes(scene), width).lines;
  },

  draw(surface, scene, { width }) {
    const list = changes(scene);
    const whatIf = scene.edited?.whatIf;
    if (!whatIf || list.length === 0) return;
    drawLegend(surface, scene);
    const { lines, each } = placesOf(list, width);
    const widest = Math.max(...list.map(({ label }) => textWidth(label, TEXT, "sans", "bold")));
    const words = Math.max(LEAST_WORDS, Math.min(SHARE * each, widest + 12));
    const bars = barsOf(list, scene.moving ?? null);
    const chosen = choiceInQuestion(whatIf, scene.edited?.asked ?? false);
    const first = list.reduce((best, one) => (one.after > best.after ? one : best));
    list.forEach((choice, n) => {
      const x = Math.floor(n / lines) * (each + GAP);
      const y = TOP + (n % lines) * ROW;
      const place = { x, y, width: each, words, bars };
      drawChoice(surface, scene, choice, choice === chosen || choice === first, place);
    });
  },

  hit: () => null,
  stops: () => [],
};
