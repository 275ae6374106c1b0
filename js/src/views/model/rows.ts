// Which layers and heads the grid shows, in which order.

import { memo } from "../../marks/memo.js";
import type { LayerMeta } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import type { Board } from "./head-scores.js";
import { hidesHeads, shownHeads } from "./heads.js";

/** A layer and its heads as they stand from left to right. */
export interface ShownRow {
  /** Place of the layer among the stream's layers. */
  readonly row: number;
  /** Index of the layer's head 0 among all heads of the stream. */
  readonly first: number;
  readonly layer: LayerMeta;
  readonly heads: readonly number[];
}

export interface ShownRows {
  readonly rows: readonly ShownRow[];
  /** All that these depend on, for what is drawn from them and kept. */
  readonly id: string;
  /** Whether a head's place from the left is its number. */
  readonly numbered: boolean;
}

/** Layer by layer what of it is on show; a layer that nothing is shown of is left out. */
export function shownRows(scene: Scene, board: Board | null): ShownRows {
  const { stream, state } = scene;
  const sorted = board !== null && state.arrange === "rank_by_layer";
  const hidden = board !== null && hidesHeads(scene);
  const id = `${state.show_layers} ${sorted || hidden ? board.id : ""} ${sorted} ${hidden}`;
  return memo(board?.values ?? stream, `rows ${stream.name} ${id}`, () => {
    const heads: number[][] = stream.layers.map(() => []);
    for (const { index, row, head } of sorted ? board.order : shownHeads(scene)) {
      if (!hidden || !board.isOut(index)) heads[row]?.push(head);
    }
    let first = 0;
    const rows = stream.layers.map((layer, row): ShownRow => {
      const shown = { row, first, layer, heads: heads[row] ?? [] };
      first += layer.num_heads;
      return shown;
    });
    return {
      rows: rows.filter((each) => each.heads.length > 0),
      id,
      numbered: !sorted && !hidden,
    };
  });
}
