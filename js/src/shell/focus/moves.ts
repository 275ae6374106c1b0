// Arrow keys between things on the page: one of them is the tab stop, the arrows lead to the others.

/** A thing's place, as an element's box or a stop's. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const middle = ({ x, y, width, height }: Box) => ({ x: x + width / 2, y: y + height / 2 });

/** How far one is from another in a direction, sideways counted twice; null where it lies elsewhere. */
function distance(from: Box, to: Box, key: string): number | null {
  const [a, b] = [middle(from), middle(to)];
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const ways: Readonly<Record<string, readonly [number, number]>> = {
    ArrowRight: [dx, dy],
    ArrowLeft: [-dx, dy],
    ArrowDown: [dy, dx],
    ArrowUp: [-dy, dx],
  };
  const [along = 0, across = 0] = ways[key] ?? [];
  // What only just reaches beyond is beside it, not behind it.
  return along > 1 && along >= Math.abs(across) / 4 ? along + 2 * Math.abs(across) : null;
}

/** The place of what an arrow key, Home or End leads to; null where there is nothing. */
export function neighbour(boxes: readonly Box[], from: number, key: string): number | null {
  if (key === "Home" || key === "End") {
    const end = key === "Home" ? 0 : boxes.length - 1;
    return boxes.length === 0 || end === from ? null : end;
  }
  const start = boxes[from];
  if (!start) return null;
  let [best, least]: [number | null, number] = [null, Number.POSITIVE_INFINITY];
  boxes.forEach((box, at) => {
    const far = at === from ? null : distance(start, box, key);
    if (far !== null && far < least) [best, least] = [at, far];
  });
  return best;
}

export const MOVES: ReadonlySet<string> = new Set([
  "ArrowUp",
  "ArrowDown",
  "ArrowLeft",
  "ArrowRight",
  "Home",
  "End",
]);

/** Whether an element takes the arrow keys itself: a slider and a field all of them, a list those up and down. */
export function keepsKey(target: EventTarget | null, key: string): boolean {
  if (target instanceof HTMLTextAreaElement) return true;
  if (target instanceof HTMLInputElement) return true;
  return target instanceof HTMLSelectElement && (key === "ArrowUp" || key === "ArrowDown");
}

const PRESSABLE = "button:not(:disabled), select, input, textarea, summary";

/** What can have the focus in an element, hidden or not. */
export function pressable(within: Element): readonly HTMLElement[] {
  return [...within.querySelectorAll<HTMLElement>(PRESSABLE)];
}

/** What of it is on the page. */
export function focusable(within: Element): readonly HTMLElement[] {
  return pressable(within).filter((element) => element.getClientRects().length > 0);
}

/** Make one of some elements the tab stop. */
export function setTabStop(items: readonly HTMLElement[], stop: HTMLElement | undefined): void {
  for (const item of items) {
    const index = item === stop ? 0 : -1;
    if (item.tabIndex !== index || !item.hasAttribute("tabindex")) item.tabIndex = index;
  }
}
