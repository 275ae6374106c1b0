// Buttons in a row with one tab stop for all of them: the arrows lead from one to the next.

import { focusable, keepsKey, setTabStop } from "./moves.js";

export class TabRow {
  private stop: HTMLElement | null = null;

  constructor(private readonly element: HTMLElement) {
    element.addEventListener("focusin", ({ target }) => {
      if (target instanceof HTMLElement) this.stop = target;
      this.update();
    });
    element.addEventListener("keydown", (event) => this.key(event));
  }

  /** After each drawing: buttons come and go, and one of those that are there is the stop. */
  update(): void {
    const items = focusable(this.element);
    if (!this.stop || !items.includes(this.stop)) this.stop = items[0] ?? null;
    setTabStop(items, this.stop ?? undefined);
  }

  private key(event: KeyboardEvent): void {
    const { target, key } = event;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!/^(ArrowLeft|ArrowRight|Home|End)$/.test(key) || keepsKey(target, key)) return;
    const items = focusable(this.element);
    const at = items.indexOf(target as HTMLElement);
    if (at < 0) return;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: items.length - 1 }[key];
    items[to ?? at]?.focus();
    // Elsewhere they mean another head.
    event.preventDefault();
    event.stopPropagation();
  }
}
