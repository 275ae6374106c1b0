// Requests for what the next arrow key will show.

import type { BlockRequest, Request } from "../protocol/generated.js";
import { recordScene, type Scene } from "../scene/scene.js";

/** Fetching ahead moves at most so many blocks of 64 kB: what is asked for next should not wait behind it. */
const MOST_BLOCKS = 48;
/** Tiles above this level are pooled from so much of a head that making them ahead takes too long. */
const MOST_LEVEL = 1;
const AHEAD = ["weights", "rollout", "lengths", "tile"] as const;

function isAhead(request: Request): request is BlockRequest {
  if (!("layer" in request) || (request.level ?? 0) > MOST_LEVEL) return false;
  return AHEAD.some((what) => what === request.what);
}

/**
 * What the next press of an arrow key will need: what the selected heads were drawn from, one layer up
 * and down, and of a head alone those beside it.
 */
export function neighbours(scene: Scene, read: readonly Request[]): readonly Request[] {
  const { stream, state, layer } = recordScene(scene);
  const shown = read.filter(isAhead).filter((request) => request.layer === layer.layer);
  const at = stream.layers.indexOf(layer);
  const layers = [stream.layers[at + 1], stream.layers[at - 1]].flatMap((other) =>
    other
      ? shown
          .filter(({ head }) => head < other.num_heads)
          .map((request) => ({ ...request, layer: other.layer }))
      : [],
  );
  const [head = 0] = state.heads;
  const alone = state.heads.length === 1 && state.measure !== "rollout";
  const heads = (alone ? [head + 1, head - 1] : [])
    .filter((other) => other >= 0 && other < layer.num_heads)
    .flatMap((other) => shown.map((request) => ({ ...request, head: other })));
  return [...layers, ...heads].slice(0, MOST_BLOCKS);
}
