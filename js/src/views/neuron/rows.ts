// Neuron view: headings, query strip, and a row for each key.

import { drawBar, drawSignedBar } from "../../marks/bars.js";
import { formatScore, formatWeight } from "../../marks/format.js";
import { drawRamp } from "../../marks/legends/colour-ramp.js";
import { drawStrip, largest, stripPixels } from "../../marks/matrix/vector-strip.js";
import { indexOf, labelFill } from "../../marks/text/tokens.js";
import { onPaper } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { products } from "./data.js";
import { CELL, type ColumnSpan, HEADING, NUMBER, PAD, ROW, STRIP, TITLE } from "./layout.js";
import { firstRow, type Neuron, rowTop } from "./scene.js";

const SIZE = 11;
const SMALL = 10;

/** The query vector above the column that it multiplies, and what the colours mean. */
export function drawQueryStrip(surface: Surface, neuron: Neuron): void {
  const { scene, data, layout, order, stripSpans } = neuron;
  const { theme } = scene;
  const { label, score, weight } = layout.columns;
  const y = TITLE + STRIP / 2;
  const span = stripSpans[0];
  if (!span || !score) return;
  const max = data.queryVector ? largest(data.queryVector) : 0;
  const name = data.queryVector ? `query ±${formatScore(max)}` : "query";
  surface.text(label.x, y, name, { fill: theme.muted, size: SMALL, maxWidth: label.width + 8 });
  const rect = { x: span.x, y: y - CELL / 2, width: span.width, height: CELL };
  if (data.queryVector) {
    drawStrip(surface, rect, data.queryVector, order, { table: theme.diverging, max });
  } else drawPending(surface, rect, neuron);
  const ramp = {
    x: score.x + 30,
    y: y - 4,
    width: weight.x + weight.width - score.x - 60,
    height: 8,
  };
  drawRamp(surface, ramp, theme.diverging, theme.rule);
  const text = { fill: theme.muted, size: SMALL } as const;
  surface.text(ramp.x - 5, y, "−max", { ...text, anchor: "end" });
  surface.text(ramp.x + ramp.width + 5, y, "max", text);
}

function drawPending(surface: Surface, rect: Rect, { scene }: Neuron): void {
  const { theme } = scene;
  surface.rect(rect, { fill: theme.wash });
  surface.text(rect.x + 6, rect.y + rect.height / 2, "loading …", {
    fill: theme.muted,
    size: SMALL,
    maxWidth: rect.width - 8,
  });
}

/** A small triangle: the order in use, or (two of them) an order to be had by a click. */
function sortMark(surface: Surface, x: number, y: number, active: boolean, fill: string): void {
  if (active) {
    surface.path([["M", x, y - 2], ["L", x + 6, y - 2], ["L", x + 3, y + 2], ["Z"]], { fill });
    return;
  }
  surface.path([["M", x, y - 1], ["L", x + 6, y - 1], ["L", x + 3, y - 4.5], ["Z"]], { fill });
  surface.path([["M", x, y + 1], ["L", x + 6, y + 1], ["L", x + 3, y + 4.5], ["Z"]], { fill });
}

/** A heading that sorts: what it sorts by now, or what a click would sort by. */
export function drawSortHeading(
  surface: Surface,
  at: { x: number; y: number },
  text: string,
  active: boolean,
  { scene }: Neuron,
): void {
  const { theme } = scene;
  const paper = onPaper(scene);
  const fill = active ? theme.text : paper ? theme.muted : theme.accent;
  surface.text(at.x, at.y, text, { fill, size: SIZE });
  if (paper) return;
  sortMark(surface, at.x + textWidth(text, SIZE) + 4, at.y, active, fill);
}

export function drawHeadings(surface: Surface, neuron: Neuron): void {
  const { scene, data, layout, keyScale, productScale } = neuron;
  const { theme, options } = scene;
  const { label, key, product, score, weight } = layout.columns;
  const y = layout.headerHeight - HEADING / 2 - 1;
  const byWeight = options.keyOrder === "weight";
  const plain = { fill: theme.muted, size: SIZE } as const;
  drawSortHeading(surface, { x: label.x, y }, "key", !byWeight, neuron);
  drawSortHeading(surface, { x: weight.x, y }, "weight", byWeight, neuron);
  if (score) surface.text(score.x, y, "score", plain);
  const known = data.keyVectors !== null;
  const limit = (max: number) => (known ? ` ±${formatScore(max)}` : "");
  if (key)
    surface.text(key.x, y, `key vector${limit(keyScale)}`, { ...plain, maxWidth: key.width });
  if (product) {
    const name = key ? "query × key" : "q × k";
    const maxWidth = product.width;
    surface.text(product.x, y, `${name}${limit(productScale)}`, { ...plain, maxWidth });
  }
  const bottom = layout.headerHeight - 0.5;
  surface.line(PAD, bottom, neuron.frame.width - PAD, bottom, { stroke: theme.rule });
}

/** Strips of the rows from `first` on: one picture per column, however many rows. */
function drawStrips(surface: Surface, neuron: Neuron, first: number, last: number): void {
  const { data, layout, order, scene, keyScale, productScale } = neuron;
  const { keyVectors, queryVector, listed } = data;
  const { key, product } = layout.columns;
  if (!keyVectors || !queryVector || last <= first) return;
  const shown = listed.slice(first, last).map((index) => keyVectors.row(index));
  const table = scene.theme.diverging;
  const y = first * ROW + (ROW - CELL) / 2;
  const draw = (span: ColumnSpan, vectors: readonly Float32Array[], max: number) => {
    const columns = Math.max(1, span.width * surface.scale);
    // Half resolution downwards: a strip is flat, only its edges matter.
    const rows = { pitch: ROW / 2, height: CELL / 2, columns };
    const pixels = stripPixels(vectors, order, { table, max }, rows);
    const height = (vectors.length - 1) * ROW + CELL;
    surface.image({ x: span.x, y, width: span.width, height }, pixels, false);
  };
  if (key) draw(key, shown, keyScale);
  if (product)
    draw(
      product,
      shown.map((vector) => products(queryVector, vector)),
      productScale,
    );
}

