// The strip beside the lines of a long input: all of it, where its weight, pins and hits are, and what of it is in sight.

import { shadesIn } from "../../data/aside.js";
import { onPaper, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { entry } from "../../styles/colours.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { foundAt } from "../shared/found.js";
import { meanRow, shadingColumn } from "../shared/series.js";
import { cutTicks } from "../what-if/struck.js";
import { linesOverflow } from "./layout.js";
import { type LinesInput, sizes } from "./links.js";

/** More tokens than ever fit into a frame: they are scrolled. */
const MANY = 40;
const WIDTH = 12;
/** With what is left free beside it. */
const ROOM = 22;
/** Rows of pixels that one token takes at least: a single one is not seen. */
const TALL = 2;
/** Pins that have a tick each. */
const MOST_PINS = 64;

/** What the strip takes of the width: settled by the number of tokens alone, so that nothing moves. */
export function stripRoom(scene: Scene): number {
  const rows = Math.max(scene.queries.length, scene.keys.length);
  return rows > MANY && !onPaper(scene) && !scene.drawing?.horizontal ? ROOM : 0;
}

interface Strip {
  readonly rect: Rect;
  /** Height of all rows of the longer column, how much of it is in sight, and how far that can be scrolled. */
  readonly whole: number;
  readonly seen: number;
  readonly range: number;
  readonly offset: number;
}

/** Null where all tokens are in sight. */
export function stripOf(scene: Scene, { layout }: LinesInput, width: number): Strip | null {
  if (stripRoom(scene) === 0) return null;
  const { queries, keys, body } = layout;
  const longer = queries.axis.count >= keys.axis.count ? queries.axis : keys.axis;
  const whole = longer.count * longer.rowHeight;
  const range = linesOverflow(longer.count, longer.rowHeight, body.height);
  if (range <= 0) return null;
  const rect = { x: width - WIDTH - 2, y: body.y, width: WIDTH, height: body.height };
  return { rect, whole, seen: body.height, range, offset: longer.offset };
}

/** One head's links with what is in focus, of each position of the other side; null until they are here. */
function linksOf(input: LinesInput, group: number): Float32Array | null {
  const { series, focus, aside, scale } = input;
  const rows = series[group]?.rows;
  if (!rows) return null;
  if (focus.about === "key") {
    const column = focus.key === null ? null : shadingColumn(rows, focus.key, aside, scale);
    return column && sizes(column, input);
  }
  const row = meanRow(rows, focus.queries);
  if (!row) return null;
  const shade = shadesIn(row, aside, scale);
  return sizes(
    row.map((_, key) => shade(key)),
    input,
  );
}

/** Of each position of the other side the strongest link with what is in focus, whatever the head. */
function shadesOf(input: LinesInput): Float32Array | null {
  if (input.focus.about === "all") return null;
  const [first, ...rest] = input.series.flatMap((_, group) => linksOf(input, group) ?? []);
  if (!first) return null;
  for (const other of rest) {
    for (let at = 0; at < first.length; at++) {
      first[at] = Math.max(first[at] as number, other[at] as number);
    }
  }
  return first;
}

/** The strongest link in each row of pixels. */
export function stripRows(shades: ArrayLike<number>, rows: number): Float32Array {
  const most = new Float32Array(rows);
  for (let index = 0; index < shades.length; index++) {
    const shade = shades[index] as number;
    if (!(shade > 0)) continue;
    const middle = ((index + 0.5) / shades.length) * rows;
    const at = Math.min(rows - TALL, Math.floor(middle - TALL / 2));
    for (let row = Math.max(0, at); row < at + TALL; row++) {
      if (shade > (most[row] as number)) most[row] = shade;
    }
  }
  return most;
}

function drawShades(surface: Surface, scene: Scene, input: LinesInput, at: Rect): void {
  const shades = shadesOf(input);
  const rows = Math.max(1, Math.floor(at.height));
  if (!shades) return;
  const table = scene.theme.sequential;
  const data = new Uint8ClampedArray(4 * rows);
  stripRows(shades, rows).forEach((shade, row) => {
    const part = Math.round(255 * Math.sqrt(Math.min(1, shade)));
    if (part === 0) return;
    data.set(table.subarray(3 * part, 3 * part + 3), 4 * row);
    data[4 * row + 3] = 255;
  });
  surface.image({ ...at, height: rows }, { width: 1, height: rows, data });
}

/** Queries have their ticks at the left, keys at the right, as their columns stand. */
function drawTicks(
  surface: Surface,
  scene: Scene,
  { series }: LinesInput,
  { x, y, width, height }: Rect,
): void {
  const { theme, state } = scene;
  const tick = (axis: "query" | "key", index: number, fill: string) => {
    const count = (axis === "query" ? scene.queries : scene.keys).length;
    const middle = y + ((index + 0.5) / count) * height;
    const left = axis === "query" ? x : x + width - 4;
    surface.rect({ x: left, y: middle - 1, width: 4, height: 2 }, { fill });
    return Math.round(middle);
  };
  for (const axis of ["query", "key"] as const) {
    const markOf = foundAt(scene, axis);
    const count = markOf ? (axis === "query" ? scene.queries : scene.keys).length : 0;
    // Thousands of hits are one tick for each row of pixels.
    let before = -1;
    for (let index = 0; index < count; index++) {
      const row = Math.round(y + ((index + 0.5) / count) * height);
      if (row === before || !markOf?.(index)) continue;
      before = tick(axis, index, theme.positive);
    }
  }
  for (const { axis, index } of cutTicks(scene, series)) tick(axis, index, theme.changed);
  for (const index of state.queries.slice(0, MOST_PINS)) tick("query", index, theme.accent);
  for (const index of state.keys.slice(0, MOST_PINS)) tick("key", index, theme.accent);
}

export function drawLinesStrip(
  surface: Surface,
  scene: Scene,
  input: LinesInput,
  width: number,
): void {
  const strip = stripOf(scene, input, width);
  if (!strip) return;
  const { theme } = scene;
  const { rect, whole, seen, offset } = strip;
  surface.group("overview", () => {
    surface.rect(rect, { fill: entry(theme.sequential, 0), stroke: theme.rule });
    drawShades(surface, scene, input, { ...rect, x: rect.x + 1, width: rect.width - 2 });
    drawTicks(surface, scene, input, rect);
    const height = Math.max(6, (seen / whole) * rect.height);
    const top = Math.min(rect.y + (offset / whole) * rect.height, rect.y + rect.height - height);
    const window = { ...rect, y: top, height };
    surface.rect(window, { stroke: theme.text, strokeWidth: 1.5, opacity: 0.7 });
  });
}

/** A click anywhere on the strip brings that part of the input into the window. */
export function hitLinesStrip(
  scene: Scene,
  input: LinesInput,
  width: number,
  x: number,
  y: number,
): Hit | null {
  const strip = stripOf(scene, input, width);
  if (!strip) return null;
  const { rect, whole, seen, range } = strip;
  if (!contains({ ...rect, x: rect.x - 3, width: rect.width + 5 }, x, y)) return null;
  const wanted = ((y - rect.y) / rect.height) * whole - seen / 2;
  return { scrollTo: Math.round(Math.max(0, Math.min(range, wanted))) };
}
