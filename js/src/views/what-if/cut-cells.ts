// Cut links in a matrix: dashes around their cells, and around a head that is out.

import { blockRect, type MatrixCells } from "../../marks/matrix/cells.js";
import type { Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { cutsIn, type DrawnHead, isOut } from "./parts.js";

/** Cells that are smaller are marked at this size, or the mark would not be seen. */
const LEAST = 6;
/** A frame that is shorter has no room for dashes. */
const DASHED = 12;
/** More blocks than these have one frame around all of them. */
const MOST_BLOCKS = 400;

type Run = readonly [number, number];

/** Neighbours together: from the first to one past the last. */
function runsOf(places: readonly number[]): readonly Run[] {
  const runs: [number, number][] = [];
  for (const at of [...new Set(places)].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && last[1] === at) last[1] = at + 1;
    else runs.push([at, at + 1]);
  }
  return runs;
}

function blocksOf(rows: readonly Run[], columns: readonly Run[]): readonly (readonly [Run, Run])[] {
  if (rows.length * columns.length <= MOST_BLOCKS) {
    return rows.flatMap((row) => columns.map((column) => [row, column] as const));
  }
  const around = (runs: readonly Run[]): Run => [runs[0]?.[0] ?? 0, runs.at(-1)?.[1] ?? 0];
  return [[around(rows), around(columns)]];
}

/** The rectangle, at least `LEAST` a side. */
function seen({ x, y, width, height }: Rect): Rect {
  const [wide, high] = [Math.max(width, LEAST), Math.max(height, LEAST)];
  return { x: x - (wide - width) / 2, y: y - (high - height) / 2, width: wide, height: high };
}

/** Around the cells of what is cut in a head; all of a row or a column where the other end is everything. */
export function drawCutCells(
  surface: Surface,
  scene: Scene,
  cells: MatrixCells,
  drawn: readonly DrawnHead[],
): void {
  const { theme } = scene;
  const cuts = cutsIn(scene, drawn);
  const out = !scene.together && drawn.some(({ layer, head }) => isOut(scene, layer, head));
  if (cuts.length === 0 && !out) return;
  const dashed = { stroke: theme.changed, strokeWidth: 1.5, dash: [4, 3] };
  const solid = { stroke: theme.changed, strokeWidth: 1.5 };
  const ground = { stroke: theme.background, strokeWidth: 3, opacity: 0.8 };
  const draw = () => {
    for (const { queries, keys } of cuts) {
      const rows = queries ? runsOf(queries) : [[0, cells.rows] as const];
      const columns = keys ? runsOf(keys) : [[0, cells.columns] as const];
      for (const [down, across] of blocksOf(rows, columns)) {
        const rect = seen(blockRect(cells, down, across));
        // Dashes alone are lost on the shades under them.
        surface.rect(rect, ground);
        surface.rect(rect, Math.max(rect.width, rect.height) < DASHED ? solid : dashed);
      }
    }
    const { x, y, width, height } = cells.rect;
    const inner = { x: x + 1, y: y + 1, width: width - 2, height: height - 2 };
    if (out) surface.rect(inner, dashed);
  };
  const { x, y, width, height } = cells.rect;
  // Half of a cell at the edge lies beyond it, where it is enlarged.
  const clip = { x: x - 2, y: y - 2, width: width + 4, height: height + 4 };
  surface.group("cut", draw, { clip });
}
