// Rows of one head read from the store band by band, or from a head that came whole.

import type { BlockRequest } from "../protocol/generated.js";
import type { Rows } from "./blocks.js";
import { bandAt, bandRows } from "./requests.js";
import type { BlockStore } from "./store.js";

export interface Sized {
  readonly numQueries: number;
  readonly numKeys: number;
}

/** One column of a matrix that lies row by row. */
function every(data: Float32Array, column: number, columns: number): Float32Array {
  const found = new Float32Array(data.length / columns);
  for (let row = 0; row < found.length; row++) {
    found[row] = data[row * columns + column] as number;
  }
  return found;
}

/** One head's rows out of a store, band by band. */
export class BandedRows implements Rows {
  readonly numQueries: number;
  readonly numKeys: number;
  private message: string | null = null;
  private asked = 0;
  private readonly bands = new Map<number, Float32Array>();

  constructor(
    private readonly store: BlockStore,
    private readonly request: BlockRequest,
    { numQueries, numKeys }: Sized,
  ) {
    this.numQueries = numQueries;
    this.numKeys = numKeys;
  }

  get error(): string | null {
    if (this.message === null) this.row(this.asked);
    return this.message;
  }

  column(key: number): Float32Array | null {
    const { numQueries, numKeys, request } = this;
    if (numQueries <= bandRows(numKeys)) return this.columnOfBand(key);
    const [start, stop] = bandAt(key, bandRows(numQueries), numKeys);
    const { what, ...where } = request;
    const as = what === "rollout" || what === "gradient" ? { measure: what } : {};
    const asked = { ...where, ...as, what: "column" as const, keys: [start, stop] };
    const result = this.store.get(asked, 4 * (stop - start) * numQueries);
    if (!result || "error" in result) return null;
    return every(result.data, key - start, stop - start);
  }

  /** Of a head that came whole: hovering over a small head asks the kernel for nothing. */
  private columnOfBand(key: number): Float32Array | null {
    if (!this.row(0)) return null;
    const band = this.bands.get(0);
    return band ? every(band, key, this.numKeys) : null;
  }

  row(query: number): Float32Array | null {
    this.asked = query;
    const [start, end] = bandAt(query, bandRows(this.numKeys), this.numQueries);
    let band = this.bands.get(start);
    if (!band) {
      const bytes = 4 * (end - start) * this.numKeys;
      const result = this.store.get({ ...this.request, queries: [start, end] }, bytes);
      if (!result) return null;
      if ("error" in result) {
        this.message = result.error;
        return null;
      }
      band = result.data;
      this.bands.set(start, band);
    }
    const from = (query - start) * this.numKeys;
    return band.subarray(from, from + this.numKeys);
  }
}
