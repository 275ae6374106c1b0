import { expect, test } from "vitest";
import { asideOf } from "../../../../src/data/aside.js";
import type { Blocks, Matrix, Rows } from "../../../../src/data/blocks.js";
import { poolTile } from "../../../../src/data/tiles.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { headSource } from "../../../../src/views/map/tile-source.js";
import { headSeries, shadingColumn } from "../../../../src/views/shared/series.js";
import { attentionScene } from "../../../support/attention-scene.js";

/** The first key takes three quarters, all but what rounding leaves, and what is no number. */
const WEIGHTS = [
  [0.75, 0.125, 0.125],
  [1 - 6e-8, 6e-8, 0],
  [Number.NaN, Number.NaN, Number.NaN],
  [0.5, 0.25, 0.25],
].map((row) => Float32Array.from(row));

/** A head of these weights whose first key is set aside. */
function sceneOf(): Scene {
  const labels = (count: number) => Array.from({ length: count }, (_, at) => `t${at}`);
  const scene = attentionScene({ queries: labels(4), keys: labels(3), state: { heads: [0] } });
  const column = (key: number) => Float32Array.from(WEIGHTS, (row) => row[key] as number);
  const rows: Rows = {
    numQueries: 4,
    numKeys: 3,
    error: null,
    row: (query) => WEIGHTS[query] ?? null,
    column,
  };
  const blocks: Blocks = {
    ...scene.blocks,
    weights: () => rows,
    column: (_layer, _head, key) => column(key),
    // As the kernel: of what is no number a tile has nothing.
    tile: (_layer, _head, level, place) =>
      poolTile({ rows: 4, columns: 3, row: rows.row }, level, place),
  };
  return { ...scene, blocks, aside: asideOf(scene.keys, [0]) };
}

/** So many heads together that their tiles are asked for. */
const MANY = 1 << 23;

function tileOf(level: number, count: number): Matrix {
  const scene = sceneOf();
  const [series] = headSeries(scene, { isolate: false });
  const tile = series && headSource(scene, series, count).drawn(level, [0, 0], "now");
  if (!tile) throw new Error("no tile");
  return tile;
}

test("a tile that is asked for is shaded as one that is made of rows", () => {
  const tile = tileOf(0, MANY);
  expect([...tile.data]).toEqual([0, 0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0.5, 0.5]);
  expect([...tile.data]).toEqual([...tileOf(0, 1).data]);
});

test("a query without numbers leaves the others of its cells as they are", () => {
  // Two queries a cell; the keys 0 and 1 are in one cell, which holds what is set aside.
  const { data } = tileOf(1, MANY);
  expect([...data]).toEqual([0, 0.5, 0, 0.5]);
});

test("a column is shaded as its rows are", () => {
  const scene = sceneOf();
  const rows = scene.blocks.weights(0, 0);
  expect([...(shadingColumn(rows, 1, scene.aside) ?? [])]).toEqual([0.5, 0, Number.NaN, 0.5]);
  expect([...(shadingColumn(rows, 0, scene.aside) ?? [])]).toEqual([0, 0, 0, 0]);
});
