// Sizes and places of heat maps side by side.

import { LABEL_PITCH } from "../../marks/matrix/matrix-labels.js";
import { widestLabel } from "../../marks/text/tokens.js";
import type { Position } from "../../protocol/generated.js";
import type { Rect } from "../../surface/surface.js";

export const MATRIX_LABEL = 11;
const GAP = 16;
const MAX_CELL = 30;
/** Square cells, unless one side has this many times more positions than the other. */
const SQUARE_UP_TO = 2.5;
const STRETCHED_CELL = 16;
/** Height of a line of key indices. */
const INDEX_ROOM = 20;
/** Where one can zoom in: room for the buttons, and for the labels that there will be then. */
const ZOOM_ROOM = { least: { row: 54, column: 40 }, most: { row: 64, column: 54 } } as const;

export interface Multiples {
  readonly title: number;
  readonly columns: number;
  /** Width and height of one picture. */
  readonly width: number;
  readonly height: number;
  /** Room for query labels at the left, for key labels on top. */
  readonly rowRoom: number;
  readonly columnRoom: number;
  /** Cells are large enough for a label each; otherwise every so many get their index. */
  readonly rowsNamed: boolean;
  readonly columnsNamed: boolean;
  readonly left: number;
  /** Room for the names of groups, left of the queries' labels and above the keys'. */
  readonly margins?: Margins | undefined;
}

export interface Margins {
  readonly row: number;
  readonly column: number;
}

export interface MultiplesRequest {
  readonly count: number;
  /** Height of what stands above each picture. */
  readonly title: number;
  /** A picture smaller than this is scrolled to rather than shrunk further. */
  readonly minSide: number;
  readonly queries: readonly Position[];
  readonly keys: readonly Position[];
  readonly width: number;
  readonly height: number;
  /** For paper: there is nothing to zoom with. */
  readonly still: boolean;
  readonly margins?: Margins | undefined;
}

function room(positions: readonly Position[], limit: number): number {
  return Math.round(Math.max(26, Math.min(widestLabel(positions, MATRIX_LABEL) + 10, limit)));
}

/** One picture's size within what there is for it. */
function pictureSize({ queries, keys }: MultiplesRequest, width: number, height: number) {
  const [rows, columns] = [Math.max(1, queries.length), Math.max(1, keys.length)];
  let across = Math.min(MAX_CELL, width / columns);
  let down = Math.min(MAX_CELL, height / rows);
  const ratio = Math.max(rows / columns, columns / rows);
  if (ratio <= SQUARE_UP_TO) across = down = Math.min(across, down);
  else {
    across = Math.min(across, Math.max(down, STRETCHED_CELL));
    down = Math.min(down, Math.max(across, STRETCHED_CELL));
  }
  return { width: across * columns, height: down * rows };
}

interface Rooms {
  readonly rowRoom: number;
  readonly columnRoom: number;
}

/** How many columns of pictures make the pictures largest; when all get too small, they scroll. */
function arrange(request: MultiplesRequest, { rowRoom, columnRoom }: Rooms) {
  const { count, width, height, title, minSide } = request;
  const free = width - rowRoom - 4;
  const forColumns = (columns: number, bounded: boolean) => {
    const rows = Math.ceil(count / columns);
    const tall = (height - columnRoom - rows * title - (rows - 1) * GAP) / rows;
    const wide = (free - (columns - 1) * GAP) / columns;
    return { columns, ...pictureSize(request, wide, bounded ? tall : wide) };
  };
  let best = forColumns(1, true);
  for (let columns = 2; columns <= count; columns++) {
    const next = forColumns(columns, true);
    if (next.width * next.height > best.width * best.height + 1) best = next;
  }
  if (Math.max(best.width, best.height) < minSide && count > 1) {
    best = forColumns(Math.max(1, Math.floor((free + GAP) / (minSide + GAP))), false);
  }
  return best;
}

export function multiplesLayout({ margins, ...request }: MultiplesRequest): Multiples {
  const { row = 0, column = 0 } = margins ?? {};
  const { width, height } = request;
  const inner = labelledLayout({ ...request, width: width - row, height: height - column });
  return { ...inner, left: inner.left + row, margins };
}

function labelledLayout(request: MultiplesRequest): Multiples {
  const { queries, keys, width, height } = request;
  const least = request.still ? { row: 0, column: 0 } : ZOOM_ROOM.least;
  const labels = {
    rowRoom: Math.max(least.row, room(queries, Math.min(110, 0.24 * width))),
    columnRoom: Math.max(least.column, room(keys, Math.min(90, 0.22 * height))),
  };
  const named = arrange(request, labels);
  const rowsNamed = named.height / queries.length >= LABEL_PITCH;
  const columnsNamed = named.width / keys.length >= LABEL_PITCH;
  // Indices take less room than labels; only a marked position still shows its label.
  const most = request.still ? { row: 56, column: INDEX_ROOM } : ZOOM_ROOM.most;
  const rooms = {
    rowRoom: rowsNamed ? labels.rowRoom : Math.min(labels.rowRoom, most.row),
    columnRoom: columnsNamed ? labels.columnRoom : Math.min(labels.columnRoom, most.column),
  };
  const best = rowsNamed && columnsNamed ? named : arrange(request, rooms);
  const used = rooms.rowRoom + best.columns * best.width + (best.columns - 1) * GAP;
  const left = Math.max(0, Math.floor((width - used) / 2));
  return { title: request.title, ...best, ...rooms, rowsNamed, columnsNamed, left };
}

export function multiplesHeight(layout: Multiples, count: number): number {
  const rows = Math.ceil(count / layout.columns);
  return (
    (layout.margins?.column ?? 0) +
    layout.columnRoom +
    rows * (layout.title + layout.height) +
    (rows - 1) * GAP
  );
}

/** Where the nth picture goes; `edge` says whether it carries the shared labels. */
export function pictureAt(layout: Multiples, n: number, top: number) {
  const row = Math.floor(n / layout.columns);
  const column = n % layout.columns;
  const above = layout.columnRoom + (layout.margins?.column ?? 0);
  const rect: Rect = {
    x: layout.left + layout.rowRoom + column * (layout.width + GAP),
    y: top + above + layout.title + row * (layout.height + layout.title + GAP),
    width: layout.width,
    height: layout.height,
  };
  const titleTop = rect.y - layout.title - (row === 0 ? above : 0);
  return { rect, titleTop, firstColumn: column === 0, firstRow: row === 0 };
}
