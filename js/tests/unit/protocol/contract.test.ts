import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { requestKey } from "../../../src/data/requests.js";
import { type Thumbnail, Thumbnails } from "../../../src/data/thumbnails.js";
import { decodeBase64, decodeBlock } from "../../../src/protocol/decode.js";
import type { Snapshot } from "../../../src/protocol/generated.js";
import { readMeta, unpack } from "../../../src/protocol/positions.js";
import type { Invoke } from "../../../src/transport/invoke.js";
import { kernelFetch, snapshotFetch } from "../../../src/transport/kernel.js";

interface Fixture {
  snapshot: Snapshot;
  expected: string[][];
}
const path = new URL("../../../../tests/contract/fixtures/snapshot.json", import.meta.url);
const { snapshot, expected } = JSON.parse(readFileSync(path, "utf8")) as Fixture;
const python = (text: string) =>
  ({ inf: Infinity, "-inf": -Infinity, nan: Number.NaN })[text] ?? Number(text);

describe("blocks", () => {
  it("read the numbers that Python wrote", async () => {
    const fetch = snapshotFetch(snapshot);
    const results = await fetch(snapshot.blocks.map(({ request }) => request));
    expect(results.length).toBeGreaterThan(10);
    results.forEach((result, i) => {
      if (!("data" in result)) throw new Error(JSON.stringify(result));
      expect(result.shape).toEqual(snapshot.blocks[i]?.block.shape);
      expect(Array.from(result.data)).toEqual(expected[i]?.map(python));
    });
  });

  it("read columns out of the stored rows", async () => {
    const rows = snapshot.blocks.findIndex(({ request }) => request.what === "weights");
    const { request, block } = snapshot.blocks[rows] as Snapshot["blocks"][number];
    if (!("layer" in request)) throw new Error("weights are of a layer");
    const { queries: _, ...where } = request;
    const fetch = snapshotFetch(snapshot);
    const [found] = await fetch([{ ...where, what: "column", keys: [1, 3] }]);
    if (!found || !("data" in found)) throw new Error(JSON.stringify(found));
    const [, count = 0, numKeys = 0] = block.shape;
    expect(found.shape).toEqual([count, 2]);
    const all = expected[rows]?.map(python) ?? [];
    const wanted = Array.from(
      { length: 2 * count },
      (_, i) => all[(i >> 1) * numKeys + 1 + (i % 2)],
    );
    expect(Array.from(found.data)).toEqual(wanted);
    const [missing] = await fetch([{ ...where, what: "column", head: 99, keys: [1, 3] }]);
    expect(missing).toHaveProperty("error");
  });

  it("honour byteOffset, aligned or not", () => {
    for (const offset of [0, 4, 5]) {
      const buffer = new Uint8Array(offset + 12);
      const view = new DataView(buffer.buffer, offset, 12);
      [1.5, -2, 1e-9].forEach((value, i) => {
        view.setFloat32(4 * i, value, true);
      });
      const { data } = decodeBlock({ dtype: "float32", shape: [3] }, view);
      expect(Array.from(data)).toEqual([1.5, -2, Math.fround(1e-9)]);
    }
  });

  it("undo the square root of shades", () => {
    const { data } = decodeBlock({ dtype: "uint8", shape: [3] }, new Uint8Array([0, 51, 255]));
    expect(data[1]).toBeCloseTo(0.04, 6);
    expect([data[0], data[2]]).toEqual([0, 1]);
  });

  it("read halves, subnormal and infinite", () => {
    const halves = new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7c00, 0xfc00, 0x3555]);
    const { data } = decodeBlock({ dtype: "float16", shape: [6] }, halves);
    expect(Array.from(data)).toEqual([
      1,
      -2,
      2 ** -24,
      Infinity,
      -Infinity,
      Math.fround(0.333251953125),
    ]);
  });

  it("refuse bytes that do not fit the shape", () => {
    expect(() => decodeBlock({ dtype: "float32", shape: [2, 2] }, new Uint8Array(12))).toThrow(
      "needs 16 bytes, got 12",
    );
  });

  it("decode base64 of every length", () => {
    for (const text of ["", "a", "ab", "abc", "\u0000\u00ff\u0010"]) {
      expect(decodeBase64(btoa(text))).toEqual(Uint8Array.from(text, (c) => c.charCodeAt(0)));
    }
  });
});

