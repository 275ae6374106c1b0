// Grids of too many layers: some layers opened, all others flat.

import {
  BREAK,
  breakOf,
  COMFORTABLE,
  gapOf,
  HAIRLINE,
  type LayerCells,
  LEGIBLE,
  whole,
} from "./cells.js";

/** A closed layer's cells are at least this high, and as a rule no higher. */
const THIN = 4;
const THIN_ENOUGH = 5;
/** A head's width in a closed layer; below, the layer takes another line. */
const NARROW = 3;
/** From this side on, neighbours of closed cells are told apart by a hairline. */
const PARTED = 8;
/** Sides of an opened layer's cells, the largest that leave room for the rest. */
const SIDES = [32, 28, 24, 20];
const LARGEST = 36;
/** How much of the grid one opened layer may take. */
const SHARE = 0.4;
const CAPTION = 10;
/** Between pictures at least. */
const PARTING = 3;

export interface Bent {
  readonly closed: LayerCells;
  readonly open: LayerCells;
  /** The layers that are opened: a page of `count`, from `first`. */
  readonly first: number;
  readonly count: number;
}

/** What is to be laid out, and in how much room. */
export interface Bending {
  readonly rows: number;
  /** Heads of the layer that has most. */
  readonly most: number;
  readonly width: number;
  readonly height: number;
  /** Whether the columns of the closed cells say which head is which. */
  readonly numbered: boolean;
}

/** Cells of an opened layer: under those of the closed ones where they are wide, else in lines of their own. */
function openCells(
  { most, width, height, rows, numbered }: Bending,
  closed: LayerCells,
): LayerCells {
  const cells = (side: number, lines: number, caption: number): LayerCells => ({
    columns: Math.ceil(most / lines),
    lines,
    across: side,
    down: side + caption,
    gap: Math.max(PARTING, gapOf(side)),
    caption,
  });
  if (closed.across >= COMFORTABLE) return cells(closed.across, 1, numbered ? 0 : CAPTION);
  const linesOf = (side: number) => Math.ceil(most / Math.max(1, Math.floor(width / side)));
  const rest = (rows - 1) * closed.lines * THIN;
  const high = Math.min(SHARE * height, height - rest);
  const fits = (side: number) => linesOf(side) * (side + CAPTION) + BREAK <= high;
  const lines = linesOf(SIDES.find(fits) ?? (SIDES.at(-1) as number));
  return cells(Math.min(LARGEST, Math.floor(width / Math.ceil(most / lines))), lines, CAPTION);
}

/**
 * A grid of which not all cells can be legible: a page of layers is, and all others are as flat as
 * they must be for the whole model to stay in sight. Pages, so that nothing moves while one goes from
 * head to head within one.
 */
export function bentCells(given: Bending, at: number): Bent {
  const { rows: count, most, width, height: room } = given;
  const lines = Math.ceil(most / Math.max(1, Math.floor(width / NARROW)));
  const columns = Math.ceil(most / lines);
  const across = Math.min(whole(width / columns), LARGEST);
  const flat = { columns, lines, across, down: THIN, gap: 0, caption: 0 };
  const open = openCells(given, flat);
  const opened = open.lines * open.down + BREAK;
  const closedHeight = (down: number) => lines * down + breakOf({ lines });
  const downOf = (height: number) => (height - breakOf({ lines })) / lines;
  const beside = downOf((room - opened) / (count - 1));
  const square = Math.min(across, LEGIBLE);
  const wanted = beside >= square ? square : Math.max(THIN, Math.min(THIN_ENOUGH, beside));
  const thin = closedHeight(wanted);
  const size = Math.max(1, Math.min(count, Math.floor((room - count * thin) / (opened - thin))));
  const first = Math.min(Math.floor(at / size) * size, count - size);
  const left = downOf((room - size * opened) / Math.max(1, count - size));
  const down = Math.max(THIN, whole(Math.min(across, left)));
  const gap = Math.min(across, down) < PARTED ? 0 : HAIRLINE;
  return { closed: { ...flat, down, gap }, open, first, count: size };
}
