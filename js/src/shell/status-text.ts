// The status line's text: what is selected or under the pointer, with its number.

import type { Blocks } from "../data/blocks.js";
import { formatSigned, formatWeight } from "../marks/format.js";
import { quoted } from "../marks/text/tokens.js";
import type { Position } from "../protocol/generated.js";
import type { Scene } from "../scene/scene.js";
import { isRollout, MEASURES } from "../views/shared/measure.js";
import {
  groupLabel,
  headSeries,
  meanRow,
  pairNumbers,
  pairTitle,
  poolNote,
  sumOf,
} from "../views/shared/series.js";
import { togetherName, togetherOf, togetherScene } from "../views/shared/together.js";
import { columnWeight, readsColumns } from "../views/text/shading.js";

/** "query 8 “it”", "query 8 “it” (user)" in a chat, or "3 queries “the cat sat”". */
function named(
  one: string,
  several: string,
  positions: readonly Position[],
  pins: readonly number[],
): string {
  const [first = 0] = pins;
  if (pins.length === 1) {
    const role = positions[first]?.role;
    return `${one} ${first} ${quoted(positions, first)}${role ? ` (${role})` : ""}`;
  }
  return `${pins.length} ${several} “${groupLabel(positions, pins)}”`;
}

/** The line under the views: what is selected or under the pointer, in words, with its number. */
export function statusText(scene: Scene): string {
  const { state, hover, queries, keys, stream } = scene;
  const layer = hover?.layer ?? state.layer;
  const heads = hover?.head !== undefined ? [hover.head] : state.heads;
  const shown = heads.length > 8 ? `${heads.slice(0, 8).join(", ")} …` : heads.join(", ");
  const together = hover?.head === undefined ? togetherOf(scene) : null;
  const parts = [
    stream.name,
    `layer ${layer}`,
    ...(state.measure === "weights" ? [] : [MEASURES[state.measure].choice]),
    ...(isRollout(scene)
      ? ["all heads"]
      : together
        ? [togetherName(together)]
        : [`${heads.length === 1 ? "head" : "heads"} ${shown}`]),
  ];
  // A head under the pointer says where in the model it is, as `model.get_submodule` would find it.
  const thumbnail =
    hover?.query === undefined && hover?.key === undefined ? hover?.layer : undefined;
  const path = stream.layers.find((each) => each.layer === thumbnail)?.module_path;
  if (path) parts.push(path);
  const pinned = (hovered: number | undefined, pins: readonly number[], count: number) =>
    (hovered === undefined ? pins : [hovered]).filter((index) => index < count);
  const [q, k] = [
    pinned(hover?.query, state.queries, queries.length),
    pinned(hover?.key, state.keys, keys.length),
  ];
  const head = heads[0];
  if (q.length > 0 && k.length > 0 && head !== undefined) {
    let text = pairTitle(scene, q, k);
    // A hovered thumbnail belongs to a head that may not be loaded: say it only where numbers are.
    const two = comparedPair(scene, q, k);
    if (two) return [...parts, `${text} ${two}`].join(" · ");
    const known = layer === state.layer;
    const series = known
      ? together
        ? headSeries(togetherScene(scene), { isolate: false })[0]
        : headSeries(scene, { isolate: false }).find((e) => e.head === head)
      : null;
    const columns = readsColumns(scene);
    const weight = series && columns ? columnWeight(series, q, k) : null;
    if (weight !== null) text += ` ${formatWeight(weight)}`;
    const row = series && !columns ? meanRow(series.rows, q) : null;
    if (row) {
      const { value, note } = pairNumbers(row, k);
      const more = note || poolNote({ queries: q, keys: k });
      text += more ? ` ${value} (${more})` : ` ${value}`;
    }
    parts.push(text);
  } else if (q.length > 0) {
    parts.push(named("query", "queries", queries, q));
  } else if (k.length > 0) {
    parts.push(named("key", "keys", keys, k));
  }
  return parts.join(" · ");
}

/** Of two records: a pair's weight in both, and how much it changed. */
function comparedPair(
  scene: Scene,
  queries: readonly number[],
  keys: readonly number[],
): string | null {
  const { sides, state } = scene;
  if (!sides) return null;
  const of = (blocks: Blocks) => meanRow(blocks.weights(state.layer, state.heads[0] ?? 0), queries);
  const [a, b] = [of(sides.a), of(sides.b)];
  if (!a || !b) return "";
  const only = [
    ...queries.map((query) => scene.queries[query]?.only),
    ...keys.map((key) => scene.keys[key]?.only),
  ].find((side) => side !== undefined);
  if (only) return `only in ${only.toUpperCase()}`;
  const [first, second] = [sumOf(a, keys), sumOf(b, keys)];
  const change = formatSigned(second - first);
  const note = poolNote({ queries, keys });
  const numbers = `A ${formatWeight(first)}, B ${formatWeight(second)}, B − A ${change}`;
  return note ? `${numbers} (${note})` : numbers;
}

export interface TableRow {
  /** Its number, or what several as one are called. */
  readonly head: number | string;
  readonly key: string;
  readonly weight: string;
}

/** The largest few of a row; told again at every move of the pointer, so without sorting it all. */
function strongest(row: Float32Array, count: number): readonly number[] {
  const best: number[] = [];
  row.forEach((weight, key) => {
    const at = best.findIndex((other) => (row[other] as number) < weight);
    if (at >= 0) best.splice(at, 0, key);
    else if (best.length < count) best.push(key);
    if (best.length > count) best.pop();
  });
  return best;
}

/** The pinned query's strongest keys: the same numbers as a table, for screen readers. */
export function strongestKeys(scene: Scene, count = 5): readonly TableRow[] {
  const { state, keys } = scene;
  const { queries } = state;
  // Of two records the difference is what counts: it stands in the line of words.
  if (queries.length === 0 || scene.sides) return [];
  const shown = togetherScene(scene);
  return shown.state.heads.slice(0, 8).flatMap((head) => {
    const row = meanRow(shown.blocks.weights(state.layer, head), queries);
    if (!row) return [];
    return strongest(row, count).map((key) => ({
      head: shown.together ? togetherName(shown.together) : head,
      key: `${key} ${keys[key]?.label ?? ""}`,
      weight: formatWeight(row[key] as number),
    }));
  });
}
