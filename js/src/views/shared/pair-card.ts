// The card of the pair under the pointer: each head's weight and its rank.

import { strongestFirst, strongestOf } from "../../data/strongest-first.js";
import { drawCard } from "../../marks/card.js";
import type { Scene } from "../../scene/scene.js";
import type { ViewName } from "../../state/interaction.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { sayNumber } from "./measure.js";
import {
  type Focus,
  focusOf,
  meanRow,
  pairNumbers,
  pairTitle,
  pointer,
  poolNote,
  type Series,
  sumOf,
} from "./series.js";

/** Rows a card shows before it becomes a table. */
const MOST = 8;

/** What the cells of a matrix show, where each stands for several pairs. */
export interface CellReading {
  readonly level: number;
  /** The largest weight of the cell that a pair is in; null while it is not here. */
  value(series: Series, query: number, key: number): number | null;
}

/** "largest of 8 × 8 here ≈ 0.63", and in place of a row that has not come yet, the cell's own number. */
function fromCells(
  scene: Scene,
  series: readonly Series[],
  { queries, keys }: Pick<Focus, "queries" | "keys">,
  cells: CellReading | undefined,
) {
  const [query, key] = [queries[0], keys[0]];
  const single = queries.length === 1 && keys.length === 1;
  if (!cells || !single || query === undefined || key === undefined) return null;
  const values = series.map((one) => cells.value(one, query, key));
  const side = 2 ** cells.level;
  const numbers = values.map((value) => value ?? Number.NaN);
  const most = numbers[strongestOf(numbers.keys(), numbers.map(Math.abs))] ?? Number.NaN;
  const says = cells.level > 0 && Number.isFinite(most);
  const of = series.length > 1 ? " of all heads" : "";
  return {
    exact: cells.level === 0 ? values : null,
    note: says ? `largest of ${side} × ${side} here${of} ≈ ${sayNumber(scene, most)}` : "",
  };
}

/** The exact weights of the pair under the pointer, strongest head first where they are many. */
export function drawPairCard(
  surface: Surface,
  scene: Scene,
  view: ViewName,
  series: readonly Series[],
  bounds: Rect,
  cells?: CellReading,
): void {
  const at = pointer(scene.hover, view);
  const focus = focusOf(scene);
  const { queries, keys } = focus;
  if (!at || queries.length === 0 || keys.length === 0) return;
  const shown = fromCells(scene, series, focus, cells);
  const known = series.flatMap(({ name, colour, rows }, n) => {
    const row = meanRow(rows, queries);
    if (row)
      return [{ label: name, colour, weight: sumOf(row, keys), ...pairNumbers(scene, row, keys) }];
    // What a cell shows is exact already; how it ranks in its row is not known yet.
    const weight = shown?.exact?.[n] ?? null;
    return weight === null
      ? []
      : [{ label: name, colour, weight, value: sayNumber(scene, weight), note: "" }];
  });
  if (known.length > MOST)
    known.sort((a, b) => strongestFirst(Math.abs(a.weight), Math.abs(b.weight)));
  const left = known.length - MOST;
  const weaker = left > 0 ? `and ${left} weaker ${left === 1 ? "head" : "heads"}` : "";
  const footnote = [weaker, poolNote(focus), shown?.note].filter(Boolean).join(" · ") || undefined;
  const card = {
    title: pairTitle(scene, queries, keys),
    rows: known.slice(0, MOST).map(({ label, colour, value, note }) => ({
      label,
      colour,
      value,
      note: note ? `(${note})` : "",
    })),
    footnote,
  };
  if (known.length > 0 || shown?.note) drawCard(surface, card, at, bounds, scene.theme);
}
