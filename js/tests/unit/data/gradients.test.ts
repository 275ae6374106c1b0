import { expect, test } from "vitest";
import { type Blocks, Matrix, type Rows } from "../../../src/data/blocks.js";
import { drawnThumbnails } from "../../../src/data/derived-thumbnails.js";
import { BOTH_SIGNS, largestSize } from "../../../src/data/gradients.js";
import { measuredBlocks, whyMissing } from "../../../src/data/measures.js";
import { BlockStore } from "../../../src/data/store.js";
import { streamBlocks } from "../../../src/data/stream-blocks.js";
import { togetherRows } from "../../../src/data/together.js";
import { wordRows, wordsOf } from "../../../src/data/words.js";
import { resample, withoutColumns } from "../../../src/marks/heads/thumbnails.js";
import type { Request, StreamMeta } from "../../../src/protocol/generated.js";
import { StoredBlocks } from "../../../src/transport/snapshot.js";
import { attentionScene } from "../../support/attention-scene.js";

const scene = attentionScene({ queries: ["a", "b", "c", "d", "e"] });
const stream: StreamMeta = { ...scene.stream, metric: "log p(“x”)" };
const measured = (measure: "gradient" | "relevance", blocks: Blocks = scene.blocks) =>
  measuredBlocks(blocks, stream, measure, 5);
const links = scene.heads(1, 2).gradient;
const most = Math.max(...links.data.map(Math.abs));
const all = (rows: Rows) => Array.from({ length: 5 }, (_, query) => [...(rows.row(query) ?? [])]);

test("rows and columns are those of the gradient, or the positive part of them", () => {
  const signed = measured("gradient").weights(1, 2);
  const relevance = measured("relevance").weights(1, 2);
  expect(Math.min(...links.data)).toBeLessThan(0);
  for (let query = 0; query < 5; query++) {
    const row = [...links.row(query)];
    expect([...(signed.row(query) ?? [])]).toEqual(row);
    expect([...(relevance.row(query) ?? [])]).toEqual(row.map((value) => Math.max(0, value)));
    expect(relevance.column?.(3)?.[query]).toBe(Math.max(0, row[3] as number));
  }
});

test("their scale ends at the largest size, of words and of heads as one too", () => {
  const none = () => null;
  expect(largestSize(measured("gradient").weights(1, 2), none)).toBe(most);
  const positive = Math.max(...links.data);
  expect(largestSize(measured("relevance").weights(1, 2), none)).toBe(positive);
  const words = wordsOf([
    { label: "a" },
    { label: "b", continues: true },
    { label: "c" },
    { label: "d" },
    { label: "e" },
  ] as never);
  const merged = wordRows(measured("gradient").weights(1, 2), words, words);
  const sizes = [0, 1, 2, 3].flatMap((word) => [...(merged.row(word) ?? [])].map(Math.abs));
  expect(largestSize(merged, none)).toBeCloseTo(Math.max(...sizes), 6);
  const sum = togetherRows(
    [0, 1].map((head) => measured("gradient").weights(1, head)),
    "sum",
  );
  expect(sum.fitted).toBe(true);
  expect(largestSize(sum, none)).toBe(Math.max(...all(sum).flat().map(Math.abs)));
  const missing = { ...measured("gradient").weights(1, 2), row: () => null };
  expect(largestSize(missing, none)).toBeNull();
  // Of a long head the map says it.
  const long = { ...missing, numQueries: 4096, numKeys: 4096 };
  const map = new Matrix(1, 2, Float32Array.from([-0.75, 0.5]));
  expect(largestSize(long, () => map)).toBe(0.75);
});

test("a record without a metric, a comparison and a layer without gradients say why there are none", () => {
  const { metric: _, ...without } = stream;
  expect(whyMissing(without, scene.layer, "gradient")).toContain("metric=…");
  const compared = { ...without, no_gradients: "of one record." };
  expect(whyMissing(compared, scene.layer, "relevance")).toBe("No gradients: of one record.");
  const layer = { ...scene.layer, missing: { gradient: "none here." } };
  expect(whyMissing(stream, layer, "gradient")).toBe("No gradients: none here.");
  expect(whyMissing(stream, scene.layer, "gradient")).toBeNull();
  const refused = measuredBlocks(scene.blocks, without, "gradient", 5).weights(1, 2);
  expect(refused.row(0)).toBeNull();
  expect(refused.error).toContain("metric=…");
});

