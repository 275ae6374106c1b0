// One head, or the difference of two, as a heat map with labels.

import { topLevel } from "../../data/tiles.js";
import { formatSigned, formatWeight } from "../../marks/format.js";
import { thumbnailPixels } from "../../marks/heads/thumbnails.js";
import {
  blockRect,
  cellHeight,
  cellWidth,
  type MatrixCells,
  wholeCells,
} from "../../marks/matrix/cells.js";
import {
  type CellNumbers,
  drawMatrix,
  hasNumbers,
  type MapImage,
} from "../../marks/matrix/matrix.js";
import { drawColumnLabels, drawRowLabels, LABEL_PITCH } from "../../marks/matrix/matrix-labels.js";
import { type Colouring, divergingShade, sequentialShade } from "../../marks/matrix/shading.js";
import { memo } from "../../marks/memo.js";
import { TILE_SIZE } from "../../protocol/constants.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { choose, figureImage, screenImages } from "../map/tile-images.js";
import { comeWhole, hasLongAxis, headSource, type TileSource } from "../map/tile-source.js";
import { isZoomed, rangeText, sightOf } from "../map/window.js";
import { asideNote, thumbnailShading } from "../shared/aside.js";
import { foundAt } from "../shared/found.js";
import { isSigned } from "../shared/measure.js";
import { hoveredPositions, poolNote, type Series } from "../shared/series.js";
import { drawCutCells } from "../what-if/cut-cells.js";
import type { DrawnHead } from "../what-if/parts.js";
import { type Axis, struckAt } from "../what-if/struck.js";
import { drawGroupBorders, drawGroupNames } from "./group-borders.js";
import { MATRIX_LABEL, type Multiples } from "./layout.js";

/** Whether there is a line about the map: it keeps its place, whatever part of the map is in sight. */
function hasMapNote(scene: Scene): boolean {
  return hasLongAxis(scene) || (scene.drawing !== undefined && isZoomed(scene));
}

/** What a cell is at the level on show, and in a figure, which part of the matrix is drawn. */
function mapNote(scene: Scene, level: number, differs: boolean): string {
  const cell = 2 ** level;
  const words: string[] = [];
  if (scene.drawing && isZoomed(scene)) {
    const { down, across } = sightOf(scene);
    words.push(
      `queries ${rangeText(down, scene.queries.length)}, keys ${rangeText(across, scene.keys.length)}`,
    );
  }
  const of = `each cell of ${cell} × ${cell}`;
  if (level === 0) words.push("each cell is one weight");
  else if (!differs) words.push(`${of} shows its largest weight; numbers are exact`);
  else words.push(`${of} shows the difference of the two largest weights; zoom in for single ones`);
  return words.join("; ");
}

/** What is to be known about shades: what a cell stands for, and that the sink is left aside. */
export function shadeNotes(scene: Scene, level = 0, differs = false): readonly string[] {
  const { state } = scene;
  const words: string[] = [];
  const pool = poolNote(state);
  if (pool) words.push(`pinned: ${pool}`);
  if (state.form === "matrix" && hasMapNote(scene)) words.push(mapNote(scene, level, differs));
  const aside = asideNote(scene);
  if (aside) words.push(aside);
  return words;
}

/** The level that these cells are shown at. */
export function levelOf({ queries, keys }: Scene, cells: MatrixCells, scale: number): number {
  return choose(cells, scale, topLevel(queries.length, keys.length)).level;
}

/** Crosshair and pins, the same in every picture of the same tokens. */
function heatMarks(scene: Scene) {
  const hovered = hoveredPositions(scene);
  return {
    hovered: { row: hovered.query, column: hovered.key },
    pinned: { rows: scene.state.queries, columns: scene.state.keys },
  };
}

/** Whose pictures share labels: the selected heads, or those that are compared. */
function drawnHeads({ state, layer }: Scene): readonly DrawnHead[] {
  const compared = state.compare.map(([l, head]) => ({ layer: l, head }));
  return [...state.heads.map((head) => ({ layer: layer.layer, head })), ...compared];
}

/** The labels that pictures side by side share: each at the first of its row or column. */
export function drawHeatLabels(
  surface: Surface,
  scene: Scene,
  cells: MatrixCells,
  layout: Multiples,
  at: { readonly firstColumn: boolean; readonly firstRow: boolean },
): void {
  const { queries, keys, state, theme, generationStep, stream } = scene;
  const hovered = hoveredPositions(scene);
  const size = MATRIX_LABEL;
  const near = isZoomed(scene);
  const struck = (axis: Axis) => struckAt(scene, drawnHeads(scene), axis);
  drawGroupNames(surface, scene, cells, layout, at);
  if (at.firstColumn) {
    const axis = {
      positions: queries,
      hovered: hovered.query,
      pinned: state.queries,
      size,
      there: generationStep?.numQueries ?? null,
      prompt: stream.prompt?.queries ?? null,
      found: foundAt(scene, "query"),
      struck: struck("query"),
      room: layout.rowRoom,
      byLabel: layout.rowsNamed || (near && cellHeight(cells) >= LABEL_PITCH),
    };
    drawRowLabels(surface, cells, axis, theme);
  }
  if (at.firstRow) {
    const axis = {
      positions: keys,
      hovered: hovered.key,
      pinned: state.keys,
      size,
      there: generationStep?.numKeys ?? null,
      prompt: stream.prompt?.keys ?? null,
      aside: scene.aside,
      found: foundAt(scene, "key"),
      struck: struck("key"),
      room: layout.columnRoom,
      byLabel: layout.columnsNamed || (near && cellWidth(cells) >= LABEL_PITCH),
    };
    drawColumnLabels(surface, cells, axis, theme);
  }
}

