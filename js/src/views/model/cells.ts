// `LayerCells`, how a layer's heads stand in the grid, and their sizes.

/** How the cells of a layer stand. Lengths are CSS pixels. */
export interface LayerCells {
  readonly columns: number;
  /** A layer with more heads than fit is broken into several lines of `columns` heads. */
  readonly lines: number;
  /** From one cell to the next. */
  readonly across: number;
  readonly down: number;
  /** Between two cells: one hairline for both or, in a roomy grid, one each and space between. */
  readonly gap: number;
  /** Of `down`, what is left below a cell for its words. */
  readonly caption: number;
}

/** Height of the words below a cell. */
export const CAPTION = 14;
/** A cell of this width has room for words below it. */
export const WORDED = 44;

export const HAIRLINE = 1;
/** Cells shrink to this for the grid to fit the frame's height; below, layers take turns to be large. */
export const LEGIBLE = 12;
export const COMFORTABLE = 16;
/** From this pitch on, cells stand apart, so that two outlines fit between neighbours. */
const ROOMY = 24;
const ROOMY_GAP = 4;
/** Around layers that stand apart. */
export const BREAK = 4;

export function gapOf(pitch: number): number {
  return pitch >= ROOMY ? ROOMY_GAP : HAIRLINE;
}

/** Between layers: nothing more than between heads, unless they take several lines. */
export function breakOf({ lines }: Pick<LayerCells, "lines">): number {
  return lines > 1 ? BREAK : 0;
}

/** Small cells may differ by a pixel; it is worth a tenth of the width. */
export function whole(pitch: number): number {
  return pitch < COMFORTABLE ? Math.floor(2 * pitch) / 2 : Math.floor(pitch);
}
