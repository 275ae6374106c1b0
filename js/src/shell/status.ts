import { formatWeight, ordinal } from "../views/format.js";
import type { Scene } from "../views/view.js";

/** 1-based place of a key among a row's keys by weight. */
function rank(row: Float32Array, key: number): number {
  const weight = row[key] as number;
  let above = 0;
  for (const other of row) if (other > weight) above++;
  return above + 1;
}

/** The line under the views: what is selected or under the pointer, in words, with its number. */
export function statusText(scene: Scene): string {
  const { state, hover, queries, keys, stream } = scene;
  const layer = hover?.layer ?? state.layer;
  const heads = hover?.head !== undefined ? [hover.head] : state.heads;
  const shown = heads.length > 8 ? `${heads.slice(0, 8).join(", ")} …` : heads.join(", ");
  const parts = [
    stream.name,
    `layer ${layer}`,
    `${heads.length === 1 ? "head" : "heads"} ${shown}`,
  ];
  const query = hover?.query ?? state.query;
  const key = hover?.key ?? state.key;
  const q = query === null ? null : (queries[query]?.label ?? null);
  const k = key === null ? null : (keys[key]?.label ?? null);
  const head = heads[0];
  if (q !== null && k !== null && query !== null && key !== null && head !== undefined) {
    let text = `“${q}” → “${k}”`;
    // A hovered thumbnail belongs to a head that may not be loaded: say it only where numbers are.
    const row =
      layer === state.layer && state.heads.includes(head)
        ? scene.blocks.weights(layer, head).row(query)
        : null;
    if (row)
      text += ` ${formatWeight(row[key] as number)} (${ordinal(rank(row, key))} of ${row.length})`;
    parts.push(text);
  } else if (q !== null) {
    parts.push(`query ${query} “${q}”`);
  } else if (k !== null) {
    parts.push(`key ${key} “${k}”`);
  }
  return parts.join(" · ");
}

export interface TableRow {
  readonly head: number;
  readonly key: string;
  readonly weight: string;
}

/** The pinned query's strongest keys: the same picture as rows, for who cannot see it. */
export function strongestKeys(scene: Scene, count = 5): readonly TableRow[] {
  const { state, keys } = scene;
  const { query } = state;
  if (query === null) return [];
  return state.heads.slice(0, 8).flatMap((head) => {
    const row = scene.blocks.weights(state.layer, head).row(query);
    if (!row) return [];
    const order = Array.from(row.keys()).sort((a, b) => (row[b] as number) - (row[a] as number));
    return order.slice(0, count).map((key) => ({
      head,
      key: `${key} ${keys[key]?.label ?? ""}`,
      weight: formatWeight(row[key] as number),
    }));
  });
}
