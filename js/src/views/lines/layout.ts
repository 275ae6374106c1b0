// Geometry of two token columns: labels, numbers, links, scrolling.

import { overflow, rowMiddle, side, type TokenAxis } from "../../marks/text/token-axis.js";
import { LABEL_PAD, type TokenColumn, widestLabel } from "../../marks/text/tokens.js";
import type { Position } from "../../protocol/generated.js";
import type { Rect } from "../../surface/surface.js";
import { sharedRoom } from "../../surface/text.js";

/** Width of one column of numbers beside the labels. */
export const NUMBER_WIDTH = 36;

export interface LinesLayout {
  /** The window over the rows. */
  readonly body: Rect;
  readonly queries: TokenColumn;
  readonly keys: TokenColumn;
  readonly links: Rect;
  /** How many numbers a row can hold at its outer side. */
  readonly numbers: { readonly query: number; readonly key: number };
}

export interface LinesRequest {
  /** Where everything goes; the rows' window is as high as this, or lower when they are few. */
  readonly rect: Rect;
  readonly queries: readonly Position[];
  readonly keys: readonly Position[];
  readonly rowHeight: number;
  /** Pixels scrolled, of `linesOverflow`. */
  readonly scroll: number;
  /** Columns of numbers wished for on either side. */
  readonly numbers: number;
  readonly labelSize: number;
  /** What the labels and numbers take where that is settled already. */
  readonly widths?: ReturnType<typeof columnWidths>;
}

/** Wider than this, a link is harder to follow, not easier. */
const MAX_LINKS = 560;
export const MAX_LABEL = 190;
/** Labels narrower than this are not worth their room. */
const MIN_LABEL = 14;

/** How far the rows can be scrolled: as far as the longer column needs. */
export function linesOverflow(rows: number, rowHeight: number, height: number): number {
  return overflow({ count: rows, rowHeight, height });
}

/** The longer column scrolls by pixels, the other one in proportion; one that fits stays put. */
function axisOf(count: number, longest: number, request: LinesRequest): TokenAxis {
  const { rect, rowHeight, scroll } = request;
  const height = Math.min(rect.height, longest * rowHeight);
  const range = linesOverflow(longest, rowHeight, height);
  const part = range > 0 ? Math.max(0, Math.min(1, scroll / range)) : 0;
  const offset = part * linesOverflow(count, rowHeight, height);
  return { count, rowHeight, top: rect.y, height, offset };
}

/** What links keep of the width, and where labels are too long for that; the latter in pixels, too. */
const LINKS = 0.4;
const LEAST_LINKS = 0.28;
const LEAST_LINKS_PIXELS = 90;

/** Numbers give way first, then links as far as they can be followed, then labels. */
export function columnWidths(
  request: Pick<LinesRequest, "rect" | "queries" | "keys" | "labelSize" | "numbers">,
) {
  const { rect, queries, keys, labelSize, numbers: wishes } = request;
  const label = (positions: readonly Position[]) =>
    Math.min(MAX_LABEL, Math.ceil(widestLabel(positions, labelSize)) + LABEL_PAD + 6);
  const labels = { query: label(queries), key: label(keys) };
  const free = (links: number) => rect.width * (1 - links);
  const room = (columns: { query: number; key: number }, links = LINKS) =>
    free(links) - (columns.query + columns.key) * NUMBER_WIDTH;
  const few = Math.min(1, wishes);
  const numbers = [
    { query: wishes, key: wishes },
    // Keys are what one reads numbers of.
    { query: few, key: wishes },
  ].find((columns) => room(columns) >= labels.query + labels.key) ?? { query: few, key: few };
  const least = Math.min(LINKS, Math.max(LEAST_LINKS, LEAST_LINKS_PIXELS / rect.width));
  const [query, key] = sharedRoom(labels.query, labels.key, room(numbers, least));
  const cut = (width: number) => (width < MIN_LABEL ? 0 : Math.floor(width));
  return { numbers, query: cut(query), key: cut(key) };
}

export function linesLayout(request: LinesRequest): LinesLayout {
  const { rect, queries, keys, labelSize } = request;
  const { numbers, query, key } = request.widths ?? columnWidths(request);
  const gutter = numbers.query * NUMBER_WIDTH;
  const outer = query + key + gutter + numbers.key * NUMBER_WIDTH;
  const width = Math.max(0, Math.min(MAX_LINKS, rect.width - outer));
  const left = rect.x + Math.floor((rect.width - outer - width) / 2) + gutter;
  const longest = Math.max(queries.length, keys.length);
  const queryAxis = axisOf(queries.length, longest, request);
  const links = { x: left + query, y: rect.y, width, height: queryAxis.height };
  return {
    body: { x: left - gutter, y: rect.y, width: outer + width, height: queryAxis.height },
    queries: {
      axis: queryAxis,
      positions: queries,
      x: left,
      width: query,
      align: "end",
      size: labelSize,
    },
    keys: {
      axis: axisOf(keys.length, longest, request),
      positions: keys,
      x: links.x + width,
      width: key,
      align: "start",
      size: labelSize,
    },
    links,
    numbers,
  };
}

/** How far beyond the window links to unseen positions run, so that they leave it slanted. */
const BEYOND = 8;

/**
 * Where a link ends at a column: at its token's row; at the edge for a pinned token that was
 * scrolled away and stays there; just outside the window for any other that is not in it.
 */
export function linkEnd({ axis }: TokenColumn, index: number, pinned: number | null): number {
  const where = side(axis, index);
  if (where === 0) return rowMiddle(axis, index);
  const inset = index === pinned ? axis.rowHeight / 2 : -BEYOND;
  return where < 0 ? axis.top + inset : axis.top + axis.height - inset;
}

/** The scroll that shows a position set elsewhere; null when it is in the window already. */
export function revealScroll(
  layout: LinesLayout,
  at: { query?: number; key?: number },
): number | null {
  const { queries, keys } = layout;
  for (const [column, index] of [[queries, at.query] as const, [keys, at.key] as const]) {
    if (index !== undefined && side(column.axis, index) !== 0) {
      return scrollTo(layout, column, index);
    }
  }
  return null;
}

/** The scroll that brings row `index` of a column to the middle of the window. */
export function scrollTo(layout: LinesLayout, column: TokenColumn, index: number): number {
  const { axis } = column;
  const own = overflow(axis);
  if (own === 0) return 0;
  const longest = Math.max(layout.queries.axis.count, layout.keys.axis.count);
  const range = linesOverflow(longest, axis.rowHeight, axis.height);
  const wanted = (index + 0.5) * axis.rowHeight - axis.height / 2;
  return Math.round((Math.max(0, Math.min(own, wanted)) / own) * range);
}
