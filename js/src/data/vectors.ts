// One head's vectors read from the store band by band.

import type { BlockRequest } from "../protocol/generated.js";
import type { Vectors } from "./blocks.js";
import { bandAt } from "./requests.js";
import type { BlockStore } from "./store.js";

/** One head's vectors out of a store: of a long input only the bands that are looked at. */
export class BandedVectors implements Vectors {
  private readonly bands = new Map<number, readonly [Float32Array, number] | null>();

  constructor(
    private readonly store: BlockStore,
    private readonly request: BlockRequest,
    private readonly count: number,
    private readonly perBand: number,
  ) {}

  row(position: number): Float32Array | null {
    const queries = bandAt(position, this.perBand, this.count);
    const [start] = queries;
    let band = this.bands.get(start);
    if (band === undefined) {
      const result = this.store.get({ ...this.request, queries });
      // As wide as they are: values may have more dimensions than queries and keys.
      band = result && "data" in result ? [result.data, result.shape.at(-1) ?? 0] : null;
      this.bands.set(start, band);
    }
    if (!band) return null;
    const [data, dims] = band;
    return data.subarray((position - start) * dims, (position - start + 1) * dims);
  }
}
