// The card of numbers beside the pointer.

import type { Theme } from "../styles/theme.js";
import type { Rect, Surface } from "../surface/surface.js";
import { ellipsize, textWidth } from "../surface/text.js";

export interface CardRow {
  readonly colour: string;
  readonly label: string;
  readonly value: string;
  readonly note: string;
}

export interface Card {
  readonly title: string;
  readonly rows: readonly CardRow[];
  /** A last line, such as how many rows were left out. */
  readonly footnote?: string | undefined;
}

const PAD = 8;
const LINE = 16;
const SIZE = 11;
const SWATCH = 8;

function widest(rows: readonly CardRow[], part: "label" | "value" | "note"): number {
  return rows.reduce((most, row) => Math.max(most, textWidth(row[part], SIZE)), 0);
}

/** Beside the pointer where there is room, on its other side where there is not. */
export function beside(at: number, size: number, low: number, high: number): number {
  const after = at + 14;
  const start = after + size <= high ? after : at - 14 - size;
  return Math.max(low, Math.min(start, high - size));
}

/** A small card of numbers near the pointer, kept inside `bounds`. */
export function drawCard(
  surface: Surface,
  card: Card,
  at: { x: number; y: number },
  bounds: Rect,
  theme: Theme,
): void {
  const label = SWATCH + 6 + widest(card.rows, "label") + 12;
  const value = widest(card.rows, "value");
  const note = widest(card.rows, "note");
  const most = bounds.width - 2 * PAD;
  const title = ellipsize(card.title, most, SIZE + 1, "sans", "bold");
  const footnote = card.footnote ?? "";
  const inner = Math.max(
    textWidth(title, SIZE + 1, "sans", "bold"),
    card.rows.length > 0 ? label + value + (note > 0 ? 8 + note : 0) : 0,
    textWidth(footnote, SIZE),
  );
  const width = Math.min(bounds.width, Math.ceil(inner) + 2 * PAD);
  const lines = 1 + card.rows.length + (footnote ? 1 : 0);
  const height = lines * LINE + 2 * PAD - 2;
  const x = beside(at.x, width, bounds.x, bounds.x + bounds.width);
  const y = beside(at.y, height, bounds.y, bounds.y + bounds.height);
  surface.group("card", () => {
    const box = { x, y, width, height };
    surface.rect(box, { fill: theme.raised, stroke: theme.rule, radius: 3 });
    let line = y + PAD + LINE / 2 - 1;
    surface.text(x + PAD, line, title, { fill: theme.text, size: SIZE + 1, weight: "bold" });
    for (const row of card.rows) {
      line += LINE;
      const swatch = { x: x + PAD, y: line - SWATCH / 2, width: SWATCH, height: SWATCH };
      surface.rect(swatch, { fill: row.colour, radius: 1.5 });
      surface.text(x + PAD + SWATCH + 6, line, row.label, { fill: theme.muted, size: SIZE });
      const right = x + PAD + label + value;
      surface.text(right, line, row.value, { fill: theme.text, size: SIZE, anchor: "end" });
      surface.text(right + 8, line, row.note, { fill: theme.muted, size: SIZE });
    }
    if (footnote) {
      surface.text(x + PAD, line + LINE, footnote, { fill: theme.muted, size: SIZE });
    }
  });
}
