// While the pointer is over a picture: the picture as it went in, without the heat, beside it or in its far corner.

import { drawPatchOutline } from "../../marks/matrix/image-heat.js";
import type { Scene } from "../../scene/scene.js";
import type { Point } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { hoveredPositions, pointer } from "../shared/series.js";
import { indexIn, type MediaTile, rectIn } from "./media-positions.js";
import type { ImagePlan } from "./plan.js";

const LEAST = 72;
const MOST = 180;
/** Of the picture's width, where it lies over it. */
const PART = 0.36;
/** A smaller picture would be all but covered. */
const LEAST_UNDER = 160;
const GAP = 8;

const overlap = (a: Rect, b: Rect) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** Where there is room for it; null where it would cover what one looks at. */
export function originalRect(
  { rect }: MediaTile,
  others: readonly MediaTile[],
  width: number,
  at: Point,
): Rect | null {
  const free = Math.max(rect.x, width - rect.x - rect.width) - 2 * GAP;
  if (free >= LEAST) {
    const wide = Math.min(MOST, free, rect.width);
    const right = width - rect.x - rect.width >= rect.x;
    const beside: Rect = {
      x: right ? rect.x + rect.width + GAP : rect.x - GAP - wide,
      y: rect.y,
      width: wide,
      height: (wide / rect.width) * rect.height,
    };
    if (!others.some((other) => overlap(other.rect, beside))) return beside;
  }
  if (rect.width < LEAST_UNDER) return null;
  const wide = Math.max(LEAST, PART * rect.width);
  const high = (wide / rect.width) * rect.height;
  // In the corner that is farthest from the pointer.
  const left = at.x > rect.x + rect.width / 2;
  const above = at.y > rect.y + rect.height / 2;
  return {
    x: left ? rect.x : rect.x + rect.width - wide,
    y: above ? rect.y : rect.y + rect.height - high,
    width: wide,
    height: high,
  };
}

export function drawOriginal(
  surface: Surface,
  scene: Scene,
  { mediaLayout, tiles }: ImagePlan,
  width: number,
): void {
  const at = pointer(scene.hover, "head");
  if (!at || mediaLayout.kind !== "image" || scene.drawing) return;
  const tile = tiles.find(({ rect }) => contains(rect, at.x, at.y));
  const medium = tile && scene.media[tile.medium];
  if (!tile || !medium) return;
  const others = tiles.filter((other) => other !== tile);
  const rect = originalRect(tile, others, width, at);
  if (!rect) return;
  const { theme } = scene;
  const pointed =
    hoveredPositions(scene)[mediaLayout.over] ?? indexIn(mediaLayout.places, tile, at.x, at.y);
  surface.group("original", () => {
    const around = { x: rect.x - 2, y: rect.y - 2, width: rect.width + 4, height: rect.height + 4 };
    surface.rect(around, { fill: theme.background });
    surface.image(rect, medium.pixels[theme.name], true);
    surface.rect(rect, { stroke: theme.rule });
    const patch = pointed === null ? null : rectIn(mediaLayout.places, { ...tile, rect }, pointed);
    if (patch) drawPatchOutline(surface, patch, "#ffffff");
  });
}
