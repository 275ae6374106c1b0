import { describe, expect, it } from "vitest";
import type { BlockResult, Blocks } from "../../../src/data/blocks.js";
import { measuredBlocks } from "../../../src/data/measures.js";
import { requestKey } from "../../../src/data/requests.js";
import { BlockStore } from "../../../src/data/store.js";
import { streamBlocks } from "../../../src/data/stream-blocks.js";
import { type Together, togetherBlocks } from "../../../src/data/together.js";
import type { BlockRequest, Position, Request } from "../../../src/protocol/generated.js";
import { blocksAtStep } from "../../../src/scene/generation-step.js";
import { lensOf, wordBlocks } from "../../../src/scene/lens.js";
import { attentionScene } from "../../support/attention-scene.js";

const COUNT = 6;
const TOGETHER: Together = { how: "max", heads: [0, 2, 0, 2], layers: [0, 0, 1, 1] };
const { stream } = attentionScene({ queries: ["a", "b", "c", "d", "e", "f"] });

/** A store that answers with rows whose every number is their query, and what it was asked. */
function stored() {
  const asked: BlockRequest[] = [];
  const answer = (request: Request): BlockResult => {
    const wanted = request as BlockRequest;
    asked.push(wanted);
    const [start = 0, stop = 1] = wanted.queries ?? [];
    if (wanted.what !== "weights")
      return { shape: [1, COUNT], data: new Float32Array(COUNT).fill(2) };
    const wide = wanted.positions ? 4 : COUNT;
    const data = Float32Array.from(
      { length: (stop - start) * wide },
      (_, at) => Math.floor(at / wide) + start,
    );
    return { shape: [1, stop - start, wide], data };
  };
  let done = () => {};
  const store = new BlockStore(
    async (requests) => requests.map(answer),
    () => done(),
  );
  const blocks = streamBlocks(store, stream, { numQueries: COUNT, numKeys: COUNT });
  /** What is read, once it has come. */
  const read = async <T>(of: () => T | null): Promise<T> => {
    for (;;) {
      store.begin();
      const found = of();
      if (found !== null) return found;
      const arrived = new Promise<void>((resolve) => {
        done = resolve;
      });
      store.flush();
      await arrived;
    }
  };
  return { asked, blocks, read };
}

const rowOf = (blocks: Blocks, together: Together, query: number) =>
  togetherBlocks(blocks, together, COUNT).weights(0, 0).row(query);

