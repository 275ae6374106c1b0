// Neuron view: data and layout of one frame, shared by drawing and hits.

import { extent } from "../../marks/matrix/vector-strip.js";
import { equationLines, equationTerms } from "../../marks/text/equation.js";
import type { RecordScene, Scene } from "../../scene/scene.js";
import { wrapText } from "../../surface/text.js";
import type { Frame } from "../view.js";
import { dimensionOrder, largestIn, largestProduct, type NeuronData, readNeuron } from "./data.js";
import { type ColumnSpan, type NeuronLayout, neuronLayout, PAD, ROW } from "./layout.js";

/** Everything that drawing, hitting and naming share: what is shown and where it is. */
export interface Neuron {
  readonly scene: RecordScene;
  readonly frame: Frame;
  readonly data: NeuronData;
  readonly layout: NeuronLayout;
  /** Never beyond the last row, whatever the frame asks for. */
  readonly scroll: number;
  /** Row of the pinned key, when it is scrolled out of sight and therefore drawn at the edge. */
  readonly sticky: number | null;
  readonly dims: number;
  /** Which dimension stands at each place; null: each at its own. */
  readonly order: Int32Array | null;
  /** Place of the hovered dimension, or null. */
  readonly place: number | null;
  /** Columns of strips in key dimensions; the query's own strip is above the first. */
  readonly stripSpans: readonly ColumnSpan[];
  readonly keyScale: number;
  readonly productScale: number;
  readonly scoreRange: readonly [number, number];
  readonly largestWeight: number;
}

export const REASON_SIZE = 12;

export function reasonOf({ layer }: Scene): string {
  return layer.reason ?? "This layer was recorded without query and key vectors.";
}

export function layoutOf(scene: Scene, width: number, height: number): NeuronLayout {
  const { layer, keys, state } = scene;
  const nothing = { dot: 0, score: 0, weight: 0 };
  const longest = equationTerms({
    ...nothing,
    scaling: layer.scaling,
    softcap: layer.softcap,
    bias: layer.bias ? 0 : undefined,
    // As many as there can be, so that no line breaks because the pointer is on another query.
    numKeys: keys.length,
    sink: layer.sinks?.[state.heads[0] ?? 0] ?? null,
  });
  const { has_vectors: has } = layer;
  return neuronLayout({
    width,
    height,
    headDim: has ? Math.max(1, layer.head_dim ?? 1) : null,
    reasonLines: has ? 0 : wrapText(reasonOf(scene), width - 6 * PAD, REASON_SIZE).length,
    numKeys: keys.length,
    equationLines: equationLines(longest, width - 2 * PAD),
  });
}

function scoreRangeOf({ scores, listed }: NeuronData): readonly [number, number] {
  return extent(listed.map((key) => scores?.[key] ?? 0));
}

function largestWeightOf({ weights, listed }: NeuronData): number {
  let max = 0;
  for (const key of listed) {
    const weight = weights?.[key] ?? 0;
    if (weight > max) max = weight;
  }
  return max;
}

function rowsHeight(data: NeuronData): number {
  return (data.listed.length + (data.left ? 1 : 0)) * ROW;
}

function stickyRow(data: NeuronData, pinned: number | null, scroll: number, room: number) {
  if (pinned === null || room < 3 * ROW) return null;
  const row = data.listed.indexOf(pinned);
  const top = row * ROW - scroll;
  return row >= 0 && (top < 0 || top + ROW > room) ? row : null;
}

export function readNeuronScene(scene: RecordScene, frame: Frame): Neuron {
  const data = readNeuron(scene);
  const layout = layoutOf(scene, frame.width, frame.height);
  const room = layout.rowsBottom - layout.headerHeight;
  const scroll = Math.max(0, Math.min(frame.scroll, rowsHeight(data) - room));
  const dims = data.queryVector?.length ?? Math.max(1, scene.layer.head_dim ?? 1);
  const order = dimensionOrder(scene, data);
  const dimension = scene.hover?.dimension;
  const known = dimension !== undefined && dimension < dims;
  const place = known ? (order ? order.indexOf(dimension) : dimension) : null;
  const { key, product } = layout.columns;
  return {
    scene,
    frame,
    data,
    layout,
    scroll,
    sticky: stickyRow(data, scene.state.key, scroll, room),
    dims,
    order,
    place,
    stripSpans: [key, product].filter((span) => span !== null),
    keyScale: data.keyVectors ? largestIn(data.keyVectors.data) : 0,
    productScale: largestProduct(data),
    scoreRange: scoreRangeOf(data),
    largestWeight: largestWeightOf(data),
  };
}

export function firstRow({ scroll }: Neuron): number {
  return Math.floor(scroll / ROW);
}

/** Top of a row in the frame. */
export function rowTop({ layout, scroll, sticky }: Neuron, row: number): number {
  const { headerHeight, rowsBottom } = layout;
  const top = headerHeight + row * ROW - scroll;
  if (row !== sticky) return top;
  return Math.max(headerHeight, Math.min(rowsBottom - ROW, top));
}

/** The row under a height in the frame, or null beside the rows. */
export function keyRowAt(neuron: Neuron, y: number): number | null {
  const { layout, scroll, sticky, data } = neuron;
  if (y < layout.headerHeight || y >= layout.rowsBottom) return null;
  if (sticky !== null) {
    const top = rowTop(neuron, sticky);
    if (y >= top && y < top + ROW) return sticky;
  }
  const row = Math.floor((y - layout.headerHeight + scroll) / ROW);
  return row < data.listed.length ? row : null;
}

/** The dimension under x in a strip of `span`, or null beside it. */
export function dimensionAt({ dims, order }: Neuron, span: ColumnSpan, x: number): number | null {
  if (x < span.x || x >= span.x + span.width) return null;
  const place = Math.min(dims - 1, Math.floor(((x - span.x) / span.width) * dims));
  return order ? (order[place] ?? null) : place;
}

/** All the height there is; what the pointer is on does not count, or the panel would jump. */
export function contentHeight(scene: Scene, width: number, height: number): number {
  // Nor does the step of a generation: the last query sees as many keys as any.
  const { generationStep, state, queries } = scene;
  const query = generationStep ? queries.length - 1 : state.query;
  const data = readNeuron({ ...scene, hover: null, state: { ...state, query } });
  const layout = layoutOf(scene, width, height);
  const { headerHeight, rowsBottom, detail } = layout;
  if (!detail) return headerHeight + rowsHeight(data) + PAD;
  return headerHeight + Math.max(rowsHeight(data), rowsBottom - headerHeight) + detail.height;
}
