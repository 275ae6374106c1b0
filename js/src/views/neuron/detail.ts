// Neuron view: equation, contributions of dimensions, output of the key in focus.

import type { Matrix } from "../../data/blocks.js";
import { drawSignedBars } from "../../marks/bars.js";
import { formatScore, formatWeight } from "../../marks/format.js";
import { drawStrip, extent, largest } from "../../marks/matrix/vector-strip.js";
import { drawEquation } from "../../marks/text/equation.js";
import { drawParagraph } from "../../marks/text/paragraph.js";
import { indexOf, quoted } from "../../marks/text/tokens.js";
import { onPaper } from "../../scene/scene.js";
import type { Options } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { focusTerms, sortingKey } from "./data.js";
import { type Detail, PAD } from "./layout.js";
import { drawSortHeading } from "./rows.js";
import type { Neuron } from "./scene.js";

const SIZE = 11;
const SMALL = 10;

function sortText(head: Rect, order: Options["dimensionOrder"]): string {
  return `${head.width < 440 ? "dims" : "dimensions"} by ${order}`;
}

/** The part of the contributions' heading that a click sorts by; as wide as either text. */
export function sortDimensionsRect(head: Rect): Rect {
  return { ...head, width: textWidth(sortText(head, "contribution"), SIZE) + 14 };
}

function focusLabel({ scene, data }: Neuron): string {
  return quoted(scene.keys, data.focus);
}

function drawEquationPart(surface: Surface, neuron: Neuron, rect: Rect): void {
  const { scene, data } = neuron;
  const { theme, layer } = scene;
  const y = rect.y + 8;
  const title = `key ${indexOf(scene.keys, data.focus)} ${focusLabel(neuron)}`;
  const room = { maxWidth: rect.width };
  surface.text(rect.x, y, title, { fill: theme.text, size: SIZE + 1, weight: "bold", ...room });
  const x = rect.x + textWidth(title, SIZE + 1, "sans", "bold") + 8;
  const why = {
    hovered: "under the pointer",
    pinned: "pinned",
    strongest: onPaper(scene) ? "the strongest" : "the strongest; point at another, or pin it",
  }[data.focusSource];
  const maxWidth = rect.x + rect.width - x;
  if (maxWidth > 40) surface.text(x, y, why, { fill: theme.muted, size: SIZE, maxWidth });
  const at = { x: rect.x, y: rect.y + 18, width: rect.width };
  const result = theme.head(data.head, layer.num_heads);
  const colours = { text: theme.text, muted: theme.muted, result };
  drawEquation(surface, at, focusTerms(scene, data), colours);
}

/** What each dimension adds to the score, in double precision, at its place. */
export function contributions(neuron: Neuron): Float64Array | null {
  const { data, order, scene } = neuron;
  const { queryVector, keyVectors, focus } = data;
  if (!queryVector || !keyVectors || focus < 0) return null;
  const key = keyVectors.row(focus);
  const scaling = scene.layer.scaling ?? 1;
  return Float64Array.from(queryVector, (_, place) => {
    const d = order ? (order[place] as number) : place;
    return (queryVector[d] as number) * (key[d] as number) * scaling;
  });
}

/** One element of a vector: three decimals, since most are small. */
const element = (value: number) => formatScore(value, 3);

/** `dim 17: q 0.531 × k −1.204 = −0.639` for the hovered dimension and the focus key. */
function dimensionText({ scene, data, dims }: Neuron): string | null {
  const d = scene.hover?.dimension;
  const q = d === undefined ? undefined : data.queryVector?.[d];
  const k = d === undefined || data.focus < 0 ? undefined : data.keyVectors?.row(data.focus)[d];
  if (d === undefined || d >= dims || q === undefined || k === undefined) return null;
  return `dim ${d}: q ${element(q)} × k ${element(k)} = ${element(q * k)}`;
}

/** What the bars are; while another key's contributions decide on their order, whose. */
function contributionsText({ scene, data, order }: Neuron, range: readonly [number, number]) {
  const sorting = sortingKey(scene, data);
  if (order && sorting !== data.focus) return `in the order of ${quoted(scene.keys, sorting)}`;
  const what = scene.layer.scaling === null ? "q × k" : "q × k × scaling";
  return `${what}, ${formatScore(range[0])} to ${formatScore(range[1])}`;
}

