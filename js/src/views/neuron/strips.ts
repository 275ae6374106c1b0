// Neuron view, one link: vectors as strips, products as bars, the equation, value and output.

import { drawSignedBars } from "../../marks/bars.js";
import { formatScore, formatWeight, rounded } from "../../marks/format.js";
import { drawStrip, extent, largest } from "../../marks/matrix/vector-strip.js";
import { drawPieces, EQUATION_LINE, pieceLines } from "../../marks/text/equation.js";
import { quoted } from "../../marks/text/tokens.js";
import { onPaper } from "../../scene/scene.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { ingredients, products } from "./data.js";
import { CELL } from "./layout.js";
import { equationOf, type LinkScene } from "./link-scene.js";

const SIZE = 12;
const SMALL = 11;

/** One element of a vector: three decimals, since most are small. */
const element = (value: number) => formatScore(value, 3);

/** A strip of its line: as high as a cell, in the middle. */
export function cellOf(line: Rect): Rect {
  return { ...line, y: line.y + (line.height - CELL) / 2, height: CELL };
}

/** A name before a token's label, each by itself: a label in another script must not turn the name around. */
function drawName(
  surface: Surface,
  { scene, layout }: LinkScene,
  line: Rect,
  name: string,
  token: string | null,
): void {
  const { x, width } = layout.columns.label;
  const y = line.y + line.height / 2;
  const colour = token === null ? scene.theme.text : nameColour(scene);
  const style = { fill: colour, size: SIZE, weight: token === null ? "normal" : "bold" } as const;
  surface.text(x, y, name, { ...style, maxWidth: width });
  if (token === null) return;
  const at = textWidth(name, SIZE, "sans", "bold") + 4;
  if (width - at > 10) surface.text(x + at, y, token, { ...style, maxWidth: width - at });
}

function nameColour({ theme, state, layer }: LinkScene["scene"]): string {
  return theme.head(state.heads[0] ?? 0, layer.num_heads);
}

interface Strip {
  readonly line: Rect;
  readonly vector: ArrayLike<number> | null;
  /** Where the colours end. */
  readonly max: number | null;
}

function drawVector(surface: Surface, link: LinkScene, { line, vector, max }: Strip): void {
  const { scene, layout, dimension } = link;
  const { theme } = scene;
  const rect = cellOf(line);
  const y = line.y + line.height / 2;
  const { scale } = layout.columns;
  if (!vector || max === null) {
    surface.rect(rect, { fill: theme.wash });
    const pending = { fill: theme.muted, size: 10, maxWidth: rect.width - 8 };
    surface.text(rect.x + 6, y, "loading …", pending);
    return;
  }
  drawStrip(surface, rect, vector, null, { table: theme.diverging, max });
  const right = scale.x + scale.width;
  const style = { fill: theme.muted, size: SMALL, anchor: "end", maxWidth: scale.width } as const;
  surface.text(right, y, `±${rounded(max, 2)}`, style);
  if (dimension === null || line === layout.value || line === layout.output) return;
  const each = rect.width / vector.length;
  const mark = Math.max(each, 2);
  const x = rect.x + (dimension + 0.5) * each - mark / 2;
  const frame = { x: x - 0.5, y: rect.y - 1, width: mark + 1, height: rect.height + 2 };
  surface.rect(frame, { stroke: theme.text });
}

/**
 * Where a scale ends: the largest in the head, whatever is looked at, so that equal colours are equal
 * numbers. A copy without that number says at least how large this vector gets.
 */
function scaleOf(
  link: LinkScene,
  name: "query" | "key" | "product" | "value",
  own: ArrayLike<number> | null,
) {
  const { scene, data } = link;
  if (data.extents) return data.extents[name];
  const missing = scene.blocks.error("extents", data.layer.layer, data.head) !== null;
  return missing && own ? largest(own) : null;
}

export function drawLinkVectors(surface: Surface, link: LinkScene): void {
  const { scene, data, layout } = link;
  const { query, key, product } = layout;
  if (!query || !key || !product) return;
  const focus = data.focus < 0 ? "" : quoted(scene.keys, data.focus);
  surface.group("vectors", () => {
    drawName(surface, link, query, "q", quoted(scene.queries, data.query));
    drawName(surface, link, key, "k", focus);
    drawName(surface, link, product, "q × k", null);
    const both = products(data);
    const strip = (line: Rect, vector: ArrayLike<number> | null, max: number | null) =>
      drawVector(surface, link, { line, vector, max });
    strip(query, data.queryVector, scaleOf(link, "query", data.queryVector));
    strip(key, data.keyVector, scaleOf(link, "key", data.keyVector));
    strip(product, both, scaleOf(link, "product", both));
  });
}

/** "by size ▾": how the bars are ordered, and that a click changes it. */
function orderText({ scene }: LinkScene): string {
  const order = scene.options.dimensionOrder === "index" ? "in order" : "by size";
  return onPaper(scene) ? order : `${order} ▾`;
}

