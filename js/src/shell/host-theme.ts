// Light or dark, as the page around the widget is.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import { isDark, watchPage } from "./page-theme.js";

/** Follows the host's theme until the signal aborts. */
export function watchDark(element: Element, abort: AbortSignal): ReadonlySignal<boolean> {
  const dark = signal(isDark(element));
  const update = () => {
    dark.value = isDark(element);
  };
  watchPage(update, abort);
  // The element is in no document yet when the widget is made: its background is known a frame later.
  requestAnimationFrame(update);
  return dark;
}
