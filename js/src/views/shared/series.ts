// `Series`, the heads that are drawn, and the query or key in focus.

import { type Aside, restOf, shadesIn, shareOf } from "../../data/aside.js";
import type { Blocks, Rows } from "../../data/blocks.js";
import { columnSum } from "../../data/columns.js";
import { largestSize } from "../../data/gradients.js";
import { strongestOf } from "../../data/strongest-first.js";
import { topLevel } from "../../data/tiles.js";
import { ordinal } from "../../marks/format.js";
import { labelOf, quotedPair } from "../../marks/text/tokens.js";
import type { Position } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import type { Hover, ViewName } from "../../state/interaction.js";
import { isOut, outMark } from "../what-if/parts.js";
import { isRollout, isSigned, ofMetric, sayNumber } from "./measure.js";
import { togetherName } from "./together.js";

/** One head as it is drawn: whose numbers, in which colour, under which name. */
export interface Series {
  readonly layer: number;
  readonly head: number;
  readonly name: string;
  readonly colour: string;
  /** Knocked out: what it looks at counts for nothing. */
  readonly out?: boolean;
  readonly rows: Rows;
  /** Where its rows are from. */
  readonly blocks: Blocks;
}

/** The selected head that a chip or a thumbnail points at. */
export function isolatedHead(scene: Scene): number | null {
  const { hover, layer, state } = scene;
  // Only a selected head: its numbers are here, and a hover never asks the kernel for more.
  if (hover?.head === undefined || !state.heads.includes(hover.head)) return null;
  if (hover.layer !== undefined && hover.layer !== layer.layer) return null;
  // A head under the pointer inside a token view comes with a token: there nothing is singled out. Without one it is an entry of
  // the legend, which only links have.
  const pointsAtHead = hover.source === "model" || (hover.query ?? hover.key) === undefined;
  const isEntry = hover.source !== "head" || state.form === "lines";
  return pointsAtHead && isEntry ? hover.head : null;
}

function nameOf(scene: Scene, head: number): string {
  const { together, layer } = scene;
  if (together) return togetherName(together);
  return isRollout(scene) ? "rollout" : `head ${head}${outMark(scene, layer.layer, head)}`;
}

/** The selected heads of the selected layer; only the hovered one while a chip is hovered. */
export function headSeries(scene: Scene, options: { isolate: boolean }): readonly Series[] {
  const { layer, state, theme, blocks, together } = scene;
  const alone = options.isolate ? isolatedHead(scene) : null;
  const heads = alone === null ? state.heads : [alone];
  return heads
    .filter((head) => head < layer.num_heads)
    .map((head) => ({
      layer: layer.layer,
      head,
      name: nameOf(scene, head),
      out: !together && isOut(scene, layer.layer, head),
      // Of no head the colour.
      colour: together ? theme.text : theme.head(head, layer.num_heads),
      rows: blocks.weights(layer.layer, head),
      blocks,
    }));
}

/** Why nothing can be drawn, in the reader's words; null when numbers are there or on their way. */
export function seriesError(scene: Scene, series: readonly Series[]): string | null {
  for (const { layer, head } of series) {
    const error = scene.blocks.error("weights", layer, head);
    if (error !== null) return error;
  }
  return null;
}

/**
 * What the picture is about at the moment: one query's fan, one key's, or everything. The other of
 * the two, when known, is the emphasised end. A hover takes the place of pins while it lasts.
 */
export interface Focus {
  readonly about: "all" | "query" | "key";
  readonly query: number | null;
  readonly key: number | null;
  /** All of them where several are pinned: weights of queries are averaged, of keys summed. */
  readonly queries: readonly number[];
  readonly keys: readonly number[];
}

