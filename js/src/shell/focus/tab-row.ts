// Controls in a row with one tab stop for all of them: the arrows lead from one to the next.

import { keepsKey, pressable, setTabStop } from "./moves.js";

export class TabRow {
  private stop: HTMLElement | null = null;

  constructor(private readonly element: HTMLElement) {
    element.addEventListener("focusin", ({ target }) => {
      if (target instanceof HTMLElement && this.items.includes(target)) this.stop = target;
      this.update();
    });
    element.addEventListener("keydown", (event) => this.key(event));
  }

  /** After each drawing: controls come and go, and one of those that are there is the stop. */
  update(): void {
    const { items } = this;
    if (!this.stop || !items.includes(this.stop)) this.stop = items[0] ?? null;
    setTabStop(items, this.stop ?? undefined);
  }

  /** What stands in the row itself. Nothing of it is ever hidden but what is in boxes, so no place is read. */
  private get items(): readonly HTMLElement[] {
    return pressable(this.element).filter((element) => !element.closest("[popover]"));
  }

  private key(event: KeyboardEvent): void {
    const { target, key } = event;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!/^(ArrowLeft|ArrowRight|Home|End)$/.test(key) || keepsKey(target, key)) return;
    const { items } = this;
    const at = items.indexOf(target as HTMLElement);
    if (at < 0) return;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: items.length - 1 }[key];
    items[to ?? at]?.focus();
    // Elsewhere they mean another head.
    event.preventDefault();
    event.stopPropagation();
  }
}
