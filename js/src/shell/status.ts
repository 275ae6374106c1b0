import { quoted } from "../marks/tokens.js";
import { formatWeight } from "../views/format.js";
import { pairNumbers, pairTitle } from "../views/series.js";
import type { Scene } from "../views/view.js";

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
  const q = query !== null && query < queries.length ? quoted(queries, query) : null;
  const k = key !== null && key < keys.length ? quoted(keys, key) : null;
  const head = heads[0];
  if (q !== null && k !== null && query !== null && key !== null && head !== undefined) {
    let text = pairTitle(scene, query, key);
    // A hovered thumbnail belongs to a head that may not be loaded: say it only where numbers are.
    const row =
      layer === state.layer && state.heads.includes(head)
        ? scene.blocks.weights(layer, head).row(query)
        : null;
    if (row) {
      const { value, note } = pairNumbers(row, key);
      text += note ? ` ${value} (${note})` : ` ${value}`;
    }
    parts.push(text);
  } else if (q !== null) {
    parts.push(`query ${query} ${q}`);
  } else if (k !== null) {
    parts.push(`key ${key} ${k}`);
  }
  return parts.join(" · ");
}

export interface TableRow {
  readonly head: number;
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

/** The pinned query's strongest keys: the same picture as rows, for who cannot see it. */
export function strongestKeys(scene: Scene, count = 5): readonly TableRow[] {
  const { state, keys } = scene;
  const { query } = state;
  if (query === null) return [];
  return state.heads.slice(0, 8).flatMap((head) => {
    const row = scene.blocks.weights(state.layer, head).row(query);
    if (!row) return [];
    return strongest(row, count).map((key) => ({
      head,
      key: `${key} ${keys[key]?.label ?? ""}`,
      weight: formatWeight(row[key] as number),
    }));
  });
}
