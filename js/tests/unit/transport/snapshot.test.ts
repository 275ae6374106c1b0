import { deflateSync } from "node:zlib";
import { expect, test, vi } from "vitest";
import type { Blocks, Rows } from "../../../src/data/blocks.js";
import { measuredBlocks } from "../../../src/data/measures.js";
import { BlockStore } from "../../../src/data/store.js";
import { streamBlocks } from "../../../src/data/stream-blocks.js";
import { wordRows, wordsOf } from "../../../src/data/words.js";
import type { Position, Request, Snapshot } from "../../../src/protocol/generated.js";
import { blocksAtStep } from "../../../src/scene/generation-step.js";
import { snapshotFetch } from "../../../src/transport/kernel.js";
import { attentionScene } from "../../support/attention-scene.js";

type Stored = Snapshot["blocks"][number];

const QUERIES = 5;
const KEYS = 7;
const weight = (query: number, key: number) => (1 + query) / (10 + key);

/** A saved copy that holds one head in two bands, the second compressed. */
function copy(first = [0, 3], second = [3, 5]): Snapshot {
  const block = ([start = 0, stop = 0]: number[], deflated: boolean) => {
    const data = new Float32Array((stop - start) * KEYS);
    data.forEach((_, at) => {
      data[at] = weight(start + Math.floor(at / KEYS), at % KEYS);
    });
    const bytes = Buffer.from(data.buffer);
    const text = (deflated ? deflateSync(bytes) : bytes).toString("base64");
    const shape = [1, stop - start, KEYS];
    return {
      request: {
        what: "weights",
        stream: "s",
        layer: 1,
        head: 2,
        queries: [start, stop],
      } as Request,
      block: { dtype: "float32" as const, shape, data: text, ...(deflated ? { deflated } : {}) },
    };
  };
  return { blocks: [block(first, false), block(second, true)] } as unknown as Snapshot;
}

async function ask(snapshot: Snapshot, request: Partial<Request> & Record<string, unknown>) {
  const full = { stream: "s", layer: 1, head: 2, ...request } as Request;
  const [answer] = await snapshotFetch(snapshot)([full]);
  return answer as { shape: number[]; data: Float32Array; error?: string };
}

test("a saved copy gives the rows that are asked for, out of larger bands", async () => {
  const { shape, data } = await ask(copy(), { what: "weights", queries: [4, 5] });
  expect(shape).toEqual([1, 1, KEYS]);
  expect(Array.from(data)).toEqual(
    Array.from({ length: KEYS }, (_, key) => Math.fround(weight(4, key))),
  );
  const across = await ask(copy(), { what: "weights", queries: [2, 4] });
  expect(across.error).toContain("not in this saved copy");
});

test("columns and means are read from a copy's rows, and only from all of them", async () => {
  const column = await ask(copy(), { what: "column", keys: [2, 4] });
  expect(column.shape).toEqual([QUERIES, 2]);
  expect(column.data[2 * 4 + 1]).toBeCloseTo(weight(4, 3));
  const mean = await ask(copy(), { what: "mean" });
  expect(mean.shape).toEqual([1, KEYS]);
  expect(mean.data[3]).toBeCloseTo(3 / 13);
  const gap = await ask(copy([0, 2]), { what: "mean" });
  expect(gap.error).toContain("saved copy");
  const other = await ask(copy(), { what: "column", keys: [2, 3], head: 0 });
  expect(other.error).toContain("saved copy");
});

