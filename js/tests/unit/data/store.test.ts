import { describe, expect, it, vi } from "vitest";
import { bandRows, requestKey } from "../../../src/data/requests.js";
import { type BlockResult, BlockStore, type Unfinished } from "../../../src/data/store.js";
import { streamBlocks } from "../../../src/data/stream-blocks.js";
import type { BlockRequest, Request, StreamMeta } from "../../../src/protocol/generated.js";

const stream = {
  name: "decoder",
  layers: [{ layer: 0, head_dim: 64 }],
} as unknown as StreamMeta;

/** A kernel that answers when told to. */
class Kernel {
  readonly asked: Request[][] = [];
  private readonly answers: ((results: (BlockResult | Unfinished)[]) => void)[] = [];

  readonly fetch = (requests: readonly Request[]) => {
    this.asked.push([...requests]);
    return new Promise<readonly (BlockResult | Unfinished)[]>((resolve) =>
      this.answers.push(resolve),
    );
  };

  async answer(make: (request: Request) => BlockResult | Unfinished = weights): Promise<void> {
    const batch = this.asked[this.asked.length - this.answers.length] as Request[];
    this.answers.shift()?.(batch.map(make));
    await new Promise((resolve) => setTimeout(resolve));
  }
}

const weights = (request: Request): BlockResult => {
  const [from = 0, to = 0] = ("layer" in request && request.queries) || [];
  return {
    shape: [1, to - from, 7],
    data: Float32Array.from({ length: (to - from) * 7 }, (_, i) => from * 7 + i),
  };
};

