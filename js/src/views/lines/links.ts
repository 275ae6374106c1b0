// Which links are drawn: weights to links, sums beyond the window, strongest ones outside.

import { type Aside, shadesIn } from "../../data/aside.js";
import { columnSum } from "../../data/columns.js";
import { strongestFirst } from "../../data/strongest-first.js";
import { strongestLinks, type Thinning } from "../../data/strongest-links.js";
import { INVISIBLE, LinkList } from "../../marks/links.js";
import { side, visibleRows } from "../../marks/text/token-axis.js";
import type { Position } from "../../protocol/generated.js";
import type { GroupFilter } from "../../scene/groups.js";
import type { FigureDrawing } from "../../scene/scene.js";
import {
  type Focus,
  meanRow,
  type Series,
  shadingColumn,
  shadingWeight,
} from "../shared/series.js";
import { type LinesLayout, linkEnd } from "./layout.js";

/** What the links of one picture are made from. */
export interface LinesInput {
  readonly layout: LinesLayout;
  readonly series: readonly Series[];
  /** The leading pins: they are there even when scrolled away. */
  readonly pinned: { readonly query: number | null; readonly key: number | null };
  readonly aside: Aside;
  /** Which links of each query are drawn; of what is pointed at (`full`) all of them. */
  readonly thinning: Thinning;
  readonly full: boolean;
  /** Positions that are not there in this picture, though they are on its axes. */
  readonly absent?: ((position: Position) => boolean) | undefined;
  /** Which groups links are drawn between; null for all. */
  readonly groups?: GroupFilter | null;
  /** Room for the names of groups at either side. */
  readonly margins?: { readonly queries: number; readonly keys: number };
  /** The end of the scale, where it is not 1. */
  readonly scale?: number | undefined;
  /** Whether numbers have both signs: those of a head that are negative are a group of links of their own. */
  readonly signed?: boolean;
  readonly focus: Focus;
  /** Pictures of this kind on the screen: together they draw as many vectors as one may. */
  readonly pictures: number;
  readonly drawing?: FigureDrawing | undefined;
}

/** Keys that none of the strongest links is to: what is set aside, and what is in no group that is drawn. */
function leftOut({ aside, groups }: LinesInput): Aside {
  return groups ? { ...aside, has: (key) => aside.has(key) || !groups.key(key) } : aside;
}

/** The group of a head's links of one sign: the negative ones come after those of all heads. */
const groupOf = ({ series }: LinesInput, head: number, weight: number): number =>
  weight < 0 ? head + series.length : head;

/** The head that a group of links is of. */
export const headOf = ({ series }: LinesInput, group: number): Series | undefined =>
  series[group % series.length];

/** How large numbers are: those of both signs count alike. */
export const sizes = (row: Float32Array, { signed }: LinesInput) =>
  signed ? row.map(Math.abs) : row;

/** Which links of a row are drawn, those in focus among them, and how strong they are. */
function drawnOf(input: LinesInput, row: Float32Array, full: boolean): (key: number) => number {
  const { aside, scale, drawing, focus, thinning } = input;
  const least = (drawing?.threshold ?? 0) / (scale ?? 1);
  const shade = shadesIn(row, aside, scale);
  const strong = full ? null : strongestLinks(sizes(row, input), leftOut(input), thinning);
  return (key) => {
    if (input.groups?.key(key) === false) return 0;
    if (strong && !strong.has(key) && !focus.keys.includes(key)) return 0;
    const weight = shade(key);
    return Math.abs(weight) >= least ? weight : 0;
  };
}

/** The key of a link that stands for several keys. */
export const SEVERAL = -1;

/** Heads next to each other in a row, so that the same link in two heads is two lines. */
function lane(input: LinesInput, group: number): number {
  const { series, layout } = input;
  const room = 0.5 * layout.queries.axis.rowHeight;
  const pitch = Math.min(3, room / Math.max(1, series.length));
  return (group - (series.length - 1) / 2) * pitch;
}

/**
 * One query's links of one head. Keys outside the window end at its edge, all of a side in one place:
 * there they are summed to one link of what they weigh together.
 */
