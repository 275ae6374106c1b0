import { describe, expect, it } from "vitest";
import { Matrix, type Rows } from "../../../src/data/blocks.js";
import { measuredBlocks } from "../../../src/data/measures.js";
import { BlockStore } from "../../../src/data/store.js";
import { wordPicture, wordRows, wordsOf } from "../../../src/data/words.js";
import type { Meta, Position, Request } from "../../../src/protocol/generated.js";
import { lensOf, recordChange, recordHover, shownState } from "../../../src/scene/lens.js";
import type { Scene } from "../../../src/scene/scene.js";
import { SceneMaker } from "../../../src/scene/scene-maker.js";
import type { State } from "../../../src/state/selection.js";
import { defaultOptions } from "../../../src/state/signals.js";
import { headView } from "../../../src/views/head/view.js";
import { neuronView } from "../../../src/views/neuron/view.js";
import { attentionScene } from "../../support/attention-scene.js";
import { RecordingSurface } from "../../support/recording-surface.js";

const PIECES: readonly Position[] = [
  { label: "un", kind: "token" },
  { label: "believ", kind: "token", continues: true },
  { label: "able", kind: "token", continues: true },
  { label: "cat", kind: "token" },
  { label: "s", kind: "token", continues: true },
];
const WEIGHTS = new Matrix(
  5,
  5,
  Float32Array.from({ length: 25 }, (_, i) => ((i * 7) % 11) / 32),
);
const rowsOf = (matrix: Matrix): Rows => ({
  numQueries: matrix.rows,
  numKeys: matrix.columns,
  error: null,
  row: (query) => matrix.row(query),
});
/** Sum over a key's pieces, mean over a query's: written out. */
function merged(query: readonly number[], key: readonly number[]): number {
  let sum = 0;
  for (const q of query) for (const k of key) sum += WEIGHTS.row(q)[k] as number;
  return sum / query.length;
}
const WORDS = [
  [0, 1, 2],
  [3, 4],
];

describe("words", () => {
  const words = wordsOf(PIECES);

  it("are pieces put together; a special token or another segment begins a new one", () => {
    expect(words?.positions.map(({ label, kind, continues }) => [label, kind, continues])).toEqual([
      ["unbelievable", "word", undefined],
      ["cats", "word", undefined],
    ]);
    expect(wordsOf(PIECES)).toBe(words);
    expect(wordsOf(PIECES.slice(0, 1))).toBeNull();
    const apart: Position[] = [
      { label: "[SEP]", kind: "special" },
      { label: "s", kind: "token", continues: true },
      { label: "t", kind: "token", continues: true, segment: 1 },
    ];
    expect(wordsOf(apart)).toBeNull();
  });

  it("have the sum of a key's pieces, the mean of a query's", () => {
    const rows = wordRows(rowsOf(WEIGHTS), words, words);
    for (const [word, query] of WORDS.entries()) {
      const row = rows.row(word) as Float32Array;
      for (const [other, key] of WORDS.entries()) {
        expect(row[other]).toBeCloseTo(merged(query, key), 6);
      }
    }
    const picture = wordPicture(WEIGHTS, words, words);
    expect(picture).toMatchObject({ rows: 2, columns: 2 });
    expect(picture?.data[1]).toBeCloseTo(merged([0, 1, 2], [3, 4]), 6);
    expect(wordPicture(new Matrix(2, 5, WEIGHTS.data), words, words)).toBeNull();
  });

  it("of a word half generated have the pieces that are there", () => {
    const rows = wordRows({ ...rowsOf(WEIGHTS), numShown: 4 }, words, words);
    expect(rows.numShown).toBe(2);
    expect(rows.row(1)?.[0]).toBeCloseTo(merged([3], [0, 1, 2]), 6);
  });
});

const at = (given: Partial<State>): State => ({ ...attentionScene().state, ...given });

describe("a lens", () => {
  const { stream } = attentionScene();
  const axes = { queries: PIECES, keys: PIECES };
  const words = lensOf(stream, axes, { positions: "words", measure: "weights" });

  it("is none where it would change nothing", () => {
    expect(lensOf(stream, axes, { positions: "pieces", measure: "weights" })).toBeNull();
    const whole = { queries: PIECES.slice(0, 1), keys: PIECES.slice(3, 4) };
    expect(lensOf(stream, whole, { positions: "words", measure: "weights" })).toBeNull();
  });

  it("pins words for pieces and all pieces for a word", () => {
    expect(shownState(words, at({ query: 1, queries: [1, 2, 4], keys: [3] }))).toMatchObject({
      query: 0,
      queries: [0, 1],
      key: 1,
    });
    expect(recordChange(words, { queries: [1], keys: [] })).toEqual({ queries: [3, 4], keys: [] });
    expect(recordHover(words, { query: 1 })).toEqual({ query: 3 });
  });

  it("of a rollout has one head a layer and leaves the selected heads alone", () => {
    const rollout = lensOf(stream, axes, { positions: "pieces", measure: "rollout" });
    expect(rollout?.stream.layers.map(({ num_heads }) => num_heads)).toEqual([1, 1]);
    const state = at({ heads: [2, 1], compare: [[0, 1], [0, 2], [1, 0]] }); // biome-ignore format: pairs
    expect(shownState(rollout, state)).toMatchObject({ heads: [0], compare: [[0, 0], [1, 0]] }); // biome-ignore format: pairs
    expect(recordChange(rollout, { layer: 1, heads: [0] })).toEqual({ layer: 1 });
  });
});