/** The hovered positions, when they are of this layer's picture and exist. */
export function hoveredPositions(scene: Scene): { query: number | null; key: number | null } {
  const { hover, state, queries, keys } = scene;
  const elsewhere =
    hover?.source === "model" && hover.layer !== undefined && hover.layer !== state.layer;
  const valid = (index: number | undefined, count: number) =>
    index !== undefined && index < count && !elsewhere ? index : null;
  return { query: valid(hover?.query, queries.length), key: valid(hover?.key, keys.length) };
}

export function focusOf(scene: Scene): Focus {
  const hovered = hoveredPositions(scene);
  const queries = hovered.query === null ? scene.state.queries : [hovered.query];
  const keys = hovered.key === null ? scene.state.keys : [hovered.key];
  const [query = null, key = null] = [queries[0], keys[0]];
  const byKey = query === null || (hovered.query === null && hovered.key !== null);
  const about = key !== null && byKey ? "key" : query === null ? "all" : "query";
  return { about, query, key, queries, keys };
}

/** What the pins alone would show: hits are looked up in this, or hovering would move them away. */
export function pinnedFocus(scene: Scene): Focus {
  return focusOf({ ...scene, hover: null });
}

/** The end of the scale that series share; undefined for weights, which end at 1. */
export function scaleOf(series: readonly Series[]): number | undefined {
  const ends = series.flatMap(({ rows, blocks, layer, head }) => {
    if (!rows.fitted) return rows.scale ?? [];
    const top = topLevel(rows.numQueries, rows.numKeys);
    return largestSize(rows, () => blocks.tile(layer, head, top, [0, 0])) ?? [];
  });
  // Where nothing is added at all, or nothing has come yet, any end does.
  if (series.some(({ rows }) => rows.fitted)) return Math.max(0, ...ends) || 1;
  return ends.length > 0 ? Math.max(...ends) : undefined;
}

/** What shades of one key; see `shadesIn`, which is quicker for many of them. */
export function shadingWeight(
  row: Float32Array,
  key: number,
  aside: Aside,
  scale?: number,
): number {
  return shadesIn(row, aside, scale)(key);
}

/** What `shadingWeight` is for every query and one key; null until it has come, or without columns. */
export function shadingColumn(
  rows: Rows,
  key: number,
  aside: Aside,
  scale?: number,
): Float32Array | null {
  const column = rows.column?.(key);
  if (!column) return null;
  if (aside.has(key)) return column.map(() => 0);
  if (scale !== undefined) return column.map((weight) => Math.min(1, weight / scale));
  if (aside.keys.length === 0) return column;
  const held = columnSum(rows, aside.keys);
  return held && column.map((weight, query) => shareOf(weight, restOf(held[query] as number)));
}

/** 1-based place of a key among the keys its query can see, and how many those are. */
export function rankOf(row: Float32Array, key: number): { rank: number; of: number } {
  const weight = row[key] as number;
  let rank = 1;
  let of = 0;
  for (const other of row) {
    if (other > weight) rank++;
    if (other > 0) of++;
  }
  return { rank, of };
}

const means = new WeakMap<Rows, Map<string, Float32Array>>();

/** The row of a query, or the mean of several queries' rows; null until all of them are here. */
export function meanRow(rows: Rows, queries: readonly number[]): Float32Array | null {
  const [first] = queries;
  if (first === undefined) return null;
  const leading = rows.row(first);
  if (queries.length === 1 || !leading) return leading;
  const known = means.get(rows) ?? new Map<string, Float32Array>();
  const of = queries.join();
  const made = known.get(of);
  if (made) return made;
  const row = new Float32Array(leading.length);
  for (const query of queries) {
    const one = rows.row(query);
    if (!one) return null;
    for (let key = 0; key < row.length; key++) {
      row[key] = (row[key] as number) + (one[key] as number) / queries.length;
    }
  }
  means.set(rows, known.set(of, row));
  return row;
}

export function sumOf(row: Float32Array, keys: readonly number[]): number {
  return keys.reduce((sum, key) => sum + (row[key] as number), 0);
}