function drawContributions(
  surface: Surface,
  neuron: Neuron,
  { head, bars }: NonNullable<Detail["contributions"]>,
): void {
  const { scene, place, dims } = neuron;
  const { theme } = scene;
  const y = head.y + head.height / 2;
  drawSortHeading(
    surface,
    { x: head.x, y },
    sortText(head, scene.options.dimensionOrder),
    false,
    neuron,
  );
  const values = contributions(neuron);
  const right = head.x + head.width;
  const room = right - head.x - sortDimensionsRect(head).width - 10;
  const range = extent(values ?? []);
  const readout = dimensionText(neuron);
  const text = readout ?? (values ? contributionsText(neuron, range) : "loading …");
  surface.text(right, y, text, {
    fill: readout ? theme.text : theme.muted,
    size: SIZE,
    anchor: "end",
    maxWidth: room,
  });
  if (!values) {
    surface.rect(bars, { fill: theme.wash });
    return;
  }
  if (place !== null) {
    const each = bars.width / dims;
    const x = bars.x + place * each;
    surface.rect({ ...bars, x, width: Math.max(1, each) }, { fill: theme.rule });
  }
  const colours = { negative: theme.negative, positive: theme.positive, rule: theme.rule };
  drawSignedBars(surface, bars, values, range, colours);
}

interface Result {
  readonly weighted: Float32Array;
  readonly output: Float32Array;
}

function resultOf({ scene, data }: Neuron): Result | null {
  const { layer, head, focus, query, weights } = data;
  const values: Matrix | null = scene.blocks.vectors("value_vectors", layer.layer, head);
  const outputs: Matrix | null = scene.blocks.vectors("output", layer.layer, head);
  if (!values || !outputs || !weights || focus < 0) return null;
  const weight = weights[focus] as number;
  return { weighted: values.row(focus).map((v) => weight * v), output: outputs.row(query) };
}

/** The number under the pointer in one of the two strips, which have dimensions of their own. */
function resultReadout(neuron: Neuron, { value, output }: { value: Rect; output: Rect }) {
  const { hover } = neuron.scene;
  const { x, y } = hover ?? {};
  if (hover?.source !== "neuron" || x === undefined || y === undefined) return null;
  return contains(value, x, y)
    ? { x, strip: "value" as const }
    : contains(output, x, y)
      ? { x, strip: "output" as const }
      : null;
}

function drawResult(
  surface: Surface,
  neuron: Neuron,
  { head, value, output }: NonNullable<Detail["result"]>,
): void {
  const { scene, data } = neuron;
  const { theme } = scene;
  const y = head.y + head.height / 2;
  const title = "Σ weight × value = output";
  surface.text(head.x, y, title, { fill: theme.text, size: SIZE, maxWidth: head.width });
  const result = resultOf(neuron);
  const error = scene.blocks.error("output", data.layer.layer, data.head);
  const right = { fill: theme.muted, size: SIZE, anchor: "end" } as const;
  const room = head.width - textWidth(title, SIZE) - 10;
  const end = head.x + head.width;
  const label = (rect: Rect, text: string) =>
    surface.text(head.x, rect.y + rect.height / 2, text, {
      fill: theme.muted,
      size: SMALL,
      maxWidth: rect.x - head.x - 4,
    });
  label(value, `${formatWeightOf(neuron)} × ${focusLabel(neuron)}`);
  label(output, "output");
  if (!result) {
    for (const rect of [value, output]) surface.rect(rect, { fill: theme.wash });
    const text = error ?? "loading …";
    surface.text(end, y, text, {
      ...right,
      fill: error ? theme.danger : theme.muted,
      maxWidth: room,
    });
    return;
  }
  const max = Math.max(largest(result.weighted), largest(result.output));
  const scale = { table: theme.diverging, max };
  drawStrip(surface, value, result.weighted, null, scale);
  drawStrip(surface, output, result.output, null, scale);
  surface.rect(value, { stroke: theme.rule });
  surface.rect(output, { stroke: theme.rule });
  const at = resultReadout(neuron, { value, output });
  if (!at) {
    surface.text(end, y, `±${formatScore(max)}`, { ...right, maxWidth: room });
    return;
  }
  const vector = at.strip === "value" ? result.weighted : result.output;
  const d = Math.floor(((at.x - value.x) / value.width) * vector.length);
  const text = `dim ${d}: ${element(vector[d] ?? 0)}`;
  surface.text(end, y, text, { ...right, fill: theme.text, maxWidth: room });
}

function formatWeightOf({ data }: Neuron): string {
  const weight = data.weights?.[data.focus];
  return weight === undefined ? "…" : formatWeight(weight);
}

/** The lower part of the view: the focus key's equation, its dimensions, and what comes out. */
export function drawDetail(surface: Surface, neuron: Neuron, detail: Detail): void {
  const { scene, frame, data } = neuron;
  const top = detail.top + 0.5;
  surface.line(PAD, top, frame.width - PAD, top, { stroke: scene.theme.rule });
  if (data.focus < 0) {
    const at = { x: PAD, y: detail.top + 16, width: frame.width - 2 * PAD, leading: 16 };
    drawParagraph(surface, at, "no key to explain", { fill: scene.theme.muted, size: SIZE });
    return;
  }
  surface.group("equation", () => drawEquationPart(surface, neuron, detail.equation));
  const { contributions: parts, result } = detail;
  if (parts) surface.group("contributions", () => drawContributions(surface, neuron, parts));
  if (result) surface.group("output", () => drawResult(surface, neuron, result));
}
