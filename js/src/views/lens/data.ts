// What each layer would predict, read from the meta for the layer and the query on show.

import type { LensMeta, Position } from "../../protocol/generated.js";
import { recordScene, type Scene } from "../../scene/scene.js";
import { activeQuery } from "../neuron/data.js";

/** A token that a layer would predict. */
export interface Predicted {
  readonly label: string;
  /** Null where it is no number. */
  readonly probability: number | null;
}

export interface LensData {
  readonly meta: LensMeta;
  /** The positions of its rows. */
  readonly positions: readonly Position[];
  /** The layer on show: the last one, where another stream's are chosen among. */
  readonly layer: number;
  /** Whether the rows are the queries on show, piece by piece, so that a row can be pinned. */
  readonly pins: boolean;
  /** The row in question. */
  readonly row: number;
  readonly rows: number;
}

/** Null where what layers would predict is not known. */
export function lensData(shown: Scene): LensData | null {
  const scene = recordScene(shown);
  const { meta, stream, state } = scene;
  const { lens } = meta;
  const own = meta.streams.find(({ name }) => name === lens?.stream);
  if (!lens || !own || scene.sides) return null;
  const rows = lens.top.length / (lens.layers * lens.ranks);
  const positions = (meta.positions[own.query_positions] ?? []).slice(lens.first);
  const same = stream.query_positions === own.query_positions;
  // In the strip itself what is pointed at is what is asked, whatever is pinned.
  const pointed = scene.hover?.source === "lens" ? scene.hover.query : undefined;
  const query = pointed ?? activeQuery(scene).query;
  const row = same ? query - lens.first : rows - 1;
  return {
    meta: lens,
    positions,
    layer: same ? Math.min(state.layer, lens.layers - 1) : lens.layers - 1,
    pins: same && scene.queries === shown.queries,
    row: Math.max(0, Math.min(rows - 1, row)),
    rows,
  };
}

/** The likeliest tokens after a layer at a row, the likeliest first. */
export function predictions(
  { meta, rows }: Pick<LensData, "meta" | "rows">,
  layer: number,
  row: number,
): readonly Predicted[] {
  const { ranks, tokens, top, probabilities } = meta;
  const first = (layer * rows + row) * ranks;
  return top.slice(first, first + ranks).map((token, rank) => ({
    label: tokens[token] ?? "",
    probability: probabilities[first + rank] ?? null,
  }));
}