describe("heads of several layers as one", () => {
  it("come as one head, whatever their number", async () => {
    const { asked, blocks, read } = stored();
    const row = await read(() => rowOf(blocks, TOGETHER, 3));
    expect(Array.from(row)).toEqual(new Array(COUNT).fill(3));
    expect(asked).toEqual([
      {
        what: "weights",
        stream: "self",
        layer: 0,
        head: 0,
        queries: [0, COUNT],
        together: TOGETHER,
      },
    ]);
    const drawn = togetherBlocks(blocks, TOGETHER, COUNT);
    // A column of a head that came whole asks for nothing more.
    expect(await read(() => drawn.column(0, 0, 1))).toEqual(Float32Array.of(0, 1, 2, 3, 4, 5));
    expect(asked).toHaveLength(1);
    await read(() => drawn.mean(0, 0));
    expect(asked.map(({ what }) => what)).toEqual(["weights", "mean"]);
  });

  it("only a sum goes beyond 1", () => {
    const scale = (how: Together["how"]) =>
      togetherBlocks(stored().blocks, { ...TOGETHER, how }, COUNT).weights(0, 0).scale;
    expect([scale("mean"), scale("max"), scale("sum")]).toEqual([undefined, undefined, 4]);
  });

  it("are asked for under a measure, whose scale is the longest value of any of them", async () => {
    const { asked, blocks, read } = stored();
    const measured = measuredBlocks(blocks, stream, "value", COUNT);
    await read(() => rowOf(measured, TOGETHER, 0));
    expect(asked.at(-1)).toMatchObject({ what: "weights", measure: "value", together: TOGETHER });
    const lengths = () =>
      [0, 1].every((layer) => [0, 2].every((head) => blocks.lengths("value", layer, head)));
    await read(() => lengths() || null);
    const summed = { ...TOGETHER, how: "sum" } as const;
    const scales = [TOGETHER, summed].map(
      (together) => togetherBlocks(measured, together, COUNT).weights(0, 0).scale,
    );
    expect(scales).toEqual([2, 8]);
  });

  it("a maximum between words is asked for, a mean is made of pieces", async () => {
    const positions: Position[] = ["a", "b", "c", "d", "e", "f"].map((label, at) => ({
      label,
      kind: "token",
      ...(at % 3 === 2 ? { continues: true } : {}),
    }));
    const lens = lensOf(
      stream,
      { queries: positions, keys: positions },
      { positions: "words", measure: "weights" },
    );
    const { asked, blocks, read } = stored();
    // Of the fourth word, pieces 4 and 5, the first piece is there.
    const step = { step: 0, numQueries: 5, numKeys: 5 };
    const words = wordBlocks(lens, blocksAtStep(blocks, step), 4);
    const rows = togetherBlocks(words, TOGETHER, 4).weights(0, 0);
    expect(Array.from(await read(() => rows.row(3)))).toEqual([3, 3, 3, 3]);
    expect(asked).toEqual([
      expect.objectContaining({ positions: "words", there: 5, queries: [0, 4] }),
    ]);
    const mean = await read(() => rowOf(words, { ...TOGETHER, how: "mean" }, 3));
    // Every piece gives each key its own number: a key of two pieces twice.
    expect(Array.from(mean)).toEqual([4, 8, 4, 8]);
    expect(asked.at(-1)).not.toHaveProperty("positions");
  });

  it("rows that are not there yet are empty", async () => {
    const { blocks, read } = stored();
    const staged = blocksAtStep(blocks, { step: 0, numQueries: 4, numKeys: 4 });
    expect(Array.from(await read(() => rowOf(staged, TOGETHER, 5)))).toEqual(
      new Array(COUNT).fill(0),
    );
    expect(togetherBlocks(staged, TOGETHER, 4).mean(0, 0)?.[0]).toBeCloseTo(6 / 4);
  });

  it("are kept apart from single heads and from other layers", () => {
    const at = { what: "weights", stream: "self", layer: 0, head: 0, queries: [0, 1] } as const;
    const others: Request[] = [
      { ...at, queries: [0, 1] },
      { ...at, queries: [0, 1], together: TOGETHER },
      { ...at, queries: [0, 1], together: { ...TOGETHER, layers: [0, 0, 2, 2] } },
      { ...at, queries: [0, 1], together: { ...TOGETHER, how: "mean" } },
      { ...at, queries: [0, 1], together: TOGETHER, there: 3 },
    ];
    expect(new Set(others.map(requestKey)).size).toBe(others.length);
    // Whichever of the layers is selected.
    const [, , , one] = others as BlockRequest[];
    expect(requestKey({ ...one, layer: 1, head: 2 } as Request)).toBe(requestKey(one as Request));
  });

  it("a failure of them is none of a single head", async () => {
    const { stream, keys } = attentionScene();
    const store = new BlockStore(
      async (requests) => requests.map(() => ({ error: "no such head" })),
      () => {},
    );
    const blocks = streamBlocks(store, stream, { numQueries: keys.length, numKeys: keys.length });
    const drawn = togetherBlocks(blocks, TOGETHER, keys.length);
    store.put(
      { what: "mean", stream: "self", layer: 0, head: 0, together: TOGETHER },
      { error: "no such head" },
    );
    expect(drawn.error("mean", 0, 0)).toBe("no such head");
    expect(blocks.error("mean", 0, 0)).toBeNull();
  });
});
