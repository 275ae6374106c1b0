// Neuron view, one link: a row for each direction of the head, with what it adds to q·k.

import { formatScore } from "../../marks/format.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import type { Stop } from "../view.js";
import { products } from "./data.js";
import { contribution, type Direction, directionsOf } from "./directions.js";
import { CELL } from "./layout.js";
import type { LinkScene } from "./link-scene.js";

const SIZE = 12;
const SMALL = 11;

interface Row {
  readonly direction: Direction;
  readonly rect: Rect;
  readonly value: number | null;
}

function rowsOf({ scene, data, layout }: LinkScene): readonly Row[] {
  const found = directionsOf(scene);
  return layout.directions.flatMap((rect, n): Row[] => {
    const direction = found[n];
    if (!direction) return [];
    return [{ direction, rect, value: contribution(data.queryVector, data.keyVector, direction) }];
  });
}

/** "“previous” 0" where there are several patterns, else "direction 0". */
function nameOf(rows: readonly Row[], { pattern, place }: Direction): string {
  const patterns = new Set(rows.map(({ direction }) => direction.pattern));
  return patterns.size > 1 ? `${pattern} ${place}` : `direction ${place}`;
}

/** What the rows are: of which pattern, and how much of the whole they are together. */
function titleText(link: LinkScene, rows: readonly Row[]): string {
  const patterns = [...new Set(rows.map(({ direction }) => direction.pattern))];
  const named = `directions of ${patterns.join(", ")}: (q·u)(k·u)`;
  const parts = products(link.data);
  const values = rows.flatMap(({ value }) => value ?? []);
  if (!parts || values.length < rows.length || patterns.length > 1) return named;
  const sum = (numbers: Iterable<number>) => [...numbers].reduce((all, one) => all + one, 0);
  return `${named}, together ${formatScore(sum(values))}, all of q·k ${formatScore(sum(parts))}`;
}

/** A bar from the middle to either side, the largest of the rows over half of the width. */
function drawRow(surface: Surface, link: LinkScene, row: Row, name: string, most: number): void {
  const { scene, layout } = link;
  const { theme } = scene;
  const { rect, value } = row;
  const { label, scale } = layout.columns;
  const y = rect.y + rect.height / 2;
  surface.text(label.x, y, name, { fill: theme.text, size: SIZE, maxWidth: label.width });
  const cell = { ...rect, y: y - CELL / 2, height: CELL };
  if (value === null) {
    surface.rect(cell, { fill: theme.wash });
    return;
  }
  const middle = rect.x + rect.width / 2;
  const width = most > 0 ? (Math.abs(value) / most) * (rect.width / 2) : 0;
  const x = value < 0 ? middle - width : middle;
  surface.rect({ ...cell, x, width }, { fill: value < 0 ? theme.negative : theme.positive });
  surface.line(middle, cell.y, middle, cell.y + CELL, { stroke: theme.rule });
  surface.text(scale.x + scale.width, y, formatScore(value), {
    fill: theme.text,
    size: SMALL,
    anchor: "end",
    maxWidth: scale.width,
  });
}

export function drawDirections(surface: Surface, link: LinkScene): void {
  const { scene, layout } = link;
  const title = layout.directionsTitle;
  const rows = rowsOf(link);
  if (!title || rows.length === 0) return;
  const most = Math.max(...rows.map(({ value }) => Math.abs(value ?? 0)));
  surface.group("directions", () => {
    const text = titleText(link, rows);
    // What is together of all is left out before it is cut.
    const said = textWidth(text, SMALL) <= title.width ? text : (text.split(", together")[0] ?? "");
    surface.text(title.x, title.y + title.height / 2, said, {
      fill: scene.theme.muted,
      size: SMALL,
      maxWidth: title.width,
    });
    for (const row of rows) drawRow(surface, link, row, nameOf(rows, row.direction), most);
  });
}

/** What is there is only looked at. */
export function directionStops(link: LinkScene): readonly Stop[] {
  const rows = rowsOf(link);
  return rows.map(({ direction, rect, value }) => {
    const said = value === null ? "" : `: ${formatScore(value)} of q·k`;
    return { rect, name: `direction ${direction.place} of ${direction.pattern}${said}` };
  });
}