test("shares of groups are a square for each head, of one grouping and one layer", async () => {
  const { stream } = attentionScene();
  const data = new Float32Array([0.9, 0.1, Number.NaN, Number.NaN, 0.25, 0.75, 0, 1]);
  const request = { what: "group_shares", stream: "self", layer: 1, head: 0, grouping: "segment" };
  const text = Buffer.from(data.buffer).toString("base64");
  const block = { dtype: "float32", shape: [2, 2, 2], data: text };
  const snapshot = { blocks: [{ request, block }] } as unknown as Snapshot;
  const store = new BlockStore(snapshotFetch(snapshot), () => {});
  const blocks = streamBlocks(store, stream, { numQueries: QUERIES, numKeys: KEYS });
  const read = (grouping: string, layer: number) => blocks.groupShares(grouping, layer);
  store.begin();
  for (const layer of [0, 1]) for (const by of ["segment", "role"]) read(by, layer);
  store.flush();
  await vi.waitFor(() => expect(read("role", 1)).not.toBeNull());
  const squares = read("segment", 1);
  if (!squares || "error" in squares) throw new Error("no shares");
  // What is made of them is kept for them.
  expect(read("segment", 1)).toBe(squares);
  expect(squares.map(({ rows, columns }) => [rows, columns])).toEqual([
    [2, 2],
    [2, 2],
  ]);
  expect(Array.from(squares[0]?.row(1) ?? [])).toEqual([Number.NaN, Number.NaN]);
  expect(Array.from(squares[1]?.row(0) ?? [])).toEqual([0.25, 0.75]);
  for (const [by, layer] of [
    ["segment", 0],
    ["role", 1],
  ] as const) {
    expect(read(by, layer)).toMatchObject({ error: expect.stringContaining("saved copy") });
  }
});

test("a frame says that its numbers are rounded, also where these are columns", async () => {
  const { stream } = attentionScene();
  const rounded = { shape: [400, 40], data: new Float32Array(400 * 40), rounded: true } as const;
  const store = new BlockStore(
    async (requests) => requests.map(() => rounded),
    () => {},
  );
  const blocks = streamBlocks(store, stream, { numQueries: 400, numKeys: 300 });
  store.begin();
  blocks.column(0, 0, 1);
  store.flush();
  await new Promise((resolve) => setTimeout(resolve));
  expect(blocks.column(0, 0, 1)).toEqual(new Float32Array(400));
  expect(store.rounded).toBe(true);
});

const rowOf = (rows: Rows, query: number) => rows.row(query) as Float32Array;

/** Blocks of which columns are read from the same head as rows are. */
function blocks(): Blocks {
  const { blocks: made, queries } = attentionScene();
  const column: Blocks["column"] = (layer, head, key) =>
    Float32Array.from(
      queries,
      (_, query) => rowOf(made.weights(layer, head), query)[key] as number,
    );
  const lengths = () => Float32Array.from(queries, (_, key) => 1 + key);
  return { ...made, column, lengths };
}

test("a column under a measure is the column of its rows", () => {
  const { stream, queries } = attentionScene();
  const measured = measuredBlocks(blocks(), stream, "value", queries.length);
  const column = measured.column(0, 1, 3);
  queries.forEach((_, query) => {
    expect(column?.[query]).toBeCloseTo(rowOf(measured.weights(0, 1), query)[3] as number, 6);
  });
  const rolled = measuredBlocks(
    { ...blocks(), rollout: (layer) => blocks().weights(layer, 0) },
    stream,
    "rollout",
    queries.length,
  );
  expect(rolled.column(1, 0, 4)?.[6]).toBeCloseTo(rowOf(rolled.weights(1, 0), 6)[4] as number, 6);
});

test("a column between words is the column of their rows, at every step of a generation", () => {
  const positions: Position[] = Array.from({ length: 10 }, (_, index) => ({
    kind: "token",
    label: `p${index}`,
    ...([2, 5, 6].includes(index) ? { continues: true } : {}),
  }));
  const words = wordsOf(positions);
  for (const there of [10, 6]) {
    const generationStep = there < 10 ? { step: 0, numQueries: there, numKeys: there } : null;
    const staged = blocksAtStep(blocks(), generationStep);
    const rows = wordRows(staged.weights(0, 0), words, words);
    for (const key of [1, 3]) {
      const column = rows.column?.(key);
      expect(column).toHaveLength(7);
      column?.forEach((found, query) => {
        expect(found).toBeCloseTo(rowOf(rows, query)[key] as number, 6);
      });
    }
  }
  const missing = { ...blocks().weights(0, 0), column: () => null };
  expect(wordRows(missing, words, words).column?.(1)).toBeNull();
});