/** A scene maker over one layer of two heads whose blocks are answered from tables. */
function maker(missing?: { value: string }) {
  const scene = attentionScene({ numLayers: 1, numHeads: 2, queries: PIECES.map((p) => p.label) });
  const layers = scene.stream.layers.map((layer) => ({
    ...layer,
    ...(missing ? { missing } : {}),
  }));
  const stream = { ...scene.stream, layers, key_positions: 0, overview: { offset: 0, rows: 5, columns: 5, sampled: false } }; // biome-ignore format: one line
  const meta = { ...scene.meta, positions: [PIECES], streams: [stream] } as unknown as Meta;
  const store = new BlockStore(async () => [], () => {}, Number.POSITIVE_INFINITY); // biome-ignore format: one line
  const put = (request: Partial<Request>, shape: number[], data: Float32Array) =>
    store.put({ stream: "self", layer: 0, head: 0, ...request } as Request, { shape, data });
  for (const head of [0, 1]) {
    put({ what: "weights", head, queries: [0, 5] }, [1, 5, 5], WEIGHTS.data);
    put({ what: "lengths", head, measure: "value" }, [1, 5], LENGTHS);
  }
  put({ what: "rollout", queries: [0, 5] }, [1, 5, 5], WEIGHTS.data);
  const picture = Float32Array.from([...WEIGHTS.data, ...WEIGHTS.data], (w) => 8 * w);
  put({ what: "overview", measure: "value", size: 5 }, [2, 5, 5], picture);
  const made = new SceneMaker(meta, new Uint8Array(50).fill(255), store, new Uint8Array(0));
  const make = (given: Partial<State>): Scene =>
    made.make(at({ stream: "self", ...given }), null, defaultOptions(), false);
  return { make, store };
}
const LENGTHS = Float32Array.from([2, 4, 0.5, 1, 3]);

function textsOf(scene: Scene, view = headView): readonly string[] {
  const surface = new RecordingSurface(460, 420);
  view.draw(surface, scene, { width: 460, height: 420, scroll: 0 });
  return surface.calls.flatMap(({ text }) => text ?? []);
}

describe("a scene through a lens", () => {
  it("multiplies weights by lengths and ends its scale at the longest", () => {
    const scene = maker().make({ measure: "value", query: 1, queries: [1] });
    const rows = scene.blocks.weights(0, 1);
    expect(rows.scale).toBe(4);
    expect(rows.row(2)?.[4]).toBeCloseTo(3 * (WEIGHTS.row(2)[4] as number), 6);
    const texts = textsOf(scene);
    expect(texts).toContain("value-weighted α‖v‖");
    expect(texts).toContain("scale: up to 4, the longest value");
    expect(texts).toContain("0.2");
    const largest = Math.max(...WEIGHTS.data) * 8;
    expect(scene.thumbnails.about.scale).toBeCloseTo(largest, 5);
    expect(scene.thumbnails.top(0, 0)?.weight).toBeCloseTo(largest, 5);
    expect(textsOf(scene, neuronView).some((text) => /whatever the measure/.test(text))).toBe(true);
  });

  it("says why a measure is missing, in place", () => {
    const { make, store } = maker({ value: "its values were not kept." });
    store.begin();
    const scene = make({ measure: "value" });
    const words = textsOf(scene).join(" ");
    expect(words).toContain("No value lengths: its values were not kept.");
    expect(scene.thumbnails.about.notes).toEqual(["Layer 0: No value lengths: its values were not kept."]); // biome-ignore format: one line
    expect(store.missing).toEqual([]);
  });

  it("merges words after the measure, and says so", () => {
    const scene = maker().make({ measure: "value", positions: "words", queries: [0, 1, 2] });
    const row = scene.blocks.weights(0, 0).row(0) as Float32Array;
    const expected = [0, 1, 2]
      .flatMap((q) => [3, 4].map((k) => (WEIGHTS.row(q)[k] as number) * (LENGTHS[k] as number)))
      .reduce((a, b) => a + b);
    expect(row[1]).toBeCloseTo(expected / 3, 5);
    expect(scene.state.queries).toEqual([0]);
    const texts = textsOf(scene);
    expect(texts).toContain("words: summed over a key’s pieces, averaged over a query’s");
    expect(texts).toContain("unbelievable");
    // The neuron view explains the pieces of the word, of the weights that softmax gave.
    const explained = textsOf(scene, neuronView);
    for (const piece of ["“un”", "believ", "able"]) expect(explained).toContain(piece);
    const stops = neuronView.stops(scene, { width: 460, height: 620, scroll: 0 });
    const others = stops.filter(({ action }) => action === "choose-query");
    expect(others.map(({ query }) => query)).toEqual([1, 2]);
  });

  it("shows a rollout as one picture a layer", () => {
    const scene = maker().make({ measure: "rollout", heads: [1] });
    expect(scene.blocks.weights(0, 0).row(3)).toEqual(WEIGHTS.row(3));
    expect(scene.state.heads).toEqual([0]);
    expect(scene.recorded?.state.heads).toEqual([1]);
    expect(textsOf(scene)).toContain("rollout up to layer 0");
  });

  it("asks for the lengths of what it draws, once", () => {
    const scene = maker().make({ measure: "norm" });
    const asked: string[] = [];
    const blocks = { ...scene.recorded?.blocks, lengths: (measure: string, layer: number, head: number) => { asked.push(`${measure} ${layer} ${head}`); return null; } } as Scene["blocks"]; // biome-ignore format: one line
    const rows = measuredBlocks(blocks, scene.stream, "norm", 5).weights(0, 1);
    expect(rows.row(0)).toBeNull();
    expect(new Set(asked)).toEqual(new Set(["norm 0 1"]));
  });
});
