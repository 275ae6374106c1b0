// The heads of a stream, and those of the layers that are shown.

import { memo } from "../../marks/memo.js";
import type { StreamMeta } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";

/** A head and its place among all heads of the stream. */
export interface Placed {
  readonly index: number;
  /** Place of its layer among the stream's layers. */
  readonly row: number;
  readonly layer: number;
  readonly head: number;
}

export function placedHeads(stream: StreamMeta): readonly Placed[] {
  return memo(stream, "heads", () => {
    let index = 0;
    return stream.layers.flatMap(({ layer, num_heads }, row) =>
      Array.from({ length: num_heads }, (_, head) => ({ index: index++, row, layer, head })),
    );
  });
}

/** The heads of the layers that are on show: what the model view is about. */
export function shownHeads({ stream, state }: Scene): readonly Placed[] {
  const heads = placedHeads(stream);
  const { show_layers: layers } = state;
  if (!layers) return heads;
  return memo(stream, `heads of ${layers}`, () => {
    const shown = new Set(layers);
    return heads.filter(({ layer }) => shown.has(layer));
  });
}

/** Whether heads below the threshold are gone and not only faint. */
export function hidesHeads({ state }: Scene): boolean {
  return state.below_threshold === "hidden" && state.threshold !== null;
}
