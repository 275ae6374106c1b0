// Positions out of the packed columns in which they travel.

import type { Meta, PackedPositions, Position } from "./generated.js";

const CONTINUES = 1;
/** What a mark's digit says of a position's text: it is the label, a space and the label, or listed. */
const TEXT = { label: 2, space: 4, listed: 6 } as const;

/** The positions of an axis, as `unpack` in attnwidget/protocol/positions.py has them. */
export function unpack({ labels, marks, texts, runs }: PackedPositions): Position[] {
  let listed = 0;
  const found: Record<string, unknown>[] = labels.map((label, index) => {
    const mark = Number(marks[index]);
    const where = mark & ~CONTINUES;
    const position: Record<string, unknown> = { label };
    if (where === TEXT.label) position.text = label;
    else if (where === TEXT.space) position.text = ` ${label}`;
    else if (where === TEXT.listed) position.text = texts[listed++];
    if (mark & CONTINUES) position.continues = true;
    return position;
  });
  for (const [name, values] of Object.entries(runs)) {
    let place = 0;
    for (const [value, count] of values) {
      const end = place + count;
      for (; place < end; place++) {
        const position = found[place];
        if (value !== null && position) position[name] = value;
      }
    }
  }
  return found as unknown as Position[];
}

/** A record's description as the front end works with it: its positions travel packed. */
export function readMeta(meta: Meta): Meta {
  return { ...meta, positions: (meta.positions as unknown as PackedPositions[]).map(unpack) };
}