test("tiles are made of a copy's rows, and only where it has them", async () => {
  const [tile, coarse] = await Promise.all(
    [0, 1].map((level) => ask(copy(), { what: "tile", level, tile: [0, 0] })),
  );
  expect(tile?.shape).toEqual([QUERIES, KEYS]);
  expect(tile?.data[3 * KEYS + 5]).toBeCloseTo(weight(3, 5));
  // Weights grow with the query and shrink with the key; the last cells are cut at the edge.
  expect(coarse?.shape).toEqual([3, 4]);
  const cells = [1, 3, 4].flatMap((query) => [0, 2, 4, 6].map((key) => weight(query, key)));
  coarse?.data.forEach((value, at) => {
    expect(value).toBeCloseTo(cells[at] as number);
  });
  const gap = await ask(copy([0, 3], [4, 5]), { what: "tile", level: 0, tile: [0, 0] });
  expect(gap.error).toContain("not whole in this saved copy");
});

test("tiles of a measure are scaled, and there are none between words", async () => {
  const snapshot = copy();
  const lengths = Float32Array.from({ length: KEYS }, (_, key) => 1 + key);
  const data = Buffer.from(lengths.buffer).toString("base64");
  const request = { what: "lengths", stream: "s", layer: 1, head: 2, measure: "norm" } as const;
  snapshot.blocks.push({ request, block: { dtype: "float32", shape: [1, KEYS], data } });
  const where = { what: "tile" as const, level: 0, tile: [0, 0] };
  const scaled = await ask(snapshot, { ...where, measure: "norm" });
  expect(scaled.data[2 * KEYS + 3]).toBeCloseTo(4 * weight(2, 3));
  expect((await ask(snapshot, { ...where, measure: "value" })).error).toContain("saved copy");
  expect((await ask(snapshot, { ...where, measure: "rollout" })).error).toContain("saved copy");
  expect((await ask(snapshot, { ...where, positions: "words" })).error).toContain("saved copy");
});

test("tiles of several heads as one are made of the rows of each, and only where all are there", async () => {
  const snapshot = copy();
  const heads = { what: "tile" as const, level: 1, tile: [0, 0] };
  const mean = { how: "mean" as const, heads: [2, 5] };
  expect((await ask(snapshot, { ...heads, together: mean })).error).toContain("saved copy");
  // Of another head everything turned round: what is large in one is small in the other.
  const other = Float32Array.from({ length: QUERIES * KEYS }, (_, at) =>
    weight(QUERIES - 1 - Math.floor(at / KEYS), KEYS - 1 - (at % KEYS)),
  );
  const data = Buffer.from(other.buffer).toString("base64");
  const request: Request = {
    what: "weights",
    stream: "s",
    layer: 1,
    head: 5,
    queries: [0, QUERIES],
  };
  snapshot.blocks.push({ request, block: { dtype: "float32", shape: [1, QUERIES, KEYS], data } });
  for (const how of ["mean", "max", "sum"] as const) {
    const tile = await ask(snapshot, { ...heads, together: { how, heads: [2, 5] } });
    const one = (query: number, key: number) => {
      const two = [weight(query, key), other[query * KEYS + key] as number] as const;
      return how === "max" ? Math.max(...two) : (two[0] + two[1]) / (how === "mean" ? 2 : 1);
    };
    const cell = [0, 1].flatMap((query) => [2, 3].map((key) => one(query, key)));
    expect(tile.data[1]).toBeCloseTo(Math.max(...cell), 6);
  }
});

/** A saved copy of two layers' heads, each by itself. */
function layered(): {
  snapshot: Snapshot;
  value: (layer: number, query: number, key: number) => number;
} {
  const value = (layer: number, query: number, key: number) =>
    key > query + 2 ? 0 : (1 + query + 3 * layer * key) / 40;
  const block = (layer: number) => {
    const data = Float32Array.from({ length: QUERIES * KEYS }, (_, at) =>
      value(layer, Math.floor(at / KEYS), at % KEYS),
    );
    const text = Buffer.from(data.buffer).toString("base64");
    return {
      request: { what: "weights", stream: "s", layer, head: 2, queries: [0, QUERIES] } as Request,
      block: { dtype: "float32" as const, shape: [1, QUERIES, KEYS], data: text },
    };
  };
  return { snapshot: { blocks: [block(0), block(1)] } as unknown as Snapshot, value };
}

