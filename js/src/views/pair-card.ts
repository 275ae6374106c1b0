import { drawCard } from "../marks/card.js";
import type { Rect, Surface } from "../surface/surface.js";
import { focusOf, pairNumbers, pairTitle, pointer, type Series } from "./series.js";
import type { Scene, View } from "./view.js";

/** Rows a card shows before it becomes a table. */
const MOST = 8;

/** The exact weights of the pair under the pointer, strongest head first where they are many. */
export function drawPairCard(
  surface: Surface,
  scene: Scene,
  view: View["name"],
  series: readonly Series[],
  bounds: Rect,
): void {
  const at = pointer(scene.hover, view);
  const { query, key } = focusOf(scene);
  if (!at || query === null || key === null) return;
  const known = series.flatMap(({ name, colour, rows }) => {
    const row = rows.row(query);
    return row
      ? [{ label: name, colour, weight: row[key] as number, ...pairNumbers(row, key) }]
      : [];
  });
  if (known.length > MOST) known.sort((a, b) => b.weight - a.weight);
  const left = known.length - MOST;
  const footnote = left > 0 ? `and ${left} weaker ${left === 1 ? "head" : "heads"}` : undefined;
  const card = {
    title: pairTitle(scene, query, key),
    rows: known.slice(0, MOST).map(({ label, colour, value, note }) => ({
      label,
      colour,
      value,
      note: note ? `(${note})` : "",
    })),
    footnote,
  };
  if (known.length > 0) drawCard(surface, card, at, bounds, scene.theme);
}
