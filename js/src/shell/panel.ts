// One view on the page: canvas, scroll container, pointer events, focusable stops.

import { html, nothing, render } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import type { MapWindow } from "../protocol/generated.js";
import { isThere } from "../scene/generation-step.js";
import type { Scene } from "../scene/scene.js";
import type { Gesture, Hit, RevealTarget, ViewName } from "../state/interaction.js";
import { createCanvasSurface } from "../surface/canvas.js";
import type { Rect } from "../surface/surface.js";
import type { Frame, Stop, View } from "../views/view.js";
import { MOVES, neighbour } from "./focus/moves.js";
import { scrollOn } from "./focus-stops.js";
import { type MapPanel, PanelMap } from "./panel-map.js";

export interface PanelEvents {
  hover(view: ViewName, hit: Hit | null, x: number, y: number, keyboard: boolean): void;
  click(view: ViewName, hit: Hit, additive: boolean): void;
  /** From where a drag began to where it is. */
  drag(view: ViewName, from: Hit, to: Hit): void;
  scrolled(): void;
  /** Bring a part of matrices into sight. */
  map(window: MapWindow | null): void;
  /** Two clicks that were one gesture: they are taken back. */
  doubleClicked(): void;
}

/** A press on a token, and the last one it was moved to. */
interface Drag {
  readonly from: Hit;
  readonly to?: Hit;
  readonly x: number;
  readonly y: number;
}

const modified = ({ shiftKey, metaKey, ctrlKey }: MouseEvent) => shiftKey || metaKey || ctrlKey;

/** Reading the stops after every frame would cost more than drawing it; a reader's Tab is slower. */
const STOPS_DELAY_MS = 120;

/**
 * The place of one view on the page: a canvas that stays put while a native scroll container moves
 * over its content, and over it the focusable stops for keyboard and screen reader.
 */
export class Panel implements MapPanel {
  readonly element = document.createElement("section");
  private readonly heading = document.createElement("h3");
  /** What stands at the other end of the title's line. */
  readonly aside = document.createElement("div");
  private readonly canvas = document.createElement("canvas");
  private readonly scroller = document.createElement("div");
  private readonly spacer = document.createElement("div");
  readonly sticky = document.createElement("div");
  private readonly overlay = document.createElement("div");
  private scene: Scene | null = null;
  private timer = 0;
  /** What lies over the picture for the keyboard, and which of it is the tab stop. */
  private stops: readonly Stop[] = [];
  private tabStop: string | null = null;
  /** Where the pointer is on the canvas, while it is. */
  private pointer: { readonly x: number; readonly y: number } | null = null;
  private dragging: Drag | null = null;
  private readonly abort = new AbortController();
  private readonly map: PanelMap;

  constructor(
    readonly view: View,
    title: string,
    private readonly events: PanelEvents,
  ) {
    this.element.className = `aw-panel aw-panel-${view.name}`;
    this.element.setAttribute("aria-label", title);
    const { heading } = this;
    heading.className = "aw-title";
    heading.textContent = title;
    this.scroller.className = "aw-scroll";
    this.spacer.className = "aw-spacer";
    this.sticky.className = "aw-sticky";
    this.overlay.className = "aw-stops";
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", title);
    this.sticky.append(this.canvas, this.overlay);
    this.spacer.append(this.sticky);
    this.scroller.append(this.spacer);
    this.aside.className = "aw-title-aside";
    // Floating beside the name, which is cut short where there is no room for both.
    this.element.append(this.aside, heading, this.scroller);
    this.map = new PanelMap(this, this.canvas, this.abort.signal);
    this.listen(this.abort.signal);
  }

  dispose(): void {
    this.abort.abort();
    // An element that is taken away is never left by the pointer, nor by the focus.
    this.events.hover(this.view.name, null, 0, 0, false);
    clearTimeout(this.timer);
    this.element.remove();
  }

  set title(text: string) {
    if (this.heading.textContent !== text) this.heading.textContent = text;
  }

  get scroll(): number {
    return this.scroller.scrollTop;
  }

  get frame(): Frame {
    return {
      width: this.scroller.clientWidth,
      height: this.scroller.clientHeight,
      scroll: this.scroller.scrollTop,
    };
  }