export function orderRect(link: LinkScene): Rect | null {
  const { bars, columns } = link.layout;
  if (!bars) return null;
  const width = Math.min(columns.label.width, textWidth(orderText(link), SMALL) + 8);
  return { x: columns.label.x, y: bars.y + bars.height / 2 - 9, width, height: 18 };
}

/** What each dimension adds to the sum, in the order of the bars. */
function barValues(link: LinkScene): Float64Array | null {
  const { order } = link;
  const parts = products(link.data);
  return parts && order ? Float64Array.from(order, (d) => parts[d] as number) : parts;
}

export function drawBars(surface: Surface, link: LinkScene): void {
  const { scene, layout, order, dimension, dims } = link;
  const { theme } = scene;
  const { bars } = layout;
  const rect = orderRect(link);
  if (!bars || !rect) return;
  surface.group("products", () => {
    const fill = onPaper(scene) ? theme.muted : theme.accent;
    const y = rect.y + rect.height / 2;
    surface.text(rect.x, y, orderText(link), {
      fill,
      size: SMALL,
      maxWidth: layout.columns.label.width,
    });
    const values = barValues(link);
    const at = { ...bars, y: bars.y + 3, height: bars.height - 6 };
    if (!values) {
      surface.rect(at, { fill: theme.wash });
      return;
    }
    if (dimension !== null) {
      const each = at.width / dims;
      const place = order ? order.indexOf(dimension) : dimension;
      const column = { ...at, x: at.x + place * each, width: Math.max(1, each) };
      surface.rect(column, { fill: theme.rule });
    }
    const colours = { negative: theme.negative, positive: theme.positive, rule: theme.rule };
    drawSignedBars(surface, at, values, extent(values), colours);
  });
}

/** `dimension 17: q 0.531 × k −1.204 = −0.639`. */
function dimensionText({ data, dimension }: LinkScene): string | null {
  const q = dimension === null ? undefined : data.queryVector?.[dimension];
  const k = dimension === null ? undefined : data.keyVector?.[dimension];
  if (q === undefined || k === undefined) return null;
  return `dimension ${dimension}: q ${element(q)} × k ${element(k)} = ${element(q * k)}`;
}

export function drawEquation(surface: Surface, link: LinkScene): void {
  const { scene, data, layout } = link;
  const { theme } = scene;
  const { equation } = layout;
  if (!equation || data.focus < 0) return;
  const [score, weight] = equationOf(scene, ingredients(scene, data));
  const plain = { text: theme.text, muted: theme.muted, result: theme.text };
  const readout = dimensionText(link);
  surface.group("equation", () => {
    const lines = readout ? 1 : pieceLines(score, equation.width);
    if (readout) {
      const y = equation.y + EQUATION_LINE / 2;
      surface.text(equation.x, y, readout, {
        fill: theme.text,
        size: SIZE,
        maxWidth: equation.width,
      });
    } else drawPieces(surface, equation, score, plain);
    const below = { ...equation, y: equation.y + lines * EQUATION_LINE };
    drawPieces(surface, below, weight, { ...plain, result: nameColour(scene) });
  });
}

/** The number under the pointer in value or output, which have dimensions of their own. */
function resultText({ scene, layout, data, scroll }: LinkScene): string | null {
  const { x, y, source } = scene.hover ?? {};
  if (source !== "neuron" || x === undefined || y === undefined) return null;
  for (const [line, vector, name] of [
    [layout.value, data.valueVector, "v"],
    [layout.output, data.output, "output"],
  ] as const) {
    if (!line || !vector || !contains(line, x, y + scroll)) continue;
    const d = Math.min(vector.length - 1, Math.floor(((x - line.x) / line.width) * vector.length));
    const number = vector[d] ?? 0;
    if (name === "output") return `dimension ${d}: output ${element(number)}`;
    const weight = data.weights?.[data.focus];
    if (weight === undefined) return null;
    return `dimension ${d}: ${formatWeight(weight)} × v ${element(number)} = ${element(weight * number)}`;
  }
  return null;
}

export function drawResult(surface: Surface, link: LinkScene): void {
  const { scene, data, layout } = link;
  const { theme } = scene;
  const { caption, value, output } = layout;
  if (!caption || !value || !output) return;
  const weight = data.weights?.[data.focus];
  const weighted =
    data.valueVector && weight !== undefined ? data.valueVector.map((v) => weight * v) : null;
  surface.group("output", () => {
    const readout = resultText(link);
    const text = readout ?? "weight × value, added up over all keys, is the output";
    const fill = readout ? theme.text : theme.muted;
    const y = caption.y + caption.height / 2;
    surface.text(caption.x, y, text, { fill, size: SMALL, maxWidth: caption.width });
    const name = weight === undefined ? "× v" : `${formatWeight(weight)} × v`;
    drawName(surface, link, value, name, "");
    drawName(surface, link, output, "output", null);
    // No output is larger than the largest value, since weights add up to 1: one scale for both.
    const max = scaleOf(link, "value", data.output);
    drawVector(surface, link, { line: value, vector: weighted, max });
    drawVector(surface, link, { line: output, vector: data.output, max });
  });
}
