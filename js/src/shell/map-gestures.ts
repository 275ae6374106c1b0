// Wheel, pinch, double click and drag on a map.

import type { Gesture, Hit, Point } from "../state/interaction.js";

/** What of a view the gestures are about. */
export interface MapTarget {
  /** Do it; tell whether that changed what is in sight. */
  gesture(at: Point | null, gesture: Gesture): boolean;
  /** Whether there is a map at this point. */
  isMap(at: Point): boolean;
  isZoomed(): boolean;
  hit(at: Point): Hit | null;
  /** A press or a drag on the minimap. */
  show(hit: Hit): void;
  /** The reader turned the wheel over a map that it does not move. */
  hint(): void;
}

/** In pixels: a press that moves less is a click. */
const SLOP = 3;
/** A notch of a wheel; a pinch on a trackpad comes as many small turns of one. */
const NOTCH = Math.SQRT2;
const FINE_TURN = 40;
const LINE = 16;
const PAGE = 400;

function wheelFactor({ deltaY, deltaMode }: WheelEvent): number {
  if (deltaMode === 0 && Math.abs(deltaY) < FINE_TURN) return Math.exp(-deltaY / 100);
  return deltaY < 0 ? NOTCH : 1 / NOTCH;
}

function wheelPixels({ deltaX, deltaY, deltaMode, shiftKey }: WheelEvent) {
  const unit = [1, LINE, PAGE][deltaMode] ?? 1;
  const [x, y] = shiftKey && deltaX === 0 ? [deltaY, 0] : [deltaX, deltaY];
  return { dx: unit * x, dy: unit * y };
}

interface Press {
  readonly kind: "pan" | "minimap";
  readonly from: Point;
  last: Point;
  moved: boolean;
  over: boolean;
}

/**
 * Wheel, pinch, double click and drags over a map. A page keeps its scrolling: the wheel moves a map
 * only where the pointer has come to it by itself and there is somewhere to move to; with Ctrl or
 * Cmd, as which a pinch arrives too, it zooms.
 */
export class MapGestures {
  private press: Press | null = null;
  private readonly fingers = new Map<number, Point>();
  /** The pointer was moved here, not the page under it. */
  private rests = false;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly target: MapTarget,
    signal: AbortSignal,
  ) {
    const on = <K extends keyof HTMLElementEventMap>(
      type: K,
      listener: (event: HTMLElementEventMap[K]) => void,
      passive = true,
    ) => canvas.addEventListener(type, listener as EventListener, { signal, passive });
    on("wheel", (event) => this.wheel(event), false);
    on("dblclick", (event) => {
      const at = this.at(event);
      if (target.isMap(at) && !target.hit(at)?.drags)
        target.gesture(at, { kind: "zoom", factor: 2 });
    });
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.move(event));
    for (const type of ["pointerup", "pointercancel"] as const) on(type, (event) => this.up(event));
    on("pointerleave", () => {
      this.rests = false;
    });
  }

  /** Whether the press that ends now moved the map: then it is no click. */
  get moved(): boolean {
    return this.press?.moved ?? false;
  }

  get panning(): boolean {
    const { press } = this;
    return press?.kind === "pan" && press.moved && !press.over;
  }

  /** Whether the pointer that is down is the map's. */
  get holds(): boolean {
    return this.press !== null;
  }

  /** What a finger does to the page: over a map that is zoomed in, nothing. */
  touch(isMap: boolean): void {
    const action = !isMap ? "" : this.target.isZoomed() ? "none" : "pan-x pan-y";
    if (this.canvas.style.touchAction !== action) this.canvas.style.touchAction = action;
  }

  private at(event: MouseEvent): Point {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private wheel(event: WheelEvent): void {
    const { target } = this;
    const at = this.at(event);
    if (!target.isMap(at)) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      target.gesture(at, { kind: "zoom", factor: wheelFactor(event) });
    } else if (!target.isZoomed()) target.hint();
    else if (this.rests && target.gesture(at, { kind: "pan", ...wheelPixels(event) })) {
      event.preventDefault();
    }
  }

  private down(event: PointerEvent): void {
    const at = this.at(event);
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, at);
    const { target } = this;
    const free = event.button === 0 && !event.shiftKey && !event.ctrlKey && !event.metaKey;
    const hit = free ? target.hit(at) : null;
    const cell = hit?.query !== undefined && hit.key !== undefined;
    const kind = hit?.drags
      ? "minimap"
      : cell && target.isMap(at) && target.isZoomed()
        ? "pan"
        : null;
    this.press = kind && { kind, from: at, last: at, moved: false, over: false };
    if (kind) this.canvas.setPointerCapture(event.pointerId);
  }

  private move(event: PointerEvent): void {
    if (event.movementX !== 0 || event.movementY !== 0) this.rests = true;
    const at = this.at(event);
    if (this.pinch(event.pointerId, at)) return;
    const { press, target } = this;
    if (!press || press.over) return;
    const { from, last } = press;
    if (!press.moved && Math.hypot(at.x - from.x, at.y - from.y) < SLOP) return;
    press.moved = true;
    press.last = at;
    if (press.kind === "pan") {
      target.gesture(at, { kind: "pan", dx: last.x - at.x, dy: last.y - at.y });
      return;
    }
    const hit = target.hit(at);
    if (hit?.drags) target.show(hit);
  }

  /** Two fingers: what is between them stays there. */
  private pinch(finger: number, at: Point): boolean {
    const before = this.fingers.get(finger);
    if (!before) return false;
    const other = [...this.fingers].find(([id]) => id !== finger)?.[1];
    this.fingers.set(finger, at);
    if (!other) return false;
    const { target } = this;
    if (this.press) this.press.moved = true;
    const apart = (point: Point) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y));
    const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
    target.gesture(middle, { kind: "zoom", factor: apart(at) / apart(before) });
    const [dx, dy] = [(before.x - at.x) / 2, (before.y - at.y) / 2];
    target.gesture(middle, { kind: "pan", dx, dy });
    return true;
  }

  private up(event: PointerEvent): void {
    this.fingers.delete(event.pointerId);
    // The click that follows still asks whether this was one.
    if (this.press?.moved) this.press.over = true;
    else this.press = null;
  }
}