/** "0.634" and "2nd of 9", for one pair; of several keys the sum, which has no rank. */
export function pairNumbers(
  scene: Pick<Scene, "state">,
  row: Float32Array,
  keys: readonly number[],
): { value: string; note: string } {
  const weight = sumOf(row, keys);
  const [key] = keys;
  const ranked = keys.length === 1 && key !== undefined && weight > 0 && !isSigned(scene);
  const { rank, of } = ranked ? rankOf(row, key) : { rank: 0, of: 0 };
  return { value: sayNumber(scene, weight), note: ranked ? `${ordinal(rank)} of ${of}` : "" };
}

/** "mean of 2 queries, sum of 3 keys", or nothing where there is one of each. */
export function poolNote({ queries, keys }: Pick<Focus, "queries" | "keys">): string {
  const parts: string[] = [];
  if (queries.length > 1) parts.push(`mean of ${queries.length} queries`);
  if (keys.length > 1) parts.push(`sum of ${keys.length} keys`);
  return parts.join(", ");
}

/** One label, those of a run, or the first of several and how many there are besides. */
export function groupLabel(positions: readonly Position[], group: readonly number[]): string {
  const sorted = [...group].sort((a, b) => a - b);
  const [first = 0, last = 0] = [sorted[0], sorted.at(-1)];
  const run = last - first + 1 === sorted.length;
  if (run && sorted.length > 3) return `${labelOf(positions, first)} … ${labelOf(positions, last)}`;
  if (run || sorted.length < 4) {
    return sorted.map((index) => labelOf(positions, index)).join(run ? " " : ", ");
  }
  return `${labelOf(positions, group[0] as number)} +${group.length - 1}`;
}

export function pairTitle(
  { queries, keys }: Pick<Scene, "queries" | "keys">,
  query: number | readonly number[],
  key: number | readonly number[],
  room = 320,
): string {
  const label = (positions: readonly Position[], of: number | readonly number[]) =>
    groupLabel(positions, typeof of === "number" ? [of] : of);
  return quotedPair(label(queries, query), " → ", label(keys, key), room);
}

/** The key of a row's largest weight, the first of equals. */
export function strongestKey(row: Float32Array): number {
  return Math.max(0, strongestOf(row.keys(), row));
}

/** How large the numbers of a row are: those of both signs count alike. */
export function sized(scene: Pick<Scene, "state">, row: Float32Array): Float32Array {
  return isSigned(scene) ? row.map(Math.abs) : row;
}

/** What a query's stop is called: the query, and where it looks most of the heads shown, in which of them. */
export function queryName(scene: Scene, series: readonly Series[], query: number): string {
  let best = { key: 0, weight: 0, by: "" };
  for (const { rows, layer, head } of series) {
    const row = rows.row(query);
    const key = row ? strongestKey(sized(scene, row)) : 0;
    const weight = row?.[key] ?? 0;
    const by = isRollout(scene) ? `layer ${layer} all heads` : `layer ${layer} head ${head}`;
    if (Math.abs(weight) > Math.abs(best.weight)) best = { key, weight, by };
  }
  const name = `query ${query} “${labelOf(scene.queries, query)}”`;
  if (best.weight === 0) return name;
  const { key, weight, by } = best;
  const to = `“${labelOf(scene.keys, key)}” ${sayNumber(scene, weight)}`;
  return `${name}, ${by} ${ofMetric(scene) ? "most by its link to" : "attends most to"} ${to}`;
}

export function keyName(scene: Scene, key: number): string {
  return `key ${key} “${labelOf(scene.keys, key)}”`;
}

/** Where the pointer is in this view's frame, when it is this view's pointer. */
export function pointer(hover: Hover | null, view: ViewName): { x: number; y: number } | null {
  if (hover?.source !== view || hover.x === undefined || hover.y === undefined) return null;
  return { x: hover.x, y: hover.y };
}
