// Several heads as one: the mean, the maximum or the sum of their rows, columns and tiles.

import type { HeadRef, TogetherHeads } from "../protocol/generated.js";
import type { Blocks, Rows } from "./blocks.js";
import { columnOf } from "./columns.js";
import { meanOf, withScale } from "./measures.js";

/** Heads of a layer that are drawn as one, in rising order: a sum of floats depends on it. */
export type Together = Readonly<TogetherHeads>;

/** How heads become one. */
export type How = Together["how"];

/** Number by number; added up in double precision, as the kernel does, so that both round the same. */
export function combined(all: readonly Float32Array[], how: How): Float32Array {
  const [first = new Float32Array(0)] = all;
  const found = new Float32Array(first.length);
  for (let at = 0; at < found.length; at++) {
    let value = how === "max" ? Number.NEGATIVE_INFINITY : 0;
    for (const one of all) {
      const next = one[at] as number;
      value = how === "max" ? Math.max(value, next) : value + next;
    }
    found[at] = how === "mean" ? value / all.length : value;
  }
  return found;
}

/** What is read of every head, as one; null until all of it has come. All are asked for at once. */
function together<T>(all: readonly T[], read: (one: T) => Float32Array | null, how: How) {
  const found = all.map(read);
  return found.every((one) => one !== null) ? combined(found, how) : null;
}

/** The end of the scale: of weights only a sum goes beyond 1. */
function scaleOf(all: readonly Rows[], how: How): number | undefined {
  const ends = all.flatMap(({ scale }) => scale ?? []);
  if (how === "sum") return all.length * (ends.length > 0 ? Math.max(...ends) : 1);
  return ends.length > 0 ? Math.max(...ends) : undefined;
}

/** Rows of several heads as those of one. */
export function togetherRows(all: readonly Rows[], how: How): Rows {
  const [first] = all;
  if (!first) throw new Error("No heads to take together.");
  const made = new Map<number, Float32Array>();
  return {
    numQueries: first.numQueries,
    numKeys: first.numKeys,
    ...(first.numShown === undefined ? {} : { numShown: first.numShown }),
    ...(all.every(({ fitted }) => fitted) ? { fitted: true } : {}),
    get scale() {
      return scaleOf(all, how);
    },
    get error() {
      return all.map(({ error }) => error).find((error) => error !== null) ?? null;
    },
    has: (query) => all.every((rows) => rows.has?.(query) ?? rows.row(query) !== null),
    column: (key) => together(all, (rows) => rows.column?.(key) ?? null, how),
    row(query) {
      const known = made.get(query) ?? together(all, (rows) => rows.row(query), how);
      if (known) made.set(query, known);
      return known;
    },
  };
}

/** The layer and the number of each; `layer` is where all are from that name none. */
export function headsOf({ heads, layers }: Together, layer: number): readonly HeadRef[] {
  return heads.map((head, n): HeadRef => [layers?.[n] ?? layer, head]);
}

/** Blocks whose weights are, whatever the head, those of heads of several layers as one. */
function acrossLayers(blocks: Blocks, together: Together): Blocks {
  const { rows: found, mean, error } = blocks.combined(together);
  const { how, heads } = together;
  // Of weights only a sum goes beyond 1.
  const rows = how === "sum" ? withScale(found, () => found.scale ?? heads.length) : found;
  return {
    ...blocks,
    weights: () => rows,
    column: (_layer, _head, key) => rows.column?.(key) ?? null,
    tile: (layer, head, level, place, as, when) =>
      blocks.tile(layer, head, level, place, { ...as, together }, when),
    mean,
    error: (what) => (what === "weights" ? rows.error : error(what)),
  };
}

/** Blocks whose weights are, whatever the head, those of several as one; of `count` queries there. */
export function togetherBlocks(blocks: Blocks, asked: Together, count: number): Blocks {
  // Of several layers they would be too many to be put together here.
  if (asked.layers) return acrossLayers(blocks, asked);
  const { how, heads } = asked;
  const kept = new Map<number, Rows>();
  const weights: Blocks["weights"] = (layer) => {
    const rows =
      kept.get(layer) ??
      togetherRows(
        heads.map((head) => blocks.weights(layer, head)),
        how,
      );
    kept.set(layer, rows);
    return rows;
  };
  return {
    ...blocks,
    weights,
    column: columnOf(weights),
    // The largest of a cell is not to be had from the largest of each head.
    tile: (layer, head, level, place, as, when) =>
      blocks.tile(layer, head, level, place, { ...as, together: { how, heads } }, when),
    // The largest of means is no mean of the largest.
    mean: (layer) =>
      how === "max"
        ? meanOf(weights(layer, 0), count)
        : together(heads, (head) => blocks.mean(layer, head), how),
    error: (what, layer) =>
      heads.map((head) => blocks.error(what, layer, head)).find((error) => error !== null) ?? null,
  };
}
