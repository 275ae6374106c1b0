import { describe, expect, it } from "vitest";
import { Matrix } from "../../../src/data/blocks.js";
import {
  levelFor,
  poolMatrix,
  poolTile,
  tileSpan,
  tilesWithin,
  topLevel,
} from "../../../src/data/tiles.js";
import { TILE_SIZE } from "../../../src/protocol/constants.js";
import { random } from "../../support/attention-scene.js";

function dense(rows: number, columns: number): Matrix {
  const next = random(7);
  return new Matrix(
    rows,
    columns,
    Float32Array.from({ length: rows * columns }, () => next()),
  );
}

/** Cell by cell, as slowly as can be: the value furthest from nothing. */
function pooled(whole: Matrix, level: number, [row, column]: readonly [number, number]) {
  const cell = 2 ** level;
  const [top, bottom] = tileSpan(row, level, whole.rows);
  const [left, right] = tileSpan(column, level, whole.columns);
  const out: number[][] = [];
  for (let y = top; y < bottom; y += cell) {
    const line: number[] = [];
    for (let x = left; x < right; x += cell) {
      let most = 0;
      for (let q = y; q < Math.min(bottom, y + cell); q++) {
        for (let k = x; k < Math.min(right, x + cell); k++) {
          const value = whole.row(q)[k] as number;
          if (Math.abs(value) > Math.abs(most)) most = value;
        }
      }
      line.push(most);
    }
    out.push(line);
  }
  return out;
}

describe("tiles of a head's map", () => {
  it("one at the top level holds all of it", () => {
    expect([1, 8, 256, 257, 512, 513, 4096, 32768].map((n) => topLevel(n, 3))).toEqual([
      0, 0, 0, 1, 1, 2, 4, 7,
    ]);
    expect(topLevel(3, 4096)).toBe(4);
  });

  it("are of the finest level whose cells are no less than a pixel", () => {
    expect([56, 1, 0.999, 0.5, 0.49, 0.11, 0.001].map((px) => levelFor(px, 6))).toEqual([
      0, 0, 1, 1, 2, 4, 6,
    ]);
  });

  it("in sight are those that the window touches, and no more", () => {
    const side = 2 * TILE_SIZE;
    expect(tilesWithin([0, 4096], 1, 4096)).toEqual([0, 8]);
    expect(tilesWithin([side, 2 * side], 1, 4096)).toEqual([1, 2]);
    expect(tilesWithin([side - 0.5, side + 0.5], 1, 4096)).toEqual([0, 2]);
    expect(tilesWithin([4000, 4096], 1, 4096)).toEqual([7, 8]);
    // The last one is cut at the end of the axis.
    expect(tilesWithin([0, 300], 0, 300)).toEqual([0, 2]);
    expect(tileSpan(1, 0, 300)).toEqual([256, 300]);
  });

  it.each([
    [0, [0, 0]],
    [0, [1, 2]],
    [1, [0, 1]],
    [2, [0, 0]],
  ] as const)("made here at level %d, tile %j, they are the dense pooling", (level, place) => {
    const whole = dense(389, 701);
    const source = { rows: 389, columns: 701, row: (query: number) => whole.row(query) };
    const tile = poolTile(source, level, place);
    const expected = pooled(whole, level, place);
    expect([tile?.rows, tile?.columns]).toEqual([expected.length, expected[0]?.length]);
    expected.forEach((line, row) => {
      expect(Array.from(tile?.row(row) ?? [])).toEqual(line);
    });
  });

  it("are not made while a row is missing, and every row that is needed is asked for", () => {
    const whole = dense(300, 5);
    const asked: number[] = [];
    const row = (query: number) => {
      asked.push(query);
      return query === 256 ? null : whole.row(query);
    };
    expect(poolTile({ rows: 300, columns: 5, row }, 0, [1, 0])).toBeNull();
    expect(asked).toEqual(Array.from({ length: 44 }, (_, n) => 256 + n));
    expect(poolTile({ rows: 300, columns: 5, row }, 0, [0, 0])?.row(255)).toEqual(whole.row(255));
  });

  it("fold to fewer cells without losing the strongest", () => {
    const matrix = new Matrix(3, 5, new Float32Array(15));
    matrix.data[7] = -3;
    matrix.data[14] = 2;
    const folded = poolMatrix(matrix, { rows: 2, columns: 4 });
    expect([folded.rows, folded.columns]).toEqual([2, 2]);
    expect(Array.from(folded.data)).toEqual([-3, 0, 0, 2]);
    expect(poolMatrix(matrix, { rows: 1, columns: 1 })).toBe(matrix);
  });
});
