import {
  type Cells,
  drawColumnLabels,
  drawMatrix,
  drawRowLabels,
  type Grid,
  matrixPixels,
  type Shader,
  scaledShade,
  sequentialShade,
  sinkAsideShade,
} from "../marks/matrix.js";
import { memo } from "../marks/memo.js";
import { thumbnailPixels } from "../marks/thumbnails.js";
import { quoted } from "../marks/tokens.js";
import type { Pixels, Surface } from "../surface/surface.js";
import { MATRIX_LABEL, type Multiples } from "./matrix-layout.js";
import { hoveredPositions, poolNote, type Series } from "./series.js";
import type { Scene } from "./view.js";

/** Heads larger than this are shown max-pooled; so are many heads that are larger together. */
const WHOLE = 1 << 20;
const WHOLE_TOGETHER = 1 << 23;
const POOLED_SIZE = 512;

export function isPooled({ queries, keys }: Scene, count: number): boolean {
  const size = queries.length * keys.length;
  return size > WHOLE || size * count > WHOLE_TOGETHER;
}

/** What is to be known about shades: pooled ones, and those that leave the sink aside. */
export function shadeNotes(scene: Scene, count: number, where: string): readonly string[] {
  const { state, options, keys } = scene;
  const words: string[] = [];
  const pool = poolNote(state);
  if (pool) words.push(`pinned: ${pool}`);
  if (state.form === "matrix" && isPooled(scene, count)) {
    words.push(`max-pooled to ${POOLED_SIZE} × ${POOLED_SIZE}; numbers ${where} are exact`);
  }
  if (options.setSinkAside && keys.length > 0) {
    words.push(`${quoted(keys, 0)} set aside: shading rescaled, numbers unchanged`);
  }
  return words;
}

/** How many rows are here: a picture is made again when more have come. */
export function loadedIn(grid: Grid): number {
  let count = 0;
  for (let row = 0; row < grid.rows; row++) if (grid.has?.(row) ?? grid.row(row)) count++;
  return count;
}

export function gridOf(scene: Scene, series: Series, pooled: boolean): Grid {
  if (!pooled) {
    const { rows } = series;
    return { rows: rows.numQueries, columns: rows.numKeys, row: (index) => rows.row(index) };
  }
  const matrix = scene.blocks.pooled(series.layer, series.head, POOLED_SIZE);
  return matrix ?? { rows: 0, columns: 0, row: () => null };
}

/** How a grid becomes colours; `name` stands for the grid and the shade in what is kept. */
export interface Colouring {
  readonly name: string;
  readonly shade: Shader;
  readonly table: Uint8Array;
  /** The table's entry for nothing. */
  readonly zero: number;
}

/** A grid's pixels, kept while its rows, its size on the screen and its colours stay the same. */
export function gridPixels(
  scene: Scene,
  grid: Grid,
  { rect }: Cells,
  scale: number,
  { name, shade, table, zero }: Colouring,
): Pixels {
  const maxWidth = Math.max(1, Math.floor(rect.width * scale));
  const maxHeight = Math.max(1, Math.floor(rect.height * scale));
  const size = [Math.min(grid.columns, maxWidth), Math.min(grid.rows, maxHeight), grid.rows];
  const key = JSON.stringify([
    ["heat", name, loadedIn(grid), size, scene.theme.id],
    scene.stage?.numQueries,
  ]);
  return memo(scene.stream, key, () =>
    matrixPixels(grid, shade, table, { maxWidth, maxHeight, zero }),
  );
}

/** How many pictures there are, and where their scale ends when it is not at 1. */
export interface HeatScale {
  readonly count: number;
  readonly scale: number | undefined;
}

/** One head's heat map; its thumbnail, blurred, stands in until the numbers are here. */
function heatPixels(scene: Scene, series: Series, cells: Cells, scale: number, of: HeatScale) {
  const { theme, options } = scene;
  const { count, scale: end } = of;
  const sinkAside = options.setSinkAside;
  const grid = gridOf(scene, series, isPooled(scene, count));
  // Of two records the same head of both stands side by side, told apart by its colour.
  const name = `${series.layer}.${series.head} ${series.colour} ${sinkAside}`;
  if (loadedIn(grid) === 0) {
    const thumbnail = () => {
      const { layer, head } = series;
      return thumbnailPixels(scene.thumbnails.get(layer, head), { theme, sinkAside });
    };
    const pixels = memo(scene.thumbnails, `thumbnail ${name} ${theme.id}`, thumbnail);
    return { pixels, exact: false };
  }
  const shade =
    end === undefined
      ? sinkAside
        ? sinkAsideShade
        : sequentialShade
      : scaledShade(end, sinkAside);
  const colouring = { name: `${name} ${end}`, shade, table: theme.sequential, zero: 0 };
  return { pixels: gridPixels(scene, grid, cells, scale, colouring), exact: true };
}

/** Crosshair and pins, the same in every picture of the same tokens. */
export function heatMarks(scene: Scene) {
  const hovered = hoveredPositions(scene);
  return {
    hovered: { row: hovered.query, column: hovered.key },
    pinned: { rows: scene.state.queries, columns: scene.state.keys },
  };
}

/** The labels that pictures side by side share: each at the first of its row or column. */
export function drawHeatLabels(
  surface: Surface,
  scene: Scene,
  cells: Cells,
  layout: Multiples,
  at: { readonly firstColumn: boolean; readonly firstRow: boolean },
): void {
  const { queries, keys, state, theme, stage, stream } = scene;
  const hovered = hoveredPositions(scene);
  const size = MATRIX_LABEL;
  if (at.firstColumn) {
    const axis = {
      positions: queries,
      hovered: hovered.query,
      pinned: state.queries,
      size,
      there: stage?.numQueries ?? null,
      prompt: stream.prompt?.queries ?? null,
    };
    const labels = { ...axis, room: layout.rowRoom, byLabel: layout.rowsNamed };
    drawRowLabels(surface, cells, labels, theme);
  }
  if (at.firstRow) {
    const axis = {
      positions: keys,
      hovered: hovered.key,
      pinned: state.keys,
      size,
      there: stage?.numKeys ?? null,
      prompt: stream.prompt?.keys ?? null,
    };
    const labels = { ...axis, room: layout.columnRoom, byLabel: layout.columnsNamed };
    drawColumnLabels(surface, cells, labels, theme);
  }
}

export function drawHeat(
  surface: Surface,
  scene: Scene,
  series: Series,
  cells: Cells,
  of: HeatScale,
): void {
  const { pixels, exact } = heatPixels(scene, series, cells, surface.scale, of);
  drawMatrix(surface, cells, pixels, { ...heatMarks(scene), smooth: !exact }, scene.theme);
}
