// Neuron view, one link: data and layout of one frame, shared by drawing, hits and stops.

import {
  type Ingredients,
  type Piece,
  pieceLines,
  scorePieces,
  weightPieces,
} from "../../marks/text/equation.js";
import { widestLabel } from "../../marks/text/tokens.js";
import type { RecordScene, Scene } from "../../scene/scene.js";
import type { Frame, Stop } from "../view.js";
import { dimensionOrder, type NeuronData, readNeuron, strongestListed } from "./data.js";
import { directionsOf } from "./directions.js";
import type { Header } from "./header.js";
import { type LinkLayout, linkLayout, PAD, ROW, type TableLine, tableLines } from "./layout.js";
import { reasonLines } from "./reason.js";

/** Everything that drawing, hitting and naming share: what is shown and where it is. */
export interface LinkScene {
  readonly scene: RecordScene;
  readonly frame: Frame;
  readonly data: NeuronData;
  readonly layout: LinkLayout;
  readonly table: { readonly count: number; at(line: number): TableLine | null };
  /** Never beyond the end, whatever the frame asks for. */
  readonly scroll: number;
  readonly dims: number;
  /** Which dimension each bar is of; null: each at its own place. */
  readonly order: Int32Array | null;
  /** The dimension under the pointer, or null. */
  readonly dimension: number | null;
}

/** The score's line, then the weight's: each begins anew. */
export function equationOf(
  scene: Scene,
  given: Ingredients,
): readonly [readonly Piece[], readonly Piece[]] {
  return [scorePieces(given, scene.layer.head_dim), weightPieces(given)];
}

/** Lines that the equation takes with numbers as long as they get, so that none breaks under the pointer. */
function equationLines(scene: Scene, width: number): number {
  const { layer, keys, state } = scene;
  const longest = -88.88;
  const given: Ingredients = {
    dot: 10 * longest,
    scaling: layer.scaling,
    softcap: layer.softcap,
    bias: layer.bias ? longest : undefined,
    score: longest / 10,
    weight: 0.888,
    numKeys: keys.length,
    sink: layer.sinks?.[state.heads[0] ?? 0] ?? null,
  };
  const [score, weight] = equationOf(scene, given);
  return pieceLines(score, width) + Math.max(1, pieceLines(weight, width));
}

const hasValues = ({ blocks, layer, state }: Scene): boolean =>
  blocks.error("value_vectors", layer.layer, state.heads[0] ?? 0) === null;

/** Of labels of keys; that of the key in question is bold. */
const LABEL_SIZE = 12;
const BOLDER = 1.08;

/** The layout of what is pinned: the pointer changes numbers, and moves nothing. */
export function layoutOf(scene: RecordScene, width: number, height: number): LinkLayout {
  const data = readNeuron({ ...scene, hover: null });
  const { layer } = scene;
  return linkLayout({
    width,
    height,
    hasVectors: layer.has_vectors,
    hasValues: layer.has_vectors && hasValues(scene),
    labels: Math.ceil(BOLDER * widestLabel(scene.keys, LABEL_SIZE)),
    directions: directionsOf(scene).length,
    reasonLines: reasonLines(scene, width),
    equationLines: layer.has_vectors ? equationLines(scene, width - 2 * PAD) : 0,
    rows: {
      keys: data.listed.length,
      sink: layer.sinks ? 1 : 0,
      masked: data.masked.length,
    },
    allKeys: scene.options.allKeys,
  });
}

export function readLink(scene: RecordScene, frame: Frame): LinkScene {
  const data = readNeuron(scene);
  const layout = layoutOf(scene, frame.width, frame.height);
  const rest = { sink: scene.layer.sinks ? 1 : 0, masked: data.masked.length };
  const first = scene.options.keyOrder === "weight" ? data.listed : strongestListed(data);
  const table = tableLines(layout.lines, layout.expanded, data.listed, first, data.focus, rest);
  const dims = data.queryVector?.length ?? Math.max(1, scene.layer.head_dim ?? 1);
  const hovered = scene.hover?.dimension;
  return {
    scene,
    frame,
    data,
    layout,
    table,
    scroll: Math.max(0, Math.min(frame.scroll, layout.height - frame.height)),
    dims,
    order: dimensionOrder(scene, data),
    dimension: hovered !== undefined && hovered < dims ? hovered : null,
  };
}

const QUERY_NOTES = {
  last: "no query chosen: this is the last",
  pinned: "",
  hovered: "query under the pointer",
};

export function headerOf({ scene, frame, data }: LinkScene): Header {
  const { state } = scene;
  const notes = [
    {
      hovered: "key under the pointer",
      pinned: "",
      strongest: state.query === null ? "" : "its strongest key",
    }[data.focusSource],
    QUERY_NOTES[data.querySource],
    state.measure === "weights" ? "" : "weights, whatever the measure",
    state.positions === "words" ? "pieces of words" : "",
  ].filter((note) => note !== "");
  const weight = data.weights?.[data.focus] ?? null;
  const { head, query, focus } = data;
  return { scene, frame, subject: { head, query, weight, focus, notes } };
}

/** The line of the table at a height of the content. */
export function lineAt({ layout, table }: LinkScene, y: number): TableLine | null {
  const line = Math.floor((y - layout.tableTop) / ROW);
  return line < 0 || line >= layout.lines ? null : table.at(line);
}

/** The dimension under x in a strip, whose places are `order`'s. */
export function dimensionAt(
  span: { readonly x: number; readonly width: number },
  x: number,
  dims: number,
  order: Int32Array | null,
): number | null {
  if (x < span.x || x >= span.x + span.width) return null;
  const place = Math.min(dims - 1, Math.floor(((x - span.x) / span.width) * dims));
  return order ? (order[place] ?? null) : place;
}

/** In the frame instead of in the content, as far as they are in sight. */
export function inFrame(
  { scroll, frame }: Pick<LinkScene, "scroll" | "frame">,
  stops: readonly Stop[],
): readonly Stop[] {
  return stops
    .map((stop) => ({ ...stop, rect: { ...stop.rect, y: stop.rect.y - scroll } }))
    .filter(({ rect }) => rect.y >= 0 && rect.y + rect.height <= frame.height);
}