describe("thumbnails", () => {
  it("find each head's image and strongest link, also where layers have gaps", () => {
    const overview = decodeBase64(snapshot.overview);
    for (const stream of snapshot.meta.streams) {
      const thumbnails = new Thumbnails(stream, overview);
      for (const { layer, num_heads } of stream.layers) {
        for (let head = 0; head < num_heads; head++) {
          const { data, rows, columns } = thumbnails.get(layer, head) as Thumbnail;
          expect(data.length).toBe(rows * columns);
          const top = thumbnails.top(layer, head);
          if (!top) throw new Error("the fixture has links");
          // Small heads are not pooled at all: the link's own cell holds its weight.
          const shade = data[top.query * columns + top.key] as number;
          expect(shade).toBe(Math.round(255 * Math.sqrt(top.weight)));
        }
      }
    }
    expect(() => new Thumbnails(snapshot.meta.streams[0] as never, overview).get(1, 0)).toThrow(
      "no layer 1",
    );
  });
});

describe("the kernel", () => {
  const request = {
    what: "weights",
    stream: "decoder",
    layer: 0,
    head: 1,
    queries: [0, 5],
  } as const;
  const requests = [{ ...request, queries: [0, 5] }];
  const { signal } = new AbortController();

  it("answers in order, refusals without bytes", async () => {
    const invoke = (async () => [
      {
        replies: [
          { ok: false, error: "no such head" },
          { ok: true, block: { dtype: "float32", shape: [1] } },
        ],
      },
      [new DataView(new Float32Array([7]).buffer)],
    ]) as unknown as Invoke;
    const [refused, answered] = await kernelFetch(invoke, signal)([...requests, ...requests]);
    expect(refused).toEqual({ error: "no such head" });
    expect(answered).toMatchObject({ data: new Float32Array([7]) });
  });

  it("that is gone gives words a reader can act on", async () => {
    const invoke = (() => Promise.reject(new Error("timeout"))) as Invoke;
    await expect(kernelFetch(invoke, signal)(requests)).rejects.toThrow("run this cell again");
  });

  it("is not there for a snapshot: what is missing says so", async () => {
    const [result] = await snapshotFetch({ ...snapshot, blocks: [] })(requests);
    expect(result).toMatchObject({ error: expect.stringContaining("not in this saved copy") });
    expect(requestKey(requests[0] as never)).toBe("weights/decoder/0/1/0-5/");
  });
});

describe("positions", () => {
  it("come out of their columns as Python put them in", () => {
    const [axis, other] = readMeta(snapshot.meta).positions;
    expect(axis?.[0]).toHaveProperty("label");
    const stream = snapshot.meta.streams[0];
    expect(axis?.length).toBe(5);
    expect(other?.length).toBe(7);
    expect(stream?.query_positions).toBe(0);
    expect(
      unpack({
        labels: ["the", "cat", "⟨U+202E⟩", "s", "bare"],
        marks: "42630",
        texts: ["\u202e"],
        runs: {
          kind: [["token", 5]],
          role: [
            ["user", 2],
            [null, 3],
          ],
        },
      }),
    ).toEqual([
      { label: "the", kind: "token", text: " the", role: "user" },
      { label: "cat", kind: "token", text: "cat", role: "user" },
      { label: "⟨U+202E⟩", kind: "token", text: "\u202e" },
      { label: "s", kind: "token", text: "s", continues: true },
      { label: "bare", kind: "token" },
    ]);
  });
});