function addFan(
  list: LinkList,
  input: LinesInput,
  group: number,
  query: number,
  full: boolean,
): void {
  const { layout, series, pinned } = input;
  const row = series[group]?.rows.row(query);
  const { groups } = input;
  if (!row || groups?.query(query) === false) return;
  const [first, last] = visibleRows(layout.keys.axis);
  const weightOf = drawnOf(input, row, full);
  const shift = lane(input, group);
  const from = linkEnd(layout.queries, query, pinned.query) + shift;
  const add = (key: number, weight: number, end = key) => {
    const size = Math.abs(weight);
    // Also refuses NaN.
    if (!(size > INVISIBLE)) return;
    const to = linkEnd(layout.keys, end, pinned.key) + shift;
    list.add(query, key, from, to, size, groupOf(input, group, weight));
  };
  const sum = (start: number, end: number) => {
    let total = 0;
    for (let key = start; key < end; key++) {
      const weight = weightOf(key);
      if (key === pinned.key) add(key, weight);
      else total += weight;
    }
    // As an end, any position of that side will do which is not pinned to the edge.
    const shown = start === pinned.key ? end - 1 : start;
    if (shown !== pinned.key) add(SEVERAL, Math.max(-1, Math.min(1, total)), shown);
  };
  if (first > 0) sum(0, first);
  for (let key = first; key < last; key++) add(key, weightOf(key));
  if (last < row.length) sum(last, row.length);
}

/** How much of the weight of the visible queries is drawn, of what is not set aside; null until some is here. */
export function drawnShare(input: LinesInput): number | null {
  const { layout, series, aside, thinning, groups } = input;
  const [first, last] = visibleRows(layout.queries.axis);
  let [drawn, all] = [0, 0];
  for (const { rows } of series) {
    for (let query = first; query < last; query++) {
      const row = rows.row(query);
      if (!row || groups?.query(query) === false) continue;
      const of = sizes(row, input);
      const links = strongestLinks(of, leftOut(input), thinning);
      drawn += links.drawn;
      all += groups ? strongestLinks(of, aside, thinning).all : links.all;
    }
  }
  return all > 0 ? drawn / all : null;
}

/** How many rows of the visible queries are here. */
export function loadedRows({ layout, series }: LinesInput): number {
  const [first, last] = visibleRows(layout.queries.axis);
  let loaded = 0;
  for (const { rows } of series) {
    for (let query = first; query < last; query++) {
      if (rows.has?.(query) ?? rows.row(query)) loaded++;
    }
  }
  return loaded;
}

/** What `allLinks` depends on, besides the record itself: of the focus the keys given. */
function keyOf(input: LinesInput, focused: readonly number[]): string {
  const { layout, series, pinned, aside, scale, thinning } = input;
  const { links, queries, keys } = layout;
  const { rowHeight } = queries.axis;
  return JSON.stringify([
    series.map(({ layer, head, name, colour }) => [layer, head, name, colour]),
    [links.x, links.y, links.width, links.height],
    [rowHeight, queries.axis.offset, keys.axis.offset],
    [pinned.query, pinned.key, aside.id, scale, loadedRows(input), series[0]?.rows.numShown],
    [thinning.top_k, thinning.mass, focused, input.groups?.id, input.signed],
    input.drawing,
  ]);
}

/** Everything that the links of all visible queries depend on, besides the record itself. */
export function pictureKey(input: LinesInput): string {
  const { top_k, mass } = input.thinning;
  // Where all links are drawn, those to the key under the pointer are among them anyway.
  return keyOf(input, top_k === null && mass === null ? [] : input.focus.keys);
}

/** Everything that `drawnShare` depends on: what is pointed at adds links, but not to the share. */
export const shareKey = (input: LinesInput): string => keyOf(input, []);

/** Every link of the visible queries. */
export function allLinks(input: LinesInput): LinkList {
  const links = new LinkList();
  const [first, last] = visibleRows(input.layout.queries.axis);
  for (let group = 0; group < input.series.length; group++) {
    for (let query = first; query < last; query++) addFan(links, input, group, query, false);
  }
  return links;
}

/** Of every query that can be known without its row, how strongly it looks at a key. */
function sources(input: LinesInput, group: number, key: number): [number, number][] {
  const { layout, series, aside, scale, drawing } = input;
  const rows = series[group]?.rows;
  if (!rows) return [];
  const least = (drawing?.threshold ?? 0) / (scale ?? 1);
  if (rows.column) {
    const column = shadingColumn(rows, key, aside, scale) ?? [];
    return Array.from(column, (weight, query): [number, number] => [query, weight]).filter(
      ([, weight]) => Math.abs(weight) >= least,
    );
  }
  const [first, last] = visibleRows(layout.queries.axis);
  const found: [number, number][] = [];
  for (let query = first; query < last; query++) {
    const row = rows.row(query);
    const weight = row ? shadingWeight(row, key, aside, scale) : 0;
    if (row && Math.abs(weight) >= least) found.push([query, weight]);
  }
  return found;
}

/**
 * One key's links of one head. Of queries outside the window only the strongest of each side is
 * drawn: weights of different queries have no sum.
 */
