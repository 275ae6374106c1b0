/** Cells along a side of a tile of a head's map; `TILE` in attnwidget/tiles.py. */
export const TILE = 256;

/** The level at which one tile holds the whole head: a cell is 2^level queries by as many keys. */
export function topLevel(numQueries: number, numKeys: number): number {
  return Math.max(0, Math.ceil(Math.log2(Math.max(numQueries, numKeys, 1) / TILE)));
}
