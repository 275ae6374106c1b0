import { expect, test } from "vitest";
import { LaterThumbnails } from "../../../src/data/lazy-thumbnails.js";
import { type BlockResult, BlockStore } from "../../../src/data/store.js";
import { Thumbnails } from "../../../src/data/thumbnails.js";
import type { BlockRequest, Request, StreamMeta } from "../../../src/protocol/generated.js";

const LAYERS = 5;
const HEADS = 2;
const SIDE = 3;

const streamOf = (sampled = false) =>
  ({
    name: "self",
    layers: Array.from({ length: LAYERS }, (_, layer) => ({ layer, num_heads: HEADS })),
    overview: { offset: 0, rows: SIDE, columns: SIDE, sampled, later: true },
  }) as unknown as StreamMeta;

/** Weights whose shade in a byte tells the layer, and whether they are of all rows. */
const weight = (layer: number, exact: boolean) => ((10 * (layer + 1) + (exact ? 5 : 0)) / 255) ** 2;

/** A kernel that answers when it is told to, some of what it was asked for. */
class Kernel {
  readonly asked: BlockRequest[] = [];
  private open: { readonly request: BlockRequest; resolve(result: BlockResult): void }[] = [];

  readonly fetch = (requests: readonly Request[]) =>
    Promise.all(
      (requests as readonly BlockRequest[]).map(
        (request) =>
          new Promise<BlockResult>((resolve) => {
            this.asked.push(request);
            this.open.push({ request, resolve });
          }),
      ),
    );

  async answer(fails: (request: BlockRequest) => boolean = () => false): Promise<void> {
    for (const { request, resolve } of this.open.splice(0)) {
      const { what, layer } = request;
      const links = what === "links";
      const data = links
        ? Float32Array.from({ length: 4 * HEADS }, () => 0.1)
        : new Float32Array(HEADS * SIDE * SIDE).fill(weight(layer, what === "thumbnails"));
      const shape = links ? [HEADS, 4] : [HEADS, SIDE, SIDE];
      resolve(fails(request) ? { error: "no" } : { shape, data });
    }
    await new Promise((done) => setTimeout(done));
  }
}

function opened(stream = streamOf(), atOnce = false) {
  const kernel = new Kernel();
  const store = new BlockStore(kernel.fetch, () => {});
  const later = new LaterThumbnails(stream, store, atOnce);
  const about = { scale: 1, notes: [] };
  const thumbnails = new Thumbnails(stream, later.bytes, 7, 7, about, later);
  /** One frame that looks at some layers. */
  const frame = (looked: readonly number[], selected = 2) => {
    store.begin();
    later.begin("model/");
    const shown = looked.map((layer) => thumbnails.get(layer, 1)?.data[0] ?? null);
    later.end(selected);
    store.flush();
    return shown;
  };
  const asked = () => kernel.asked.splice(0).map(({ what, layer }) => `${what} ${layer}`);
  return { kernel, later, thumbnails, frame, asked };
}

const ALL = [0, 1, 2, 3, 4];

test("all layers of a sample come first, then those of all rows from the selected layer outward", async () => {
  const { kernel, later, thumbnails, frame, asked } = opened();
  expect(frame(ALL)).toEqual(ALL.map(() => null));
  expect([later.blank, later.progress]).toEqual([5, "thumbnails: 0 %"]);
  expect(asked()).toEqual(["sample 2", "sample 1", "sample 3", "sample 0", "sample 4"]);
  await kernel.answer();
  expect(frame(ALL)).toEqual([10, 20, 30, 40, 50]);
  expect([later.blank, later.progress]).toEqual([0, "sampled, 0 % exact"]);
  expect(ALL.map((layer) => thumbnails.isSampled(layer))).toEqual(ALL.map(() => true));
  const both = (layers: readonly number[]) =>
    layers.flatMap((layer) => [`thumbnails ${layer}`, `links ${layer}`]);
  expect(asked()).toEqual(both([2, 1, 3]));
  await kernel.answer();
  // In the same places, with nothing blank between.
  expect(frame(ALL)).toEqual([10, 25, 35, 45, 50]);
  expect(later.progress).toBe("sampled, 60 % exact");
  expect(ALL.filter((layer) => thumbnails.isSampled(layer))).toEqual([0, 4]);
  expect(asked()).toEqual(both([0, 4]));
  await kernel.answer();
  expect(frame(ALL)).toEqual([15, 25, 35, 45, 55]);
  expect(later.progress).toBeNull();
  expect(asked()).toEqual([]);
});

test("what is scrolled to comes before what is nearer to the selected layer", async () => {
  const { kernel, frame, asked } = opened();
  frame([0], 4);
  expect(asked()[0]).toBe("sample 0");
  await kernel.answer();
  frame([0], 4);
  expect(asked().filter((each) => each.startsWith("thumb"))).toEqual([
    "thumbnails 0",
    "thumbnails 4",
    "thumbnails 3",
  ]);
});

test("a sample that cannot be had holds up nothing", async () => {
  const { kernel, later, frame, asked } = opened();
  frame(ALL);
  await kernel.answer(({ layer }) => layer === 2);
  expect(frame(ALL)).toEqual([10, 20, null, 40, 50]);
  expect(later.blank).toBe(1);
  asked();
  await kernel.answer();
  expect(frame(ALL)).toEqual([10, 25, 35, 45, 50]);
});

test("who draws once asks for no sample, and of very long inputs the last ones are not called exact", async () => {
  const once = opened(streamOf(), true);
  once.frame(ALL);
  expect(once.asked().filter((each) => each.startsWith("sample"))).toEqual([]);
  const { kernel, later, frame } = opened(streamOf(true));
  frame(ALL);
  await kernel.answer();
  frame(ALL);
  expect(later.progress).toBe("sampled, 0 % done");
});
