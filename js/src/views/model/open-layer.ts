// A grid of more heads than can be read: the selected layer in large cells, all layers in small ones below.

import { CAPTION, gapOf, HAIRLINE, type LayerCells, whole } from "./cells.js";

/** A small cell is at least this high, and a head in it this wide; below, a layer takes another line. */
const THIN = 4;
const NARROW = 3;
/** A small cell is no larger: the open layer is there to be read. */
const LARGEST_SMALL = 32;
/** From this side on, neighbours of small cells are told apart by a hairline. */
const PARTED = 8;
const LARGEST_OPEN = 84;
const LEAST_OPEN = 12;
/** How much of the height the open layer may take. */
const SHARE = 0.46;
/** And how much of what all layers leave over, where their cells can be no larger. */
const SHARE_OF_REST = 0.8;

export interface Room {
  readonly rows: number;
  /** Heads of the layer that has most. */
  readonly most: number;
  readonly width: number;
  readonly height: number;
}

/** The columns that make the open layer's cells large, its lines whole and as wide as there is room. */
export function openCells(
  { most, width }: Pick<Room, "most" | "width">,
  high: number,
  largest = LARGEST_OPEN,
): LayerCells {
  let best = { side: 0, columns: most, worth: 0 };
  for (let columns = 1; columns <= most; columns++) {
    const lines = Math.ceil(most / columns);
    const across = Math.floor(width / columns);
    const down = Math.floor(high / lines) - CAPTION;
    const pitch = Math.min(across, down, largest);
    const side = pitch - gapOf(pitch);
    const worth = (side * Math.min(1, (columns * pitch) / width) * most) / (lines * columns);
    if (worth > best.worth) best = { side, columns, worth };
  }
  const side = Math.max(LEAST_OPEN, best.side);
  const gap = gapOf(side);
  const columns = Math.max(1, Math.min(best.columns, Math.floor(width / (side + gap))));
  return {
    columns,
    lines: Math.ceil(most / columns),
    across: side + gap,
    down: side + gap + CAPTION,
    gap,
    caption: CAPTION,
  };
}

/** Cells of all layers in what height is left; as flat as they must be for the whole model to stay in sight. */
export function smallCells({ rows, most, width }: Room, high: number): LayerCells {
  const lines = Math.ceil(most / Math.max(1, Math.floor(width / NARROW)));
  const columns = Math.ceil(most / lines);
  const across = Math.min(whole(width / columns), LARGEST_SMALL);
  const down = Math.max(THIN, Math.min(across, whole(high / rows / lines)));
  const gap = Math.min(across, down) < PARTED ? 0 : HAIRLINE;
  return { columns, lines, across, down, gap, caption: 0 };
}

/**
 * Height that the open layer may have: what all layers need comes first, and what their cells, which are
 * no higher than wide, leave over is mostly the open layer's.
 */
export function openHeight({ rows, most, width, height }: Room): number {
  const lines = Math.ceil(most / Math.max(1, Math.floor(width / NARROW)));
  const across = Math.min(whole(width / Math.ceil(most / lines)), LARGEST_SMALL);
  const left = height - rows * lines * Math.max(THIN, across);
  return Math.max(SHARE_OF_REST * left, Math.min(SHARE * height, height - rows * lines * THIN));
}
