// Part of a head's weights, scores or bias: cut from rows that are here, else asked for by itself.

import type { BlockRequest } from "../protocol/generated.js";
import type { Sized } from "./banded-rows.js";
import { Matrix, type Range } from "./blocks.js";
import { bandAt, bandRows } from "./requests.js";
import type { BlockStore } from "./store.js";

/** Parts made of blocks: drawing again must not make them again. */
const made = new WeakMap<Float32Array, Map<string, Matrix>>();

function kept(owner: Float32Array, name: string, make: () => Matrix): Matrix {
  const of = made.get(owner) ?? new Map<string, Matrix>();
  made.set(owner, of);
  const matrix = of.get(name) ?? make();
  of.set(name, matrix);
  return matrix;
}

/** [query, key] of the ranges, or null while it is not here. */
export function readPart(
  store: BlockStore,
  request: BlockRequest,
  { numQueries, numKeys }: Sized,
  queries: Range,
  keys: Range,
): Matrix | null {
  const [[top, bottom], [left, right]] = [queries, keys];
  const perBand = bandRows(numKeys);
  const bandOf = (query: number): BlockRequest => ({
    ...request,
    queries: bandAt(query, perBand, numQueries),
  });
  const starts: number[] = [];
  for (let [at] = bandAt(top, perBand, numQueries); at < bottom; at += perBand) starts.push(at);
  // A head that comes whole is asked for as the other views ask for it.
  const whole = numQueries <= perBand;
  const bands = starts.map((at) => (whole ? store.get(bandOf(at)) : store.peek(bandOf(at))));
  const data = bands.map((band) => (band && "data" in band ? band.data : null));
  const [rows, columns] = [bottom - top, right - left];
  const first = data[0];
  if (first && data.every((band) => band !== null)) {
    return kept(first, `${top}-${bottom}/${left}-${right}`, () => {
      const cut = new Float32Array(rows * columns);
      for (let row = 0; row < rows; row++) {
        const place = top + row - (starts[0] as number);
        const band = data[Math.floor(place / perBand)] as Float32Array;
        const from = (place % perBand) * numKeys;
        cut.set(band.subarray(from + left, from + right), row * columns);
      }
      return new Matrix(rows, columns, cut);
    });
  }
  if (whole) return null;
  const asked = { ...request, queries: [top, bottom], keys: [left, right] } as BlockRequest;
  const result = store.get(asked, 4 * rows * columns);
  if (!result || "error" in result) return null;
  return kept(result.data, "", () => new Matrix(rows, columns, result.data));
}
