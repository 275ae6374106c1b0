import { expect, test } from "vitest";
import { requestKey } from "../../../../src/data/requests.js";
import { type BlockResult, BlockStore } from "../../../../src/data/store.js";
import { streamBlocks } from "../../../../src/data/stream-blocks.js";
import type { BlockRequest, Request } from "../../../../src/protocol/generated.js";
import type { State } from "../../../../src/state/selection.js";
import { neuronView } from "../../../../src/views/neuron/view.js";
import { attentionScene } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const TOKENS = 20_000;
const DIMS = 128;
const SIZE = { width: 460, height: 560, scroll: 0 };
const VECTORS = /^(query_vectors|key_vectors|value_vectors|output)$/;

function answer(request: BlockRequest): BlockResult {
  if (request.what === "extents") return { shape: [1, 4], data: Float32Array.of(1, 1, 1, 1) };
  const rows = request.what === "lengths" ? 1 : TOKENS;
  const [top = 0, bottom = rows] = request.queries ?? [];
  const [left = 0, right = VECTORS.test(request.what) ? DIMS : TOKENS] = request.keys ?? [];
  const shape = [bottom - top, right - left];
  return { shape, data: new Float32Array((bottom - top) * (right - left)).fill(0.5) };
}

/** Draws the view of a long input until nothing is missing; what it asked for. */
async function asked(state: Partial<State>): Promise<readonly BlockRequest[]> {
  const all: BlockRequest[] = [];
  const store = new BlockStore(
    async (requests: readonly Request[]) => {
      all.push(...(requests as readonly BlockRequest[]));
      return requests.map((request) => answer(request as BlockRequest));
    },
    () => {},
  );
  const small = attentionScene({ headDim: DIMS, state: { heads: [1], ...state } });
  const positions = Array.from({ length: TOKENS }, (_, at) => ({
    ...(small.keys[at % small.keys.length] as (typeof small.keys)[number]),
  }));
  const sizes = { numQueries: TOKENS, numKeys: TOKENS };
  const scene = {
    ...small,
    queries: positions,
    keys: positions,
    blocks: streamBlocks(store, small.stream, sizes),
  };
  let drawn: number;
  do {
    drawn = all.length;
    store.begin();
    neuronView.draw(new RecordingSurface(SIZE.width, SIZE.height), scene, SIZE);
    store.flush();
    await new Promise((resolve) => setTimeout(resolve));
  } while (all.length > drawn);
  expect(store.failed).toBeNull();
  expect(store.pending).toBe(0);
  return all;
}

for (const explain of ["link", "head"] as const) {
  test(`of a long input the vectors on show are asked for: ${explain}`, async () => {
    const requests = await asked({ query: 12_345, key: 777, explain });
    const vectors = requests.filter(({ what }) => VECTORS.test(what));
    expect(vectors.length).toBeGreaterThan(1);
    expect(new Set(requests.map(requestKey)).size).toBe(requests.length);
    for (const { queries } of vectors) {
      const [start = 0, stop = TOKENS] = queries ?? [];
      // A window and the rest of the bands that it lies in.
      expect(stop - start).toBeLessThanOrEqual(128);
      expect(Math.min(Math.abs(start - 12_345), Math.abs(start - 777))).toBeLessThanOrEqual(256);
    }
    // A row of weights is the largest block; of vectors one has 64 kB.
    for (const request of requests) {
      const { data } = answer(request) as { data: Float32Array };
      expect(data.byteLength).toBeLessThanOrEqual(4 * TOKENS);
    }
  });
}
