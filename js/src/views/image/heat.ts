// Weights over an image or a sound, and of the tokens beside it.

import { asideRow } from "../../data/aside.js";
import { columnSum } from "../../data/columns.js";
import type { Scene } from "../../scene/scene.js";
import { hoveredPositions, meanRow, type Series } from "../shared/series.js";
import { axisInMedia, type MediaLayout, type TokenStrip } from "./media-positions.js";

/** What the picture is about: one position of the other axis, and the one that is pointed at. */
export interface ImageSubject {
  /** The query whose weights are drawn over the keys (or the key, over queries); null for all queries. */
  readonly about: number | null;
  /** All of them where several are pinned: queries are averaged, keys summed. */
  readonly group: readonly number[];
  /** The position over the medium that is looked at. */
  readonly pointed: number | null;
  /** Whether the tokens beside are shaded by what they have to do with the position pointed at. */
  readonly backwards: boolean;
}

export function imageSubject(scene: Scene, mediaLayout: MediaLayout): ImageSubject {
  const hovered = hoveredPositions(scene);
  const { state } = scene;
  const [other, own] =
    mediaLayout.over === "key" ? (["query", "key"] as const) : (["key", "query"] as const);
  const pins = other === "query" ? state.queries : state.keys;
  const at = hovered[other];
  const group = at === null ? pins : [at];
  const about = group[0] ?? null;
  const pointed = hovered[own] ?? state[own];
  const backwards =
    pointed !== null && (hovered[own] !== null ? hovered[other] === null : about === null);
  return { about, group, pointed, backwards };
}

/** A head's weights over the axis that lies in the media, as they are shaded; null until they have come. */
export function weightsOver(
  scene: Scene,
  mediaLayout: MediaLayout,
  { layer, head, rows }: Series,
  group: readonly number[],
): ArrayLike<number> | null {
  if (mediaLayout.over === "query") {
    if (group.length === 0) return null;
    return columnSum(rows, group);
  }
  const row = group.length === 0 ? scene.blocks.mean(layer, head) : meanRow(rows, group);
  return row && asideRow(row, scene.aside, rows.scale);
}

/** A head's weights of the tokens of a strip, in its order; null where they say nothing. */
export function stripWeights(
  scene: Scene,
  mediaLayout: MediaLayout,
  strip: TokenStrip,
  series: Series,
  subject: ImageSubject,
): ArrayLike<number> | null {
  const { group, pointed, backwards } = subject;
  if (strip.axis === mediaLayout.over || (mediaLayout.same && !backwards)) {
    const weights = weightsOver(scene, mediaLayout, series, group);
    return weights && strip.indices.map((index) => weights[index] as number);
  }
  if (!backwards || pointed === null) return null;
  if (mediaLayout.over === "query") {
    const row = series.rows.row(pointed);
    return row && strip.indices.map((index) => row[index] as number);
  }
  const column = columnSum(series.rows, [pointed]);
  return column && strip.indices.map((query) => column[query] as number);
}

/** The largest of what lies in the media, over all heads: where the scale ends. */
export function largestOver(
  mediaLayout: MediaLayout,
  all: readonly (ArrayLike<number> | null)[],
): number {
  let most = 0;
  for (const weights of all) {
    if (!weights) continue;
    for (const { at } of mediaLayout.places.media.values()) {
      for (const index of at) if (index >= 0) most = Math.max(most, Math.abs(weights[index] || 0));
    }
  }
  return most;
}

export function largestWeight(all: readonly (ArrayLike<number> | null)[]): number {
  let most = 0;
  for (const weights of all) {
    if (weights)
      for (let i = 0; i < weights.length; i++) most = Math.max(most, Math.abs(weights[i] || 0));
  }
  return most;
}

/** Where the token that is asked about lies itself, when it lies in the media. */
export function ownPlaces(scene: Scene, mediaLayout: MediaLayout) {
  return axisInMedia(scene, mediaLayout.over === "key" ? scene.queries : scene.keys);
}
