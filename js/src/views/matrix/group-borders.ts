// Groups in a matrix: hairlines between them, names at its edges, and a veil over what is left out.

import { drawMargin } from "../../marks/groups/margins.js";
import { blockRect, type MatrixCells } from "../../marks/matrix/cells.js";
import { type GroupRun, groupFilter, groupsOf } from "../../scene/groups.js";
import type { Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { groupBorders, marginRuns } from "../shared/groups.js";
import type { Multiples } from "./layout.js";

const VEIL = 0.78;

/** What of a block is in the matrix's frame; null where nothing is. */
function inSight({ rect }: MatrixCells, block: Rect): Rect | null {
  const x = Math.max(rect.x, block.x);
  const y = Math.max(rect.y, block.y);
  const width = Math.min(rect.x + rect.width, block.x + block.width) - x;
  const height = Math.min(rect.y + rect.height, block.y + block.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}

/** Over what `from_group` and `to_group` leave out. */
function drawVeil(surface: Surface, scene: Scene, cells: MatrixCells): void {
  const filter = groupFilter(scene);
  const groups = groupsOf(scene);
  if (!filter || !groups) return;
  const fill = scene.theme.background;
  const cover = (rows: readonly [number, number], columns: readonly [number, number]) => {
    const rect = inSight(cells, blockRect(cells, rows, columns));
    if (rect) surface.rect(rect, { fill, opacity: VEIL });
  };
  const out = groups.keys.runs.filter(({ start }) => !filter.key(start));
  const veil = ({ start, stop }: GroupRun) => {
    if (!filter.query(start)) cover([start, stop], [0, cells.columns]);
    else for (const run of out) cover([start, stop], [run.start, run.stop]);
  };
  for (const run of groups.queries.runs) veil(run);
}

/** Hairlines where another group begins, over the cells. */
export function drawGroupBorders(surface: Surface, scene: Scene, cells: MatrixCells): void {
  if (!groupsOf(scene)) return;
  const { rect } = cells;
  const [right, bottom] = [rect.x + rect.width, rect.y + rect.height];
  const style = { stroke: scene.theme.muted, opacity: 0.55 };
  surface.group("group borders", () => {
    drawVeil(surface, scene, cells);
    for (const row of groupBorders(scene, "queries")) {
      const { y } = blockRect(cells, [row, row], [0, 0]);
      if (y > rect.y && y < bottom) surface.line(rect.x, y, right, y, style);
    }
    for (const column of groupBorders(scene, "keys")) {
      const { x } = blockRect(cells, [0, 0], [column, column]);
      if (x > rect.x && x < right) surface.line(x, rect.y, x, bottom, style);
    }
  });
}

/** Rules and names beyond the labels of the tokens. */
export function drawGroupNames(
  surface: Surface,
  scene: Scene,
  cells: MatrixCells,
  { margins, rowRoom, columnRoom }: Multiples,
  at: { readonly firstColumn: boolean; readonly firstRow: boolean },
): void {
  if (!margins) return;
  const { rect } = cells;
  if (at.firstColumn && margins.row > 0) {
    const runs = marginRuns(scene, "queries", (row) => blockRect(cells, [row, row], [0, 0]).y);
    const window = [rect.y, rect.y + rect.height] as const;
    const margin = { side: "left", edge: rect.x - rowRoom, room: margins.row, window } as const;
    drawMargin(surface, runs, margin, scene.theme);
  }
  if (at.firstRow && margins.column > 0) {
    const runs = marginRuns(scene, "keys", (key) => blockRect(cells, [0, 0], [key, key]).x);
    const window = [rect.x, rect.x + rect.width] as const;
    const edge = rect.y - columnRoom;
    drawMargin(surface, runs, { side: "above", edge, room: margins.column, window }, scene.theme);
  }
}
