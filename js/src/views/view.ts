// `View`, what every view provides: height, drawing, hits, focusable stops.

import type { MapWindow } from "../protocol/generated.js";
import type { Scene } from "../scene/scene.js";
import type { Gesture, Hit, Point, RevealTarget, ViewName } from "../state/interaction.js";
import type { Rect, Surface } from "../surface/surface.js";

export interface Frame {
  readonly width: number;
  readonly height: number;
  /** Pixels of content above the top of the frame. */
  readonly scroll: number;
}

/** A focusable thing in a view, for keyboards and screen readers. */
export interface Stop extends Hit {
  readonly rect: Rect;
  readonly name: string;
  /** There is nothing to press: it is there to be read out. */
  readonly onlyRead?: true;
}

/**
 * A view composes marks from a scene. It is pure: it holds no state and knows no DOM, so that the
 * same code draws the screen, the figure and the headless export. Reading a block that has not come
 * yet returns null and asks for it; the panel draws again when it is there.
 */
export interface View<S extends Scene = Scene> {
  readonly name: ViewName;
  /** Height of all the content at this width; more than the frame's height means it scrolls. */
  contentHeight(scene: S, width: number, height: number): number;
  draw(surface: Surface, scene: S, frame: Frame): void;
  hit(scene: S, frame: Frame, x: number, y: number): Hit | null;
  /** The scroll that brings a position or a head into the frame, or null when it is there already. */
  reveal?(scene: S, frame: Frame, at: RevealTarget): number | null;
  /** The same of a map: its window; undefined when the position is in sight, or there is no map. */
  revealOnMap?(scene: S, frame: Frame, at: RevealTarget): MapWindow | null | undefined;
  /**
   * What a gesture at a point, or in the middle of the map, brings into sight; undefined where there
   * is no map, or nothing changes.
   */
  gesture?(
    scene: S,
    frame: Frame,
    at: Point | null,
    gesture: Gesture,
  ): MapWindow | null | undefined;
  /** At most about 80 stops: only what is in the frame. */
  stops(scene: S, frame: Frame): readonly Stop[];
}
