// The map of one panel: gestures to windows, and the hint how to zoom.

import type { MapWindow } from "../protocol/generated.js";
import type { Scene } from "../scene/scene.js";
import type { Gesture, Hit, Point } from "../state/interaction.js";
import { isZoomed } from "../views/map/window.js";
import type { Frame, View } from "../views/view.js";
import { MapGestures, type MapTarget } from "./map-gestures.js";

/** Long enough to read. */
const HINT_MS = 3500;

/** What a panel provides for its map, and what the map calls. */
export interface MapPanel {
  readonly view: View;
  readonly frame: Frame;
  /** Over the picture, where a hint may stand. */
  readonly sticky: HTMLElement;
  hitAt(x: number, y: number): Hit | null;
  /** Bring a part of matrices into sight. */
  show(window: MapWindow | null): void;
}

/** The map of one panel, if its view has one: gestures become windows. */
export class PanelMap implements MapTarget {
  readonly gestures: MapGestures;
  private scene: Scene | null = null;
  private hinted = false;

  constructor(
    private readonly panel: MapPanel,
    canvas: HTMLCanvasElement,
    signal: AbortSignal,
  ) {
    this.gestures = new MapGestures(canvas, this, signal);
  }

  painted(scene: Scene): void {
    this.scene = scene;
    this.gestures.touch(this.panel.view.gesture !== undefined && scene.state.form === "matrix");
  }

  gesture(at: Point | null, gesture: Gesture): boolean {
    const { scene, panel } = this;
    const window = scene ? panel.view.gesture?.(scene, panel.frame, at, gesture) : undefined;
    if (!scene || window === undefined) return false;
    // Several gestures may come before the next frame: each goes on from the one before.
    this.scene = { ...scene, options: { ...scene.options, map: window } };
    panel.show(window);
    return true;
  }

  isMap(at: Point): boolean {
    const { scene, panel } = this;
    const changes = (factor: number) =>
      scene !== null &&
      panel.view.gesture?.(scene, panel.frame, at, { kind: "zoom", factor }) !== undefined;
    return changes(2) || changes(0.5);
  }

  isZoomed(): boolean {
    return this.scene !== null && isZoomed(this.scene);
  }

  hit({ x, y }: Point): Hit | null {
    return this.panel.hitAt(x, y);
  }

  show({ map }: Hit): void {
    if (map !== undefined) this.panel.show(map);
  }

  /** Bring a position into sight that was set elsewhere. */
  reveal(at: { query?: number; key?: number }): void {
    const { scene, panel } = this;
    const window = scene ? panel.view.revealOnMap?.(scene, panel.frame, at) : undefined;
    if (window !== undefined) panel.show(window);
  }

  /** How to zoom, said once, where the reader tried the wheel. */
  hint(): void {
    if (this.hinted) return;
    this.hinted = true;
    const hint = document.createElement("div");
    hint.className = "aw-hint";
    hint.setAttribute("role", "status");
    const key = /Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl";
    hint.textContent = `${key} + wheel, a pinch or a double click zooms; + − 0 on the keyboard`;
    this.panel.sticky.append(hint);
    setTimeout(() => hint.remove(), HINT_MS);
  }
}