function drawLabel(surface: Surface, neuron: Neuron, key: number, y: number): void {
  const { scene, layout, data } = neuron;
  const { theme, keys, state } = scene;
  const { x, width } = layout.columns.label;
  const index = indexOf(keys, key);
  const digits = textWidth(indexOf(keys, Math.max(1, keys.length - 1)), SMALL);
  surface.text(x + digits, y, index, { fill: theme.muted, size: SMALL, anchor: "end" });
  const strong = key === state.key || key === data.focus;
  surface.text(x + digits + 6, y, keys[key]?.label ?? "", {
    fill: labelFill(keys[key], theme),
    size: SIZE,
    weight: strong ? "bold" : "normal",
    maxWidth: width - digits - 6,
  });
}

function drawNumbers(surface: Surface, neuron: Neuron, key: number, y: number): void {
  const { scene, data, layout, scoreRange, largestWeight } = neuron;
  const { theme, layer } = scene;
  const { score, weight } = layout.columns;
  const number = { fill: theme.text, size: SIZE, anchor: "end" } as const;
  const bar = (span: ColumnSpan) => ({
    x: span.x,
    y: y - 4,
    width: Math.max(0, span.width - NUMBER),
    height: 8,
  });
  if (score) {
    const value = data.scores?.[key];
    const text = value === undefined ? "…" : formatScore(value);
    if (value !== undefined && bar(score).width > 0) {
      const colours = { negative: theme.negative, positive: theme.positive, rule: theme.rule };
      drawSignedBar(surface, bar(score), value, scoreRange, colours);
    }
    surface.text(score.x + score.width, y, text, number);
  }
  const value = data.weights?.[key];
  if (value !== undefined) {
    const fill = theme.head(data.head, layer.num_heads);
    drawBar(surface, bar(weight), value, largestWeight, fill);
  }
  const text = value === undefined ? "…" : formatWeight(value);
  surface.text(weight.x + weight.width, y, text, number);
}

function drawRow(surface: Surface, neuron: Neuron, key: number, top: number): void {
  const { scene, frame } = neuron;
  const { theme, state, hover } = scene;
  const row = { x: 0, y: top, width: frame.width, height: ROW };
  if (hover?.key === key || state.key === key) surface.rect(row, { fill: theme.wash });
  if (state.key === key) surface.rect({ ...row, width: 3 }, { fill: theme.accent });
  drawLabel(surface, neuron, key, top + ROW / 2);
  drawNumbers(surface, neuron, key, top + ROW / 2);
}

/** The rows that are in sight, and the pinned key's at the edge when it is not. */
export function drawRows(surface: Surface, neuron: Neuron): void {
  const { scene, data, layout, scroll, frame } = neuron;
  const { theme } = scene;
  const top = layout.headerHeight;
  const height = layout.rowsBottom - top;
  const first = firstRow(neuron);
  const last = Math.min(data.listed.length, first + Math.ceil(height / ROW) + 1);
  const clip = { x: 0, y: top, width: frame.width, height };
  surface.group(
    "keys",
    () => {
      for (let row = first; row < last; row++) {
        drawRow(surface, neuron, data.listed[row] as number, row * ROW);
      }
      drawStrips(surface, neuron, first, last);
      if (data.left) {
        surface.text(PAD, (data.listed.length + 0.5) * ROW, data.left, {
          fill: theme.muted,
          size: SIZE,
          italic: true,
          maxWidth: frame.width - 2 * PAD,
        });
      }
    },
    { clip, y: top - scroll },
  );
  const sticky = neuron.sticky;
  if (sticky === null) return;
  const y = rowTop(neuron, sticky);
  surface.group("pinned key", () => {
    surface.rect({ x: 0, y, width: frame.width, height: ROW }, { fill: theme.background });
    drawRow(surface, neuron, data.listed[sticky] as number, y);
    surface.group("strips", () => drawStrips(surface, neuron, sticky, sticky + 1), {
      y: y - sticky * ROW,
    });
  });
}

/** The hovered dimension's column, through the query's strip and all the rows. */
export function drawDimensionMark(surface: Surface, neuron: Neuron): void {
  const { layout, place, dims, stripSpans, scene, frame, data, scroll } = neuron;
  if (place === null) return;
  const end = layout.headerHeight + data.listed.length * ROW - scroll;
  const bottom = Math.min(layout.rowsBottom, end, frame.height);
  const mark = (span: ColumnSpan, top: number, height: number) => {
    const each = span.width / dims;
    const width = Math.max(each, 2);
    const x = span.x + (place + 0.5) * each - width / 2;
    surface.rect({ x: x - 0.5, y: top, width: width + 1, height }, { stroke: scene.theme.text });
  };
  const strip = stripSpans[0];
  if (strip) mark(strip, TITLE + (STRIP - CELL) / 2 - 1, CELL + 2);
  for (const span of stripSpans) {
    if (bottom > layout.headerHeight) mark(span, layout.headerHeight, bottom - layout.headerHeight);
  }
}