  private listen(signal: AbortSignal): void {
    const { canvas, scroller, events } = this;
    const at = (event: MouseEvent) => {
      const box = canvas.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const point = (event: MouseEvent | null) => {
      this.pointer = event && at(event);
      this.hover();
    };
    const move = (event: PointerEvent) => {
      point(event);
      this.drag(event);
    };
    canvas.addEventListener("pointermove", move, { signal });
    canvas.addEventListener("pointerdown", (event) => this.grab(event, at(event)), { signal });
    canvas.addEventListener("pointerleave", () => point(null), { signal });
    canvas.addEventListener(
      "click",
      (event) => {
        const { x, y } = at(event);
        const hit = this.hitAt(x, y);
        const dragged = this.dragging?.to !== undefined || this.map.gestures.moved;
        this.dragging = null;
        if (dragged) return;
        if (hit) this.activate(hit, modified(event));
      },
      { signal },
    );
    canvas.addEventListener("dblclick", () => events.doubleClicked(), { signal });
    const scrolled = () => {
      // What was under the pointer has moved away from it.
      if (this.pointer) this.hover();
      events.scrolled();
    };
    scroller.addEventListener("scroll", scrolled, { signal, passive: true });
    this.overlay.addEventListener("keydown", (event) => this.walk(event), { signal });
  }

  /** What a key does to the map; where the pointer is, or in the middle of it. */
  gesture(gesture: Gesture, middle = false): boolean {
    return this.map.gesture(middle ? null : this.pointer, gesture);
  }

  hitAt(x: number, y: number): Hit | null {
    const hit = this.scene && this.view.hit(this.scene, this.frame, x, y);
    return hit && isThere(this.scene?.generationStep ?? null, hit) ? hit : null;
  }

  /** A finger scrolls; a mouse or pen that is pressed on a token may select a range. */
  private grab(event: PointerEvent, at: { x: number; y: number }): void {
    const from =
      event.pointerType === "touch" || event.button !== 0 ? null : this.hitAt(at.x, at.y);
    const free = event.shiftKey || !modified(event);
    const position = from?.query !== undefined || from?.key !== undefined;
    const ranges = this.view.name === "head" || this.view.name === "compare";
    // What lies between two patches of a picture is no range.
    const inRow = this.scene?.state.form !== "image";
    const plain = from && position && ranges && inRow && !from.action && free;
    // Pressed on a map that is zoomed in, the map moves; with Shift, a block is pinned as ever.
    this.dragging = plain && !this.map.gestures.holds ? { from: from.pin ?? from, ...at } : null;
  }

  private drag(event: PointerEvent): void {
    const { dragging } = this;
    if (!dragging || (event.buttons & 1) === 0 || !this.pointer) return;
    const { from, x, y } = dragging;
    const text = this.scene?.state.form === "text" && this.view.name === "head";
    const both = text || (from.query !== undefined && from.key !== undefined);
    // Along an axis the pointer may stray from its labels.
    const across = from.key !== undefined && this.scene?.state.form === "matrix";
    const under = this.hitAt(this.pointer.x, this.pointer.y);
    const to = both
      ? (under?.pin ?? under)
      : this.hitAt(across ? this.pointer.x : x, across ? y : this.pointer.y);
    const last = dragging.to ?? from;
    if (!to || (to.query === last.query && to.key === last.key)) return;
    this.dragging = { ...dragging, to };
    this.events.drag(this.view.name, from, to);
  }

  show(window: MapWindow | null): void {
    this.events.map(window);
  }

  private hover(): void {
    const { x, y } = this.pointer ?? { x: 0, y: 0 };
    const hit = this.pointer && this.hitAt(x, y);
    // A dimension alone is only looked at.
    const { dimension: _, ...clickable } = hit ?? {};
    this.canvas.style.cursor = Object.keys(clickable).length > 0 ? "pointer" : "default";
    if (this.map.gestures.panning) this.canvas.style.cursor = "grabbing";
    this.events.hover(this.view.name, hit, x, y, false);
  }

  private activate(hit: Hit, additive: boolean): void {
    if (hit.scrollTo !== undefined) this.scroller.scrollTop = hit.scrollTo;
    else if (hit.map !== undefined) this.events.map(hit.map);
    else this.events.click(this.view.name, hit, additive);
  }

  /** Put the panel where the layout says; `rect` is the drawing, the title above it may have no height. */
  place(rect: Rect, titleHeight: number): void {
    this.heading.hidden = titleHeight === 0;
    const { style } = this.element;
    style.left = `${rect.x}px`;
    style.top = `${rect.y - titleHeight}px`;
    style.width = `${rect.width}px`;
    style.height = `${rect.height + titleHeight}px`;
    this.scroller.style.height = `${rect.height}px`;
    this.sticky.style.height = `${rect.height}px`;
  }

  /** Scroll so that a position or a head set elsewhere (in Python, in another view) is in the frame. */
  reveal(at: RevealTarget): void {
    if (!this.scene) return;
    const scroll = this.view.reveal?.(this.scene, this.frame, at);
    if (scroll !== null && scroll !== undefined) this.scroller.scrollTop = scroll;
    this.map.reveal(at);
  }

  paint(scene: Scene): void {
    this.scene = scene;
    const { clientHeight: height } = this.scroller;
    const content = this.view.contentHeight(scene, this.scroller.clientWidth, height);
    this.spacer.style.height = `${Math.max(height, content)}px`;
    const frame = this.frame;
    const scale = Math.max(1, window.devicePixelRatio || 1);
    const [w, h] = [Math.round(frame.width * scale), Math.round(frame.height * scale)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
      this.canvas.style.width = `${frame.width}px`;
      this.canvas.style.height = `${frame.height}px`;
    }
    const context = this.canvas.getContext("2d");
    if (!context || w === 0 || h === 0) return;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, frame.width, frame.height);
    this.view.draw(
      createCanvasSurface(context, { width: frame.width, height: frame.height, scale }),
      scene,
      frame,
    );
    this.map.painted(scene);
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.renderStops(scene, frame), STOPS_DELAY_MS);
  }

  /** Arrow keys go from thing to thing; at the edge of what is in sight they bring more of it there. */
  private walk(event: KeyboardEvent): void {
    const { key, altKey, ctrlKey, metaKey, shiftKey } = event;
    if (!MOVES.has(key) || altKey || ctrlKey || metaKey || shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    const elements = [...this.overlay.children] as HTMLElement[];
    const from = elements.indexOf(event.target as HTMLElement);
    const boxes = this.stops.map(({ rect }) => rect);
    const to = neighbour(boxes, from, key);
    if (to !== null) elements[to]?.focus();
    else if (key === "ArrowUp" || key === "ArrowDown") {
      const half = this.scroller.clientHeight / 2;
      this.scroller.scrollTop += key === "ArrowUp" ? -half : half;
    }
  }

  /** The stop that Tab leads to: the one that had the focus last, else what is selected, else the first. */
  private tabStopAmong(ids: readonly string[], scene: Scene): string | null {
    if (this.tabStop !== null && ids.includes(this.tabStop)) return this.tabStop;
    const { layer, heads, query, key } = scene.state;
    const chosen = this.stops.findIndex((stop) =>
      this.view.name === "model"
        ? stop.layer === layer && heads.includes(stop.head ?? -1)
        : query !== null && stop.query === query && (stop.key ?? key) === key,
    );
    return ids[Math.max(0, chosen)] ?? null;
  }

  private renderStops(scene: Scene, frame: Frame): void {
    const stops = this.view
      .stops(scene, frame)
      .filter((stop) => isThere(scene.generationStep, stop));
    this.stops = stops;
    const seen = new Set<string>();
    const keyOf = ({ layer, head, action, scrollTo, ...stop }: Stop) => {
      // What a press pins: what pointing there means may change with that, and the focus stays.
      const { query, key } = stop.pin ?? stop;
      let id = `${layer}.${head}.${query}.${key}.${action}.${scrollTo}`;
      // The neuron view's equation is about a key that has a row of its own.
      while (seen.has(id)) id += "+";
      seen.add(id);
      return id;
    };
    const ids = stops.map(keyOf);
    const tabStop = this.tabStopAmong(ids, scene);
    const draw = (stop: Stop, index: number) => {
      const id = ids[index] as string;
      return this.stop(
        stop,
        { onwards: scrollOn(stops, index), id, reached: id === tabStop },
        scene,
      );
    };
    const known = (_: Stop, index: number) => ids[index];
    render(repeat(stops, known, draw), this.overlay);
  }

  private stop(
    stop: Stop,
    { onwards, id, reached }: { onwards: number; id: string; reached: boolean },
    scene: Scene,
  ) {
    const { x, y, width, height } = stop.rect;
    const selected =
      stop.layer === scene.state.layer && scene.state.heads.includes(stop.head ?? -1);
    const style = `left:${x}px;top:${y}px;width:${width}px;height:${height}px`;
    const focused = () => {
      this.tabStop = id;
      this.events.hover(this.view.name, stop, x + width, y + height, true);
      // Pictures side by side scroll by pictures, not by tokens.
      const { form } = scene.state;
      if (this.view.name === "neuron" || form === "lines" || form === "text")
        this.scroller.scrollTop += onwards;
    };
    const left = () => this.events.hover(this.view.name, null, 0, 0, true);
    // Words of the picture: a button would promise that something comes of it.
    if (stop.onlyRead)
      return html`<span
        role="img"
        class="aw-stop"
        tabindex=${reached ? 0 : -1}
        aria-label=${stop.name}
        style=${style}
        @focus=${focused}
        @blur=${left}
      ></span>`;
    return html`<button
      type="button"
      class="aw-stop"
      tabindex=${reached ? 0 : -1}
      aria-label=${stop.name}
      aria-pressed=${this.view.name === "model" ? String(selected) : nothing}
      style=${style}
      @focus=${focused}
      @blur=${left}
      @click=${(event: MouseEvent) => this.activate(stop, modified(event))}
    ></button>`;
  }
}
