// `Blocks`, what views read of a stream: rows, tiles, columns, vectors, numbers of heads.

import type { Decoded } from "../protocol/decode.js";
import type {
  Between,
  BlockRequest,
  HeadsRequest,
  Measure,
  TogetherHeads,
} from "../protocol/generated.js";

export interface Link {
  readonly query: number;
  readonly key: number;
  readonly weight: number;
}

/** A block, or why it cannot be had. */
export type BlockResult = Decoded | { readonly error: string };

/** What takes long comes in slices: so much of it is done, and asking again goes on with it. */
export interface Unfinished {
  readonly part: number;
}

/** A dense block of numbers, row by row. */
export class Matrix {
  constructor(
    readonly rows: number,
    readonly columns: number,
    readonly data: Float32Array,
  ) {}

  row(index: number): Float32Array {
    return this.data.subarray(index * this.columns, (index + 1) * this.columns);
  }
}

/** One head's vectors by position, fetched in bands; null until the band has come. */
export interface Vectors {
  row(position: number): Float32Array | null;
}

/** The largest size of a number in a head's vectors, over all positions: where scales that stay put end. */
export interface Extents {
  readonly query: number;
  readonly key: number;
  /** Of a product of query and key in one dimension. */
  readonly product: number;
  readonly value: number;
}

/** From and to, the end not included. */
export type Range = readonly [number, number];

/** What is pooled: not weights, or not between pieces. */
export interface PooledAs {
  readonly measure?: Measure;
  readonly positions?: "words";
  readonly together?: TogetherHeads;
}

/** Several heads as one, made where the record is: no more of them comes than of one head. */
export interface CombinedHead {
  readonly rows: Rows;
  /** Mean of each key over all queries; null until it has come. */
  mean(): Float32Array | null;
  /** Why it cannot be had, or null. */
  error(what: What): string | null;
}

/** What several heads as one are asked for by, besides what they are. */
export interface CombinedAs extends Omit<PooledAs, "together"> {
  /** Only so many queries are there yet, counted in pieces. */
  readonly there?: number;
  /** How long the axes are, where they are not the stream's. */
  readonly sizes?: { readonly numQueries: number; readonly numKeys: number };
}

/** Pictures of equal size, one after another. */
export interface Pictures {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

export type What = BlockRequest["what"];

/** Whether a block is wanted at once, after all else that is wanted, or only if it is here already. */
export type When = "now" | "later" | "here";

/**
 * One head's rows by query, fetched in bands so that a long input never moves whole.
 * `row` is null until the band that holds it has come (asking is what requests it).
 */
export interface Rows {
  readonly numQueries: number;
  readonly numKeys: number;
  row(query: number): Float32Array | null;
  /** What every query gives one key; null until it has come. Absent where only rows can be had. */
  column?(key: number): Float32Array | null;
  /** Whether a row is here, for rows that have to be made first. */
  has?(query: number): boolean;
  /** How many of them are shown, where a generation is shown as it came about. */
  readonly numShown?: number;
  /** The end of their scale; undefined for weights, which end at 1. */
  readonly scale?: number | undefined;
  /** Whether the scale ends at the largest size of a number in them. */
  readonly fitted?: boolean | undefined;
  /** Why the rows cannot be had, for the reader; null when nothing went wrong. */
  readonly error: string | null;
}

/** Rows that cannot be had, with the reason. */
export function refusedRows({ numQueries, numKeys }: Rows, error: string): Rows {
  return { numQueries, numKeys, error, row: () => null, column: () => null };
}

/** The blocks a view may read. Implemented over a live kernel, a snapshot, or a list of wants. */
export interface Blocks {
  /** [query, key] after softmax, exact float32. */
  weights(layer: number, head: number): Rows;
  /** [query, key] before softmax, masked entries are -Infinity. */
  scores(layer: number, head: number): Rows;
  /** [query, key] what was added to the scaled dot product: bias and mask (-Infinity). */
  bias(layer: number, head: number): Rows;
  /** By position, [dim]. */
  vectors(
    what: "query_vectors" | "key_vectors" | "value_vectors" | "output",
    layer: number,
    head: number,
  ): Vectors;
  /** Null until they have come. */
  extents(layer: number, head: number): Extents | null;
  /** Where the queries and keys of a head lie in one plane; null until it is here. */
  geometry(layer: number, head: number): BlockResult | null;
  /** Part of weights, scores or bias; null until it has come. The same object as long as it is the same. */
  part(
    what: "weights" | "scores" | "bias",
    layer: number,
    head: number,
    queries: Range,
    keys: Range,
  ): Matrix | null;
  /** One tile of the head's map: the largest of each cell, single weights at level 0; see `TILE_SIZE`. */
  tile(
    layer: number,
    head: number,
    level: number,
    tile: readonly [number, number],
    as?: PooledAs,
    when?: When,
  ): Matrix | null;
  /** What every query gives one key. */
  column(layer: number, head: number, key: number): Float32Array | null;
  /** What the weights of each key are multiplied by in a measure. */
  lengths(measure: Measure, layer: number, head: number): Float32Array | null;
  /** [query, key] each weight times the gradient of the record's metric, with its sign. */
  gradient(layer: number, head: number): Rows;
  /** [query, key] from the first layer up to this one, all heads together. */
  rollout(layer: number): Rows;
  /** A layer's heads max-pooled under a measure, one after another. */
  overview(measure: Measure, layer: number, size: number): Pictures | { error: string } | null;
  /** Mean of each key over all queries, of weights or of a measure of gradients; null until it has come. */
  mean(layer: number, head: number, measure?: Measure): Float32Array | null;
  /**
   * Of each head of a layer a square of shares, from group to group in the order of the grouping: the mean over the
   * queries of a group (a row) of their weight on each (a column). NaN from a group without queries, and of heads whose
   * weights are not numbers; null until they have come.
   */
  groupShares(
    grouping: string,
    layer: number,
    as?: PooledAs & { readonly queries?: [number, number] },
  ): readonly Matrix[] | { error: string } | null;
  /** Heads of several layers as one. */
  combined(heads: TogetherHeads, as?: CombinedAs): CombinedHead;
  /** What part of several heads as one is each one's, in their order; null until it has come. */
  togetherShares(
    layer: number,
    heads: TogetherHeads,
    between: Between,
    as?: CombinedAs,
  ): Float32Array | { error: string } | null;
  /** Numbers about all heads of the stream; null until they have come. */
  heads(request: Omit<HeadsRequest, "stream">, when?: When): BlockResult | null;
  /** Why a vectors or pooled block cannot be had, or null. */
  error(what: What, layer: number, head: number): string | null;
}
