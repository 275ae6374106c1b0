// `TokenAxis`: rows of equal height in a scrolled window, from index to height and back.

/**
 * Rows of equal height seen through a window: which of thousands exist on the screen, and where.
 * Everything that places or finds a token goes through here, so that a hit always inverts a drawing.
 */
export interface TokenAxis {
  readonly count: number;
  readonly rowHeight: number;
  /** The window, in surface coordinates. */
  readonly top: number;
  readonly height: number;
  /** Pixels of rows above the window. */
  readonly offset: number;
}

/** How far the rows can be scrolled. */
export function overflow(axis: Pick<TokenAxis, "count" | "rowHeight" | "height">): number {
  return Math.max(0, axis.count * axis.rowHeight - axis.height);
}

/** The vertical middle of a row, wherever it is. */
export function rowMiddle(axis: TokenAxis, index: number): number {
  return axis.top - axis.offset + (index + 0.5) * axis.rowHeight;
}

/** First and one past the last row of which anything is in the window. */
export function visibleRows(axis: TokenAxis): readonly [number, number] {
  const first = Math.floor(axis.offset / axis.rowHeight + 1e-6);
  const last = Math.ceil((axis.offset + axis.height) / axis.rowHeight - 1e-6);
  return [Math.max(0, Math.min(axis.count, first)), Math.max(0, Math.min(axis.count, last))];
}

/** Negative above the window, positive below, 0 when the row's middle is inside. */
export function side(axis: TokenAxis, index: number): -1 | 0 | 1 {
  const y = rowMiddle(axis, index) - axis.top;
  // A row that is half cut off still counts: its middle lies on the edge.
  if (y < -0.01) return -1;
  return y > axis.height + 0.01 ? 1 : 0;
}

export function rowAt(axis: TokenAxis, y: number): number | null {
  if (y < axis.top || y >= axis.top + axis.height) return null;
  const index = Math.floor((y - axis.top + axis.offset) / axis.rowHeight);
  return index >= 0 && index < axis.count ? index : null;
}

/** Steps of 1, 2 or 5 times a power of ten, at least `pitch` pixels apart. */
export function labelStep(size: number, pitch: number): number {
  const least = pitch / size;
  for (let power = 1; ; power *= 10) {
    for (const factor of [1, 2, 5]) if (factor * power >= least) return factor * power;
  }
}