test("numbers of both signs have no parts", () => {
  const heads = { how: "sum", heads: [0, 1] } as const;
  expect(measured("gradient").togetherShares(1, heads, {})).toEqual({ error: BOTH_SIGNS });
  expect(measured("relevance").togetherShares(1, heads, {})).toBeInstanceOf(Float32Array);
});

test("the kernel is asked for the measure: rows, columns of long heads, tiles and means", () => {
  const asked: Request[] = [];
  const store = new BlockStore(
    async (requests) => {
      asked.push(...requests);
      return requests.map(() => ({ error: "no" }));
    },
    () => {},
  );
  const blocks = streamBlocks(store, stream, { numQueries: 4096, numKeys: 4096 });
  store.begin();
  const of = measured("relevance", blocks);
  of.weights(1, 2).row(0);
  of.weights(1, 2).column?.(3);
  of.tile(1, 2, 4, [0, 0]);
  of.mean(1, 2);
  store.flush();
  const found = asked.map(({ what, ...rest }) => [what, "measure" in rest ? rest.measure : null]);
  expect(found).toEqual(
    expect.arrayContaining([
      ["gradient", null],
      ["column", "gradient"],
      ["tile", "relevance"],
      ["mean", "relevance"],
    ]),
  );
});

test("a thumbnail keeps the sign of what is largest, and nothing is its middle", () => {
  const data = Float32Array.from({ length: 25 }, (_, i) => (i === 7 ? -1 : i === 8 ? 0.25 : 0));
  const blocks = {
    ...scene.blocks,
    overview: () => ({
      rows: 5,
      columns: 5,
      data: Float32Array.from({ length: 75 }, (_, i) => data[i % 25] as number),
    }),
  };
  const lens = { stream, measure: "gradient", queries: null, keys: null } as const;
  const sizes = { queries: 5, keys: 5, shown: 5 };
  const { thumbnails } = drawnThumbnails(scene.thumbnails, lens, blocks, sizes);
  const head = thumbnails.get(1, 2);
  expect(thumbnails.about).toMatchObject({ scale: 1, signed: true });
  expect(head?.signed).toBe(true);
  expect([head?.data[7], head?.data[8], head?.data[0]]).toEqual([1, 192, 128]);
  expect(thumbnails.top(1, 2)).toEqual({ query: 1, key: 2, weight: -1 });
  if (!head) throw new Error("no thumbnail");
  expect([...resample(head, 1, 1)]).toEqual([1]);
  expect(withoutColumns(head, [2], false).data[7]).toBe(128);
});

test("a head that has no gradients, or whose gradients have not come, has an empty thumbnail", () => {
  const scene = attentionScene();
  const lens = { stream: scene.stream, measure: "gradient", queries: null, keys: null } as const;
  const sizes = { queries: 9, keys: 9, shown: 9 };
  const { thumbnails } = drawnThumbnails(scene.thumbnails, lens, scene.blocks, sizes);
  // Half way, where colours of both signs say nothing.
  expect(new Set(thumbnails.get(1, 2)?.data)).toEqual(new Set([128]));
});

test("a saved page reads tiles, columns and means of both measures from the rows it holds", async () => {
  const rows = [0.5, -2, 0, 1, 0.25, -0.5];
  const bytes = new Uint8Array(Float32Array.from(rows).buffer);
  const block = {
    shape: [1, 2, 3],
    dtype: "float32" as const,
    data: btoa(String.fromCharCode(...bytes)),
  };
  const where = { stream: "s", layer: 0, head: 0 };
  const request = { what: "gradient" as const, ...where, queries: [0, 2] as [number, number] };
  const stored = new StoredBlocks({ blocks: [{ request, block }] } as never);
  const read = async (asked: object) => {
    const found = await stored.get({ ...where, ...asked } as never);
    return found && "data" in found ? [...found.data] : found;
  };
  const tile = { what: "tile", level: 2, tile: [0, 0] };
  expect(await read({ ...tile, measure: "gradient" })).toEqual([-2]);
  expect(await read({ ...tile, measure: "relevance" })).toEqual([1]);
  expect(await read({ what: "column", keys: [1, 2], measure: "gradient" })).toEqual([-2, 0.25]);
  expect(await read({ what: "mean", measure: "relevance" })).toEqual([0.75, 0.125, 0]);
});
