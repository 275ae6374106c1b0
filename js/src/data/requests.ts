// Requests for blocks: their key in the cache, the band of rows they ask for, their kind.

import { BAND_WEIGHTS } from "../protocol/constants.js";
import type { BlockRequest, Request } from "../protocol/generated.js";

/** Key of a request: the same for the same block. */
export function requestKey(request: Request): string {
  if (!("layer" in request)) {
    const { what, stream, ranking, score = "", measure = "", aside, of } = request;
    const without = aside ? `/without ${JSON.stringify(aside)}` : "";
    const head = of ? `/${of.join("/")}` : "";
    return `${what}/${stream}/${measure}/${ranking ? JSON.stringify(ranking) : score}${without}${head}`;
  }
  const { what, stream, queries, size, measure, positions, side } = request;
  const { level, tile, keys, grouping, together, between, there } = request;
  const heads = together && `${together.how} ${together.heads}`;
  const { layer, head } = placeOf(request);
  const as = [grouping, measure, positions, side, heads, between && JSON.stringify(between), there]
    .map((part) => (part ? `/${part}` : ""))
    .join("");
  const place = tile ? `${level}:` : "";
  const span = (tile ? [tile] : [queries, keys].filter((range) => range !== undefined))
    .map((range) => range.join("-"))
    .join(":");
  return `${what}/${stream}/${layer}/${head}/${place}${span}/${size ?? ""}${as}`;
}

/** What a block is of: heads of several layers as one are of none of them. */
function placeOf({ layer, head, together }: BlockRequest) {
  return together?.layers
    ? { layer: `layers ${together.layers}`, head: "together" }
    : { layer: String(layer), head: String(head) };
}

/** How the keys of all blocks begin that are of one head, or of heads of several layers as one. */
export function keysOf(
  request: Pick<BlockRequest, "what" | "stream" | "layer" | "head" | "together">,
): string {
  const { layer, head } = placeOf(request);
  return `${request.what}/${request.stream}/${layer}/${head}/`;
}

/** How many rows of so many weights travel together. */
export function bandRows(length: number): number {
  return Math.max(1, Math.floor(BAND_WEIGHTS / Math.max(1, length)));
}

/** The band of `perBand` rows that a row of `count` is in: its first row, and the one after its last. */
export function bandAt(row: number, perBand: number, count: number): [number, number] {
  const start = Math.floor(row / perBand) * perBand;
  return [start, Math.min(count, start + perBand)];
}

/** Whether weights stand beside what is drawn as numbers. */
export const READ = /^(weights|column|mean)\//;

/** Pictures of whole layers, and what is known of them. */
const OF_LAYERS: ReadonlySet<Request["what"]> = new Set(["thumbnails", "links", "sample"]);

/** What is waited for, told apart for the reader. */
export type Kind = "blocks" | "heads" | "thumbnails";

export function kindOf(request: Request): Kind {
  if (!("layer" in request)) return "heads";
  return OF_LAYERS.has(request.what) ? "thumbnails" : "blocks";
}