function addSources(list: LinkList, input: LinesInput, group: number, key: number): void {
  const { layout, pinned, groups } = input;
  if (groups?.key(key) === false) return;
  const shift = lane(input, group);
  const to = linkEnd(layout.keys, key, pinned.key) + shift;
  const add = (query: number, weight: number) => {
    const size = Math.abs(weight);
    if (!(size > INVISIBLE) || groups?.query(query) === false) return;
    const from = linkEnd(layout.queries, query, pinned.query) + shift;
    list.add(query, key, from, to, size, groupOf(input, group, weight));
  };
  const strongest = { above: { query: 0, weight: 0 }, below: { query: 0, weight: 0 } };
  for (const [query, weight] of sources(input, group, key)) {
    const where = query === pinned.query ? 0 : side(layout.queries.axis, query);
    if (where === 0) add(query, weight);
    else {
      const best = where < 0 ? strongest.above : strongest.below;
      if (Math.abs(weight) > Math.abs(best.weight)) Object.assign(best, { query, weight });
    }
  }
  for (const { query, weight } of Object.values(strongest)) add(query, weight);
}

/** The links of the token in focus. */
export function focusLinks(input: LinesInput): LinkList {
  const list = new LinkList();
  const { about, queries, keys } = input.focus;
  for (let group = 0; group < input.series.length; group++) {
    if (about === "query")
      for (const query of queries) addFan(list, input, group, query, input.full);
    if (about === "key") for (const key of keys) addSources(list, input, group, key);
  }
  return list;
}

/** A strong link whose other end is outside the window. */
export interface Beyond {
  readonly index: number;
  readonly weight: number;
  readonly side: -1 | 1;
}

function strongest(found: Map<number, number>, side: -1 | 1, count: number): Beyond[] {
  return Array.from(found, ([index, weight]) => ({ index, weight, side }))
    .sort((a, b) => strongestFirst(Math.abs(a.weight), Math.abs(b.weight)) || a.index - b.index)
    .slice(0, count);
}

/**
 * The strongest links that leave the window: at most `count` upwards and `count` downwards. Of keys
 * for everything and for a query; of queries for a key. Weights are the true ones.
 */
export function beyondWindow(input: LinesInput, count: number, least: number): Beyond[] {
  const { layout, series, aside, focus } = input;
  const aboutKey = focus.about === "key";
  const axis = aboutKey ? layout.queries.axis : layout.keys.axis;
  const [first, last] = visibleRows(axis);
  const drawn = aboutKey ? input.groups?.query : input.groups?.key;
  if (first === 0 && last === axis.count) return [];
  const found = { above: new Map<number, number>(), below: new Map<number, number>() };
  const see = (index: number, weight: number) => {
    if (!(Math.abs(weight) >= least * (input.scale ?? 1)) || (index >= first && index < last))
      return;
    if (drawn?.(index) === false) return;
    const map = index < first ? found.above : found.below;
    if (Math.abs(weight) > Math.abs(map.get(index) ?? 0)) map.set(index, weight);
  };
  const [start, end] = visibleRows(layout.queries.axis);
  for (const { rows } of series) {
    if (focus.about === "query") {
      meanRow(rows, focus.queries)?.forEach((weight, key) => {
        see(key, weight);
      });
      continue;
    }
    if (aboutKey) {
      columnSum(rows, focus.keys)?.forEach((weight, query) => {
        see(query, weight);
      });
      continue;
    }
    for (let query = start; query < end; query++) {
      const row = rows.row(query);
      if (!row || input.groups?.query(query) === false) continue;
      for (let key = 0; key < row.length; key++) if (!aside.has(key)) see(key, row[key] as number);
    }
  }
  return [...strongest(found.above, -1, count), ...strongest(found.below, 1, count)];
}

/**
 * The most that any shown query spends on the keys above the window, and on those below: what the
 * summed links at its edge stand for.
 */
export function hiddenShare(input: LinesInput): { readonly above: number; readonly below: number } {
  const { layout, series, focus } = input;
  const [first, last] = visibleRows(layout.keys.axis);
  const [start, end] = visibleRows(layout.queries.axis);
  const visible = Array.from({ length: end - start }, (_, i) => [start + i]);
  let [above, below] = [0, 0];
  for (const { rows } of series) {
    for (const queries of focus.queries.length > 0 ? [focus.queries] : visible) {
      const row = meanRow(rows, queries);
      if (!row) continue;
      const sum = (from: number, to: number) => {
        let total = 0;
        for (let key = from; key < to; key++) total += row[key] as number;
        return Math.abs(total);
      };
      above = Math.max(above, sum(0, first));
      below = Math.max(below, sum(last, row.length));
    }
  }
  return { above, below };
}
