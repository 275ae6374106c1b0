// Where the queries and keys of a head lie in one plane: read from its block, pieces put together to words.

import { wordsOf } from "../../data/words.js";
import { memo } from "../../marks/memo.js";
import { recordScene, type Scene } from "../../scene/scene.js";

export interface PlanePoint {
  readonly side: "query" | "key";
  /** Its position as the scene counts them. */
  readonly index: number;
  readonly x: number;
  readonly y: number;
  /** Length of the vector. */
  readonly norm: number;
}

export interface Plane {
  readonly points: readonly PlanePoint[];
  /** The share of the variance along x and along y. */
  readonly shares: readonly [number, number];
  /** What queries were multiplied by, and keys divided by. */
  readonly scale: number;
}

export type PlaneResult = Plane | { readonly error: string } | null;

const NUMBERS = 3;

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** The points of one side; a word lies at the mean of its pieces that are there. */
function sideOf(
  data: Float32Array,
  side: PlanePoint["side"],
  first: number,
  there: number,
  words: readonly (readonly number[])[] | null,
): PlanePoint[] {
  const groups = words ?? Array.from({ length: there }, (_, piece) => [piece]);
  return groups.flatMap((group, index): PlanePoint[] => {
    const pieces = group.filter((piece) => piece < there);
    if (pieces.length === 0) return [];
    const number = (place: number) =>
      mean(pieces.map((piece) => data[(first + piece) * NUMBERS + place] as number));
    return [{ side, index, x: number(0), y: number(1), norm: number(2) }];
  });
}

/** One head's plane; null until it has come. Of a step of a generation, what is there by then. */
export function planeOf(scene: Scene, layer: number, head: number): PlaneResult {
  const record = recordScene(scene);
  const block = record.blocks.geometry(layer, head);
  if (!block || "error" in block) return block;
  const { queries, keys, generationStep: step } = record;
  const words = scene.recorded !== null && scene.state.positions === "words";
  const [numQueries, numKeys] = [step?.numQueries ?? queries.length, step?.numKeys ?? keys.length];
  return memo(block, `plane ${words} ${numQueries} ${numKeys}`, () => {
    const { data } = block;
    const merged = (axis: typeof queries) => (words ? (wordsOf(axis)?.pieces ?? null) : null);
    const last = (queries.length + keys.length) * NUMBERS;
    const [x = 0, y = 0, scale = 1] = data.subarray(last, last + NUMBERS);
    return {
      points: [
        ...sideOf(data, "key", queries.length, numKeys, merged(keys)),
        ...sideOf(data, "query", 0, numQueries, merged(queries)),
      ],
      shares: [x, y],
      scale,
    };
  });
}
