// A button that opens a box of further controls: over everything, so that nothing of the notebook cuts it off.

import { html, type TemplateResult } from "lit-html";
import { focusable, keepsKey, MOVES, neighbour } from "../focus/moves.js";

/** Between a button and its box, and between the box and the edge of the window. */
const GAP = 4;
const EDGE = 8;

/** Put an open box under what it belongs to, or above where there is more room. */
function placeBox(box: HTMLElement, at: DOMRect): void {
  const { style } = box;
  style.maxHeight = "";
  const [width, height] = [box.offsetWidth, box.offsetHeight];
  const below = window.innerHeight - at.bottom - GAP - EDGE;
  const above = at.top - GAP - EDGE;
  const up = height > below && above > below;
  const room = Math.max(80, up ? above : below);
  const left = Math.max(EDGE, Math.min(at.left, window.innerWidth - width - EDGE));
  style.left = `${left}px`;
  style.top = `${up ? Math.max(EDGE, at.top - GAP - Math.min(height, room)) : at.bottom + GAP}px`;
  style.maxHeight = `${room}px`;
}

/** Keep an open box where it belongs while the page moves, until the signal aborts. */
export function followPage(box: HTMLElement, anchor: Element, signal: AbortSignal): void {
  const place = () => placeBox(box, anchor.getBoundingClientRect());
  place();
  const moved = (event: Event) => {
    // What scrolls inside of the box moves nothing.
    if (!(event.target instanceof Node && box.contains(event.target))) place();
  };
  window.addEventListener("scroll", moved, { signal, capture: true, passive: true });
  window.addEventListener("resize", place, { signal });
  // What is in the box may come later.
  const grown = new ResizeObserver(place);
  for (const part of box.children) grown.observe(part);
  signal.addEventListener("abort", () => grown.disconnect());
}

const open = new WeakMap<HTMLElement, AbortController>();

const boxOf = (button: Element) => button.nextElementSibling as HTMLElement;

/** Close a box, wherever the focus goes. */
function close(button: HTMLElement): void {
  open.get(button)?.abort();
  open.delete(button);
  button.setAttribute("aria-expanded", "false");
  const box = boxOf(button);
  if (box?.matches(":popover-open")) box.hidePopover();
}

/** Close the menu that an element stands in, and put the focus back on its button. */
export function closeMenuOf(element: Element): void {
  const button = element.closest(".aw-menu")?.previousElementSibling;
  if (!(button instanceof HTMLElement)) return;
  close(button);
  button.focus();
}

/** Arrow keys go from control to control, Escape closes. */
function keys(event: KeyboardEvent, button: HTMLElement): void {
  const box = boxOf(button);
  if (event.key === "Escape") {
    close(button);
    button.focus();
  } else if (MOVES.has(event.key) && !keepsKey(event.target, event.key)) {
    const items = focusable(box);
    const boxes = items.map((item) => item.getBoundingClientRect());
    const at = neighbour(boxes, items.indexOf(event.target as HTMLElement), event.key);
    if (at !== null) items[at]?.focus();
  } else if (event.key !== "/" && event.key !== "?") {
    // Letters and the rest mean what they mean; what moves heads and layers stays away.
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

function show(button: HTMLElement, byKey: boolean): void {
  const box = boxOf(button);
  const abort = new AbortController();
  const { signal } = abort;
  open.set(button, abort);
  box.showPopover();
  button.setAttribute("aria-expanded", "true");
  followPage(box, button, signal);
  const away = (event: Event) => {
    const inside = event.composedPath().some((node) => node === box || node === button);
    if (!inside || !button.isConnected) close(button);
  };
  window.addEventListener("pointerdown", away, { signal, capture: true });
  box.addEventListener("keydown", (event) => keys(event, button), { signal });
  box.addEventListener(
    "focusout",
    ({ relatedTarget }) => {
      if (relatedTarget instanceof Node && !box.contains(relatedTarget)) close(button);
    },
    { signal },
  );
  if (byKey) focusable(box)[0]?.focus();
}

function toggle(event: Event): void {
  const button = event.currentTarget as HTMLElement;
  if (open.has(button)) close(button);
  // A click by the keyboard has no count.
  else show(button, (event as MouseEvent).detail === 0);
}

function pressed(event: KeyboardEvent): void {
  const button = event.currentTarget as HTMLElement;
  if (event.key === "ArrowDown") {
    if (!open.has(button)) show(button, true);
    else focusable(boxOf(button))[0]?.focus();
  } else if (event.key === "Escape" && open.has(button)) {
    close(button);
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

/** A button and the box that it opens. */
export interface Menu {
  readonly name: string;
  readonly text: string | TemplateResult;
  readonly label: string;
  readonly title?: string;
  readonly content: TemplateResult;
}

export function menu({ name, text, label, title, content }: Menu): TemplateResult {
  return html`<span class="aw-menu-place">
    <button
      type="button"
      class="aw-menu-button aw-menu-${name}"
      aria-haspopup="true"
      aria-expanded="false"
      aria-label=${label}
      title=${title ?? label}
      @click=${toggle}
      @keydown=${pressed}
    >
      ${text}
    </button>
    <div class="aw-menu aw-box" popover="manual" role="group" aria-label=${label}>${content}</div>
  </span>`;
}