describe("the block store", () => {
  it("asks once per frame for all that was missing and then has it", async () => {
    const kernel = new Kernel();
    let arrivals = 0;
    const store = new BlockStore(kernel.fetch, () => arrivals++);
    const blocks = streamBlocks(store, stream, { numQueries: 5, numKeys: 7 });
    expect(blocks.weights(0, 1).row(2)).toBeNull();
    expect(blocks.weights(0, 1).row(3)).toBeNull();
    expect(blocks.weights(0, 2).row(0)).toBeNull();
    store.flush();
    expect(kernel.asked.map((batch) => batch.map(requestKey))).toEqual([
      ["weights/decoder/0/1/0-5/", "weights/decoder/0/2/0-5/"],
    ]);
    expect(store.pending).toBe(2);
    await kernel.answer();
    expect(arrivals).toBe(1);
    expect(Array.from(blocks.weights(0, 1).row(2) ?? [])).toEqual([14, 15, 16, 17, 18, 19, 20]);
    expect(store.pending).toBe(0);
  });

  it("never sends what the present frame no longer wants", async () => {
    const kernel = new Kernel();
    const store = new BlockStore(kernel.fetch, () => {});
    const blocks = streamBlocks(store, stream, { numQueries: 5, numKeys: 7 });
    for (let layer = 0; layer < 6; layer++) {
      store.begin();
      blocks.weights(layer, 0).row(0);
      store.flush();
    }
    await kernel.answer();
    store.flush();
    expect(kernel.asked.map(([request]) => request && "layer" in request && request.layer)).toEqual(
      [0, 1, 5],
    );
  });

  it("fetches long inputs in bands of query rows", () => {
    const kernel = new Kernel();
    const store = new BlockStore(kernel.fetch, () => {});
    const numKeys = 8000;
    const blocks = streamBlocks(store, stream, { numQueries: 8000, numKeys });
    blocks.weights(0, 0).row(300);
    store.flush();
    const asked = kernel.asked[0]?.[0] as BlockRequest;
    const [from = -1, to = -1] = asked.queries ?? [];
    expect(from).toBeLessThanOrEqual(300);
    expect(to).toBeGreaterThan(300);
    expect((to - from) * numKeys * 4).toBeLessThanOrEqual(1 << 16);
    expect(to - from).toBe(bandRows(numKeys));
  });

  it("fetches what every query gives a key with the keys beside it", async () => {
    const kernel = new Kernel();
    const store = new BlockStore(kernel.fetch, () => {});
    const [numQueries, numKeys] = [300, 500];
    const head = () => streamBlocks(store, stream, { numQueries, numKeys }).weights(0, 1);
    store.begin();
    expect(head().column?.(130)).toBeNull();
    store.flush();
    const [asked] = kernel.asked[0] as BlockRequest[];
    const { what, keys = [] } = asked as BlockRequest;
    const [start = -1, stop = -1] = keys;
    expect([what, stop - start]).toEqual(["column", bandRows(numQueries)]);
    const width = stop - start;
    const data = Float32Array.from({ length: numQueries * width }, (_, i) => i);
    await kernel.answer(() => ({ shape: [numQueries, width], data }));
    store.begin();
    const column = head().column?.(130);
    expect(column?.length).toBe(numQueries);
    expect(column?.[7]).toBe(7 * width + 130 - start);
    head().column?.(stop - 1);
    head().column?.(start);
    store.flush();
    expect(kernel.asked.length).toBe(1);
    store.begin();
    streamBlocks(store, stream, { numQueries, numKeys }).rollout(3).column?.(0);
    store.flush();
    expect(kernel.asked[1]?.[0]).toMatchObject({ what: "column", layer: 3, measure: "rollout" });
  });

  it("reads the columns of a small head out of its rows", async () => {
    const kernel = new Kernel();
    const store = new BlockStore(kernel.fetch, () => {});
    const head = streamBlocks(store, stream, { numQueries: 5, numKeys: 7 }).weights(0, 1);
    head.column?.(2);
    store.flush();
    expect(kernel.asked).toMatchObject([[{ what: "weights", queries: [0, 5] }]]);
    await kernel.answer();
    expect(Array.from(head.column?.(2) ?? [])).toEqual([2, 9, 16, 23, 30]);
  });

  it("keeps within its budget, oldest out first", () => {
    const store = new BlockStore(
      async () => [],
      () => {},
      3 * 28,
    );
    const request = (layer: number): Request => ({
      what: "weights",
      stream: "decoder",
      layer,
      head: 0,
      queries: [0, 1],
    });
    for (let layer = 0; layer < 3; layer++) store.put(request(layer), weights(request(layer)));
    store.begin();
    expect(store.get(request(0))).not.toBeNull();
    store.put(request(3), weights(request(3)));
    expect(store.get(request(1))).toBeNull();
    expect(store.get(request(0))).not.toBeNull();
  });

  it("never drops what the present frame reads, or it would fetch for ever", async () => {
    const kernel = new Kernel();
    const store = new BlockStore(kernel.fetch, () => {}, 10);
    const blocks = streamBlocks(store, stream, { numQueries: 5, numKeys: 7 });
    const draw = () => {
      store.begin();
      return [0, 1, 2].map((head) => blocks.weights(0, head).row(0));
    };
    draw();
    store.flush();
    await kernel.answer();
    expect(draw().every((row) => row !== null)).toBe(true);
    store.flush();
    expect(kernel.asked.length).toBe(1);
  });

  it("keeps the reason of a failure, and asks again only when told to", async () => {
    const kernel = new Kernel();
    const store = new BlockStore(kernel.fetch, () => {});
    const blocks = streamBlocks(store, stream, { numQueries: 5, numKeys: 7 });
    blocks.vectors("key_vectors", 0, 1).row(0);
    store.flush();
    await kernel.answer(() => ({ error: "no vectors here" }));
    expect(blocks.vectors("key_vectors", 0, 1).row(0)).toBeNull();
    expect(blocks.error("key_vectors", 0, 1)).toBe("no vectors here");
    expect(store.failed).toBe("no vectors here");
    expect(store.pending).toBe(0);
    store.retry();
    blocks.vectors("key_vectors", 0, 1).row(0);
    store.flush();
    expect(kernel.asked.length).toBe(2);
  });

  it("blames a frame only for what the frame shows", async () => {
    const kernel = new Kernel();
    const store = new BlockStore(kernel.fetch, () => {});
    const blocks = streamBlocks(store, stream, { numQueries: 5, numKeys: 7 });
    store.begin();
    blocks.weights(0, 1).row(2);
    store.flush();
    await kernel.answer();
    store.prefetch([{ what: "weights", stream: "decoder", layer: 1, head: 1, queries: [0, 5] }]);
    await kernel.answer(() => ({ error: "not in this saved copy" }));
    expect(store.failed).toBeNull();
    store.begin();
    expect(blocks.weights(1, 1).row(2)).toBeNull();
    expect(store.failed).toBe("not in this saved copy");
    store.begin();
    blocks.weights(0, 1).row(2);
    expect(store.failed).toBeNull();
  });

  it("labels come slice by slice after all else, and are no failure where they are not to be had", async () => {
    const kernel = new Kernel();
    const store = new BlockStore(kernel.fetch, () => {});
    const blocks = streamBlocks(store, stream, { numQueries: 5, numKeys: 7 });
    const frame = () => {
      store.begin();
      const found = blocks.heads({ what: "head_labels" }, "later");
      store.flush();
      expect(store.pending).toBe(0);
      store.prefetch([]);
      return found;
    };
    expect(frame()).toBeNull();
    expect(kernel.asked.length).toBe(1);
    await kernel.answer(() => ({ part: 0.4 }));
    expect(store.progress("heads")).toBeNull();
    expect(frame()).toBeNull();
    expect(kernel.asked.length).toBe(2);
    await kernel.answer(() => ({ error: "not in this saved copy" }));
    expect(frame()).toEqual({ error: "not in this saved copy" });
    expect(store.failed).toBeNull();
    expect(kernel.asked.length).toBe(2);
  });

  const half = { shape: [1, 2], data: new Float32Array([0.25, 0.5]) };

  /** Draws or leaves out some tiles, as a view does. */
  const tiles = (kernel: Kernel) => {
    const store = new BlockStore(kernel.fetch, () => {});
    const blocks = streamBlocks(store, stream, { numQueries: 900, numKeys: 900 });
    const frame = (...layers: readonly number[]) => {
      store.begin();
      const [first = null] = layers.map((layer) => blocks.tile(layer, 1, 2, [0, 0]));
      store.flush();
      return first;
    };
    return { store, frame };
  };

  it("asks again for what is not finished, without a frame, as long as the last one wanted it", async () => {
    const kernel = new Kernel();
    const { store, frame } = tiles(kernel);
    frame(0);
    expect(store.progress("blocks")).toBeNull();
    await kernel.answer(() => ({ part: 0.4 }));
    expect(kernel.asked.length).toBe(2);
    expect(store.progress("blocks")).toEqual({ part: 0.4, stopped: false });
    expect(store.progress("heads", "thumbnails")).toBeNull();
    // Another layer was chosen: nobody asks for the rest of this one.
    frame(1);
    expect(kernel.asked.length).toBe(3);
    await kernel.answer(() => ({ part: 0.8 }));
    expect(kernel.asked.length).toBe(3);
    expect(store.progress("blocks")).toBeNull();
    await kernel.answer(() => half);
    expect(Array.from(frame(1)?.data ?? [])).toEqual([0.25, 0.5]);
    frame(0);
    await kernel.answer(() => ({ part: 0.9 }));
    await kernel.answer(() => half);
    expect(Array.from(frame(0)?.data ?? [])).toEqual([0.25, 0.5]);
    expect(store.progress("blocks")).toBeNull();
  });

  it("draws seldom for progress alone, and at once for what is there", async () => {
    vi.useFakeTimers();
    const kernel = new Kernel();
    let arrivals = 0;
    const store = new BlockStore(kernel.fetch, () => arrivals++);
    const answer = async (make: (request: Request) => BlockResult | Unfinished) => {
      const answered = kernel.answer(make);
      await vi.advanceTimersByTimeAsync(1);
      await answered;
    };
    const blocks = streamBlocks(store, stream, { numQueries: 900, numKeys: 900 });
    store.begin();
    blocks.tile(0, 1, 2, [0, 0]);
    store.flush();
    await answer(() => ({ part: 0.1 }));
    expect(arrivals).toBe(1);
    for (const part of [0.2, 0.3, 0.4]) await answer(() => ({ part }));
    expect(arrivals).toBe(1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(arrivals).toBe(2);
    await answer(() => ({ part: 0.5 }));
    const before = arrivals;
    await answer(() => half);
    expect(arrivals).toBe(before + 1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(arrivals).toBe(before + 1);
    vi.useRealTimers();
  });

  it("stops when the reader says so, and goes on when the reader does", async () => {
    const kernel = new Kernel();
    const { store, frame } = tiles(kernel);
    frame(0);
    expect(store.stop()).toBe(false);
    await kernel.answer(() => ({ part: 0.3 }));
    expect(store.stop()).toBe(true);
    expect(store.stop()).toBe(false);
    await kernel.answer(() => ({ part: 0.6 }));
    expect(frame(0)).toBeNull();
    expect(kernel.asked.length).toBe(2);
    expect(store.progress("blocks")).toEqual({ part: 0.6, stopped: true });
    expect(store.pending).toBe(0);
    store.resume();
    frame(0);
    expect(kernel.asked.length).toBe(3);
    await kernel.answer(() => half);
    expect(frame(0)).not.toBeNull();
  });

  it("takes up again what was stopped once it is looked at anew", async () => {
    const kernel = new Kernel();
    const { store, frame } = tiles(kernel);
    frame(0);
    await kernel.answer(() => ({ part: 0.3 }));
    store.stop();
    await kernel.answer(() => ({ part: 0.6 }));
    frame(1);
    frame(0);
    expect(kernel.asked.length).toBe(4);
  });

  it("turns a rejected fetch into a reason, and is silent once disposed", async () => {
    let arrivals = 0;
    const store = new BlockStore(
      () => Promise.reject(new Error("gone")),
      () => arrivals++,
    );
    const rows = streamBlocks(store, stream, { numQueries: 5, numKeys: 7 }).weights(0, 0);
    rows.row(0);
    store.flush();
    await new Promise((resolve) => setTimeout(resolve));
    expect(rows.error).toBe("gone");
    store.dispose();
    const before = arrivals;
    streamBlocks(store, stream, { numQueries: 5, numKeys: 7 }).weights(1, 0).row(0);
    store.flush();
    await new Promise((resolve) => setTimeout(resolve));
    expect(arrivals).toBe(before);
  });
});