test("heads of several layers are put together from a copy's own, and their parts", async () => {
  const { snapshot, value } = layered();
  const together = { how: "mean", heads: [2, 2], layers: [0, 1] } as const;
  const rows = await ask(snapshot, { what: "weights", together, queries: [1, 3] });
  expect(rows.shape).toEqual([1, 2, KEYS]);
  expect(rows.data[KEYS + 3]).toBeCloseTo((value(0, 2, 3) + value(1, 2, 3)) / 2);
  const mean = await ask(snapshot, { what: "mean", together: { ...together, how: "max" } });
  const largest = [0, 1, 2, 3, 4].map((query) => Math.max(value(0, query, 2), value(1, query, 2)));
  expect(mean.data[2]).toBeCloseTo(largest.reduce((sum, one) => sum + one, 0) / QUERIES);
  const column = await ask(snapshot, { what: "column", together, keys: [2, 3] });
  expect(column.data[4]).toBeCloseTo((value(0, 4, 2) + value(1, 4, 2)) / 2);
  const between = { queries: [[1, 2]], keys: [[1, 4]] } as const;
  const parts = await ask(snapshot, { what: "together_shares", together, between });
  const sums = [0, 1].map((layer) => value(layer, 1, 1) + value(layer, 1, 2) + value(layer, 1, 3));
  expect(parts.shape).toEqual([1, 2]);
  expect(parts.data[1]).toBeCloseTo(
    (sums[1] as number) / ((sums[0] as number) + (sums[1] as number)),
  );
  const most = { ...together, how: "max" } as const;
  const often = await ask(snapshot, {
    what: "together_shares",
    together: most,
    between: { queries: [[0, 1]] },
  });
  // Of keys 0, 1 and 2 the first is equal in both, the others are larger in the second; the rest nobody sees.
  expect(Array.from(often.data)).toEqual([0.5 / 3, 2.5 / 3].map(Math.fround));
  const missing = await ask(snapshot, {
    what: "weights",
    together: { ...together, heads: [2, 1] },
    queries: [1, 3],
  });
  expect(missing.error).toContain("saved copy");
});

test("rows that came as one head are read as they are, whatever else is in the copy", async () => {
  const together = { how: "max", heads: [0, 1], layers: [0, 3] } as const;
  const data = Float32Array.from({ length: QUERIES * KEYS }, (_, at) => at);
  const request = {
    what: "weights",
    stream: "s",
    layer: 0,
    head: 0,
    together,
    queries: [0, QUERIES],
  };
  const block = {
    dtype: "float32",
    shape: [1, QUERIES, KEYS],
    data: Buffer.from(data.buffer).toString("base64"),
  };
  const snapshot = { blocks: [{ request, block }] } as unknown as Snapshot;
  const some = await ask(snapshot, { what: "weights", together, queries: [2, 3], layer: 3 });
  expect(Array.from(some.data)).toEqual(Array.from(data.subarray(2 * KEYS, 3 * KEYS)));
  const tile = await ask(snapshot, { what: "tile", level: 0, tile: [0, 0], together, layer: 3 });
  expect(tile.shape).toEqual([QUERIES, KEYS]);
  expect(tile.data[9]).toBe(9);
  const parts = await ask(snapshot, { what: "together_shares", together, between: {}, layer: 3 });
  expect(parts.error).toContain("saved copy");
});

test("of heads as one only those bands are decoded that an answer is read from", async () => {
  const snapshot = copy();
  const [head, end] = snapshot.blocks as [Stored, Stored];
  const other = (one: Stored): Stored => ({
    ...one,
    request: { ...one.request, head: 3 } as Request,
  });
  // Whoever decodes the second band fails.
  const broken = { ...end, block: { ...end.block, data: "AAAA" } };
  const blocks = [head, broken, other(head), other(broken)];
  const together = { how: "sum", heads: [2, 3] } as const;
  const of = async (request: Record<string, unknown>) =>
    ask({ ...snapshot, blocks }, { together, ...request });
  const rows = await of({ what: "weights", queries: [1, 3] });
  expect(rows.data[KEYS + 2]).toBeCloseTo(2 * weight(2, 2));
  const parts = await of({ what: "together_shares", between: { queries: [[0, 1], [2, 3]] } }); // biome-ignore format: pairs
  expect(Array.from(parts.data)).toEqual([0.5, 0.5]);
  await expect(of({ what: "mean" })).rejects.toThrow();
});
