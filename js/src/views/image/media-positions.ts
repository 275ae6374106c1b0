// Positions as patches of an image or frames of a sound, and back from points.

import { memo } from "../../marks/memo.js";
import type { Position } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import type { Rect } from "../../surface/surface.js";
import { contains } from "../../surface/surface.js";

/** The positions of one axis that lie in one medium: patches by row and column, or frames by time. */
export interface MediumPositions {
  readonly rows: number;
  readonly columns: number;
  /** Position at each cell, row by row; -1 where there is none. */
  readonly at: Int32Array;
  /** Where each column starts and the last one ends, 0..1 of the medium's width. */
  readonly edges: Float64Array;
}

/** One axis over the media. */
export interface AxisInMedia {
  readonly media: ReadonlyMap<number, MediumPositions>;
  /** Positions that lie in none of them: words, [CLS], registers. */
  readonly rest: readonly number[];
}

function evenly(columns: number): Float64Array {
  return Float64Array.from({ length: columns + 1 }, (_, column) => column / columns);
}

function patchesIn(positions: readonly Position[], own: readonly number[]): MediumPositions {
  const [rows, columns] = positions[own[0] as number]?.grid ?? [1, 1];
  const at = new Int32Array(rows * columns).fill(-1);
  for (const index of own) {
    const { row = 0, column = 0 } = positions[index] as Position;
    at[row * columns + column] = index;
  }
  return { rows, columns, at, edges: evenly(columns) };
}

function framesIn(
  positions: readonly Position[],
  own: readonly number[],
  seconds: number | undefined,
): MediumPositions {
  const edges = evenly(own.length);
  const starts = own.map((index) => positions[index]?.time);
  if (seconds !== undefined && starts.every((time) => time !== undefined)) {
    for (const [frame, time] of starts.entries()) edges[frame] = Math.min(1, time / seconds);
    // The last frame is as long as the one before it.
    const length = own.length > 1 ? (edges[1] as number) - (edges[0] as number) : 1;
    edges[own.length] = Math.min(1, (edges[own.length - 1] as number) + length);
  }
  return { rows: 1, columns: own.length, at: Int32Array.from(own), edges };
}

/** Where the positions of an axis lie. Pictures come first: beside them a sound's frames are tokens. */
export function axisInMedia(scene: Scene, positions: readonly Position[]): AxisInMedia {
  return memo(positions, "places", () => {
    const kind = (index: number) => scene.media[positions[index]?.medium ?? -1]?.kind;
    const all = positions.map((_, index) => index);
    const images = all.some((index) => kind(index) === "image");
    const drawn = images ? "image" : "spectrogram";
    const groups = new Map<number, number[]>();
    const rest: number[] = [];
    for (const index of all) {
      const medium = positions[index]?.medium;
      if (medium === undefined || kind(index) !== drawn) rest.push(index);
      else if (groups.has(medium)) groups.get(medium)?.push(index);
      else groups.set(medium, [index]);
    }
    const media = new Map(
      Array.from(groups, ([medium, own]) => {
        const seconds = scene.media[medium]?.seconds;
        return [medium, images ? patchesIn(positions, own) : framesIn(positions, own, seconds)];
      }),
    );
    return { media, rest };
  });
}

/** A medium's place on the screen, for one head or for all of them. */
export interface MediaTile {
  readonly medium: number;
  readonly rect: Rect;
  /** Which of the heads shown; null where they share the tile. */
  readonly series: number | null;
  readonly titleTop: number;
}

function cellOf(inside: MediumPositions, { rect }: MediaTile, cell: number): Rect {
  const row = Math.floor(cell / inside.columns);
  const column = cell % inside.columns;
  const left = inside.edges[column] as number;
  return {
    x: rect.x + rect.width * left,
    y: rect.y + (rect.height * row) / inside.rows,
    width: rect.width * ((inside.edges[column + 1] as number) - left),
    height: rect.height / inside.rows,
  };
}

/** Where a position is drawn in a tile; null when it does not lie in it. */
export function rectIn(places: AxisInMedia, tile: MediaTile, index: number): Rect | null {
  const inside = places.media.get(tile.medium);
  const cell = inside ? inside.at.indexOf(index) : -1;
  return inside && cell >= 0 ? cellOf(inside, tile, cell) : null;
}

/** Which position a point of a tile shows. */
export function indexIn(places: AxisInMedia, tile: MediaTile, x: number, y: number): number | null {
  const inside = places.media.get(tile.medium);
  const { rect } = tile;
  if (!inside || !contains(rect, x, y)) return null;
  const across = (x - rect.x) / rect.width;
  // A linear walk: edges may be uneven, and a frame is looked for once per move of the pointer.
  const column = inside.edges.findLastIndex((edge) => edge <= across);
  const row = Math.min(inside.rows - 1, Math.floor(((y - rect.y) / rect.height) * inside.rows));
  if (column < 0 || column >= inside.columns) return null;
  const index = inside.at[row * inside.columns + column] as number;
  return index < 0 ? null : index;
}

/** A list of tokens beside the picture. */
export interface TokenStrip {
  readonly axis: "query" | "key";
  readonly indices: readonly number[];
}

/** What is drawn over the media, and what beside them. */
export interface MediaLayout {
  /** The axis whose positions lie in the media: keys wherever keys do. */
  readonly over: "query" | "key";
  readonly places: AxisInMedia;
  readonly kind: "image" | "sound";
  /** Queries and keys are the same positions. */
  readonly same: boolean;
  /** Pointing at a patch asks what it attends to: there is no text here that could attend to it. */
  readonly asks: boolean;
  readonly strips: readonly TokenStrip[];
}

const TEXT = new Set(["token", "word"]);

export function mediaLayoutOf(scene: Scene): MediaLayout {
  const { queries, keys, stream, media } = scene;
  return memo(stream, "mediaLayout", () => {
    const same = stream.query_positions === stream.key_positions;
    const byKey = axisInMedia(scene, keys);
    const byQuery = axisInMedia(scene, queries);
    const over = byKey.media.size > 0 ? "key" : "query";
    const places = over === "key" ? byKey : byQuery;
    const [first] = places.media.keys();
    const kind = media[first ?? -1]?.kind === "image" ? "image" : "sound";
    const asks = over === "key" && byQuery.media.size > 0 && !queries.some((q) => TEXT.has(q.kind));
    const others: TokenStrip =
      over === "key"
        ? { axis: "query", indices: byQuery.rest }
        : { axis: "key", indices: byKey.rest };
    const own: TokenStrip = { axis: over, indices: same ? [] : places.rest };
    const strips = [others, own].filter(({ indices }) => indices.length > 0);
    return { over, places, kind, same, asks, strips };
  });
}

/** What a stream can be drawn over; null when none of its positions lies in anything. */
export function overMedia(scene: Scene): MediaLayout["kind"] | null {
  const { places, kind } = mediaLayoutOf(scene);
  return places.media.size > 0 ? kind : null;
}