/** A head's thumbnail over all of the matrix, while no tile of it is here. */
function standIn(scene: Scene, cells: MatrixCells, { layer, head }: Series): readonly MapImage[] {
  const { theme, thumbnails } = scene;
  const { aside } = scene;
  // That of one head would be another picture than that of several.
  const thumbnail = scene.together ? null : thumbnails.get(layer, head);
  if (!thumbnail) return [];
  const make = () => thumbnailPixels(thumbnail, thumbnailShading(scene));
  const pixels = memo(thumbnails, `thumbnail ${layer}.${head} ${aside.id} ${theme.id}`, make);
  const whole = wholeCells(cells.rect, cells.rows, cells.columns);
  return [{ rect: blockRect(cells, whole.down, whole.across), pixels }];
}

/** Single weights, once they have room. */
function numbersOf(
  source: TileSource,
  cells: MatrixCells,
  colouring: Colouring,
  say: CellNumbers["say"],
): CellNumbers | null {
  if (!hasNumbers(cells)) return null;
  const at = (index: number) => [Math.floor(index / TILE_SIZE), index % TILE_SIZE] as const;
  return {
    ...colouring,
    say,
    value(row, column) {
      const [[down, y], [across, x]] = [at(row), at(column)];
      return source.values(0, [down, across], "now")?.row(y)[x] ?? null;
    },
  };
}

interface Drawn {
  readonly source: TileSource;
  readonly colouring: Colouring;
  readonly say: CellNumbers["say"];
  /** What is drawn under tiles that are not here. */
  readonly under: () => readonly MapImage[];
}

function drawMap(surface: Surface, scene: Scene, cells: MatrixCells, of: Drawn): void {
  const { source, colouring, say, under } = of;
  const choice = choose(cells, surface.scale, source.top);
  let images: readonly MapImage[];
  if (scene.drawing) {
    const image = figureImage(cells, source, choice, colouring);
    images = image ? [image] : under();
  } else {
    const found = screenImages(cells, source, choice, colouring);
    images = found.complete ? found.images : [...under(), ...found.images];
  }
  const numbers = numbersOf(source, cells, colouring, say);
  drawMatrix(surface, cells, images, heatMarks(scene), scene.theme, numbers);
  drawGroupBorders(surface, scene, cells);
}

/** One of `count` heads that are drawn together; `scale` is where their scale ends when it is not at 1. */
export function drawHeat(
  surface: Surface,
  scene: Scene,
  series: Series,
  cells: MatrixCells,
  { count, scale }: { readonly count: number; readonly scale: number | undefined },
): void {
  const { theme } = scene;
  const source = headSource(scene, series, count);
  const under = () => standIn(scene, cells, series);
  if (isSigned(scene)) {
    drawDifference(surface, scene, source, cells, scale ?? 1, under);
    return;
  }
  drawMap(surface, scene, cells, {
    source,
    colouring: {
      name: `${theme.id} ${scale}`,
      shade: sequentialShade(scale),
      table: theme.sequential,
    },
    say: formatWeight,
    under,
  });
  drawCutCells(surface, scene, cells, [series]);
}

/** Numbers of both signs, such as a difference, their scale ending at `max` either way. */
export function drawDifference(
  surface: Surface,
  scene: Scene,
  source: TileSource,
  cells: MatrixCells,
  max: number,
  under: Drawn["under"] = () => [],
): void {
  const { theme } = scene;
  drawMap(surface, scene, cells, {
    source,
    colouring: {
      name: `${theme.id} ±${max}`,
      shade: divergingShade(max),
      table: theme.diverging,
    },
    say: (value) => formatSigned(value, 2),
    under,
  });
}

/** What a cell under the pointer shows of so many pairs together, once it is here; null of single ones. */
export function cellValue(
  scene: Scene,
  series: Series,
  level: number,
  { query, key, count }: { readonly query: number; readonly key: number; readonly count: number },
): number | null {
  if (level === 0 && comeWhole(scene, count)) return null;
  const source = headSource(scene, series, count);
  const cell = 2 ** level;
  const at = (index: number) => {
    const place = Math.floor(index / cell);
    return [Math.floor(place / TILE_SIZE), place % TILE_SIZE] as const;
  };
  const [[down, y], [across, x]] = [at(query), at(key)];
  return source.values(level, [down, across], "here")?.row(y)[x] ?? null;
}
