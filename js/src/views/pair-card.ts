import { drawCard } from "../marks/card.js";
import type { Rect, Surface } from "../surface/surface.js";
import {
  focusOf,
  meanRow,
  pairNumbers,
  pairTitle,
  pointer,
  poolNote,
  type Series,
  sumOf,
} from "./series.js";
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
  const focus = focusOf(scene);
  const { queries, keys } = focus;
  if (!at || queries.length === 0 || keys.length === 0) return;
  const known = series.flatMap(({ name, colour, rows }) => {
    const row = meanRow(rows, queries);
    return row
      ? [{ label: name, colour, weight: sumOf(row, keys), ...pairNumbers(row, keys) }]
      : [];
  });
  if (known.length > MOST) known.sort((a, b) => b.weight - a.weight);
  const left = known.length - MOST;
  const weaker = left > 0 ? `and ${left} weaker ${left === 1 ? "head" : "heads"}` : "";
  const footnote = [weaker, poolNote(focus)].filter(Boolean).join(" · ") || undefined;
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
  if (known.length > 0) drawCard(surface, card, at, bounds, scene.theme);
}
