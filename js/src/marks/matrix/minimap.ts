// Zoom buttons, minimap, and markers of pins outside of a map's window.

import type { Theme } from "../../styles/theme.js";
import type { Pixels, Rect, Surface } from "../../surface/surface.js";
import { ellipsize } from "../../surface/text.js";

/** Side of a button. */
export const BUTTON = 16;

/** What a button does to the map. */
export type Sign = "in" | "out" | "fit";

/** A plus, a minus, or a frame for all of it; faint where it would change nothing. */
export function drawButton(
  surface: Surface,
  rect: Rect,
  sign: Sign,
  enabled: boolean,
  theme: Theme,
): void {
  const [x, y] = [rect.x + rect.width / 2, rect.y + rect.height / 2];
  const opacity = enabled ? 1 : 0.35;
  surface.rect(rect, { fill: theme.background, stroke: theme.rule, radius: 3 });
  const style = { stroke: theme.muted, width: 1.25, opacity };
  if (sign === "fit") {
    const frame = { x: x - 3.5, y: y - 3.5, width: 7, height: 7 };
    surface.rect(frame, { stroke: theme.muted, strokeWidth: 1.25, opacity });
    return;
  }
  surface.line(x - 3.5, y, x + 3.5, y, style);
  if (sign === "in") surface.line(x, y - 3.5, x, y + 3.5, style);
}

/** All of the matrix, small, and a frame around what is in sight. */
export function drawMinimap(
  surface: Surface,
  rect: Rect,
  pixels: Pixels | null,
  sight: Rect,
  theme: Theme,
): void {
  const { x, y, width, height } = rect;
  const around = { x: x - 3, y: y - 3, width: width + 6, height: height + 6 };
  surface.group("minimap", () => {
    surface.rect(around, { fill: theme.raised, stroke: theme.rule, radius: 2 });
    if (pixels) surface.image(rect, pixels);
    const grow = (size: number) => Math.max(0, 5 - size) / 2;
    const [wide, high] = [grow(sight.width), grow(sight.height)];
    const frame = {
      x: sight.x - wide,
      y: sight.y - high,
      width: sight.width + 2 * wide,
      height: sight.height + 2 * high,
    };
    surface.rect(frame, { stroke: theme.accent, strokeWidth: 1.5 });
  });
}

/** Which way something out of sight lies. */
export type Way = "up" | "down" | "left" | "right";

export const MARKER_SIZE = 11;
const ARROW = 5;

/** What a marker takes besides its label. */
export const MARKER_ROOM = 2 * ARROW + 12;

/** At the edge of the map: a pinned position that is out of sight, and where it is. */
export function drawEdgeMarker(
  surface: Surface,
  rect: Rect,
  way: Way,
  label: string,
  theme: Theme,
): void {
  const middle = rect.y + rect.height / 2;
  surface.rect(rect, { fill: theme.background });
  const end = way !== "left";
  const tip = end ? rect.x + rect.width - ARROW - 1 : rect.x + ARROW + 1;
  const [dx, dy] = { up: [0, -1], down: [0, 1], left: [-1, 0], right: [1, 0] }[way] as [
    number,
    number,
  ];
  const [x, y] = [tip + dx * 4, middle + dy * 4];
  // From the tip back, to both sides.
  surface.path(
    [
      ["M", x, y],
      ["L", tip - dx * 3 + dy * ARROW, middle - dy * 3 + dx * ARROW],
      ["L", tip - dx * 3 - dy * ARROW, middle - dy * 3 - dx * ARROW],
      ["Z"],
    ],
    { fill: theme.accent },
  );
  const at = end ? tip - ARROW - 4 : tip + ARROW + 4;
  const room = rect.width - MARKER_ROOM + 4;
  surface.text(at, middle, ellipsize(label, room, MARKER_SIZE), {
    fill: theme.accent,
    size: MARKER_SIZE,
    anchor: end ? "end" : "start",
  });
}
