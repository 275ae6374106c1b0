import { expect, test } from "vitest";
import { requestKey } from "../../../src/data/requests.js";
import { type BlockResult, BlockStore } from "../../../src/data/store.js";
import { streamBlocks } from "../../../src/data/stream-blocks.js";
import type { BlockRequest, Request, StreamMeta } from "../../../src/protocol/generated.js";

const stream = {
  name: "self",
  layers: [{ layer: 0, head_dim: 64 }],
} as unknown as StreamMeta;

/** [query, key] is 1000 · query + key. */
function answer(request: BlockRequest, numKeys: number): BlockResult {
  const [top = 0, bottom = 0] = request.queries ?? [];
  const [left = 0, right = numKeys] = request.keys ?? [];
  const data: number[] = [];
  for (let query = top; query < bottom; query++) {
    for (let key = left; key < right; key++) data.push(1000 * query + key);
  }
  return { shape: [1, bottom - top, right - left], data: Float32Array.from(data) };
}

function blocksOf(numQueries: number, numKeys: number) {
  const asked: string[] = [];
  const fetch = async (requests: readonly Request[]) => {
    asked.push(...requests.map(requestKey));
    return requests.map((request) => answer(request as BlockRequest, numKeys));
  };
  const store = new BlockStore(fetch, () => {});
  const read = () => streamBlocks(store, stream, { numQueries, numKeys });
  const settle = async () => {
    store.flush();
    await new Promise((resolve) => setTimeout(resolve));
  };
  return { read, settle, asked, store };
}

test("of a long head only the part is asked for, and it is the same object until it changes", async () => {
  const { read, settle, asked } = blocksOf(3000, 2000);
  expect(read().part("scores", 0, 1, [100, 103], [40, 42])).toBeNull();
  await settle();
  const part = read().part("scores", 0, 1, [100, 103], [40, 42]);
  expect(Array.from(part?.data ?? [])).toEqual([100040, 100041, 101040, 101041, 102040, 102041]);
  expect(asked).toEqual(["scores/self/0/1/100-103:40-42/"]);
  expect(read().part("scores", 0, 1, [100, 103], [40, 42])).toBe(part);
});

test("rows that are here are cut, and nothing is asked for", async () => {
  const { read, settle, asked } = blocksOf(3000, 2000);
  // Eight rows to a band: 14 to 17 lie in two of them.
  for (const row of [14, 17]) read().weights(0, 1).row(row);
  await settle();
  expect(asked).toHaveLength(2);
  const part = read().part("weights", 0, 1, [14, 18], [1998, 2000]);
  expect(Array.from(part?.data ?? [])).toEqual(
    [14, 15, 16, 17].flatMap((row) => [1000 * row + 1998, 1000 * row + 1999]),
  );
  await settle();
  expect(asked).toHaveLength(2);
});

test("a head that comes whole is asked for as the other views ask for it", async () => {
  const { read, settle, asked } = blocksOf(20, 30);
  read().part("weights", 0, 1, [0, 20], [0, 30]);
  read().weights(0, 1).row(3);
  await settle();
  expect(asked).toEqual(["weights/self/0/1/0-20/"]);
  expect(read().part("weights", 0, 1, [2, 3], [4, 6])?.data).toEqual(Float32Array.of(2004, 2005));
});

test("vectors are asked for by bands of positions, and are as wide as they come", async () => {
  const asked: string[] = [];
  const store = new BlockStore(
    async (requests) =>
      requests.map((request): BlockResult => {
        asked.push(requestKey(request));
        const [from = 0, to = 0] = (request as BlockRequest).queries ?? [];
        const data = Float32Array.from({ length: 3 * (to - from) }, (_, i) => 3 * from + i);
        return { shape: [to - from, 3], data };
      }),
    () => {},
  );
  const read = () => streamBlocks(store, stream, { numQueries: 900, numKeys: 700 });
  for (const position of [300, 510, 650]) read().vectors("value_vectors", 0, 1).row(position);
  store.flush();
  await new Promise((resolve) => setTimeout(resolve));
  // 256 positions of 64 numbers are a band; the last ends with the keys.
  expect(asked).toEqual(["value_vectors/self/0/1/256-512/", "value_vectors/self/0/1/512-700/"]);
  const row = read().vectors("value_vectors", 0, 1).row(510);
  expect(Array.from(row ?? [])).toEqual([1530, 1531, 1532]);
});

test("a row of an output is asked for with no more rows than one of the weights", async () => {
  const { read, settle, asked } = blocksOf(20_000, 20_000);
  read().vectors("output", 0, 1).row(700);
  await settle();
  expect(asked).toEqual(["output/self/0/1/700-701/"]);
  const short = blocksOf(900, 700);
  short.read().vectors("output", 0, 1).row(30);
  await short.settle();
  // 23 rows of 700 weights are a band of them.
  expect(short.asked).toEqual(["output/self/0/1/23-46/"]);
});
