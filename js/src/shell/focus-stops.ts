// Scrolling along with the keyboard focus.

import type { Stop } from "../views/view.js";

/** Which list of tokens a stop belongs to, if any. */
function runOf(stop: Stop | undefined): "queries" | "keys" | null {
  if (!stop || stop.action !== undefined || stop.scrollTo !== undefined) return null;
  if (stop.query !== undefined) return "queries";
  return stop.key === undefined ? null : "keys";
}

/**
 * How far to scroll when a stop gets the focus: at the last token in sight half of those in sight, so
 * that Tab goes on to the next one while the focused one stays where it can be seen.
 */
export function scrollOn(stops: readonly Stop[], index: number): number {
  const run = runOf(stops[index]);
  if (run === null || runOf(stops[index + 1]) === run) return 0;
  let first = index;
  while (runOf(stops[first - 1]) === run) first--;
  return ((stops[index]?.rect.y ?? 0) - (stops[first]?.rect.y ?? 0)) / 2;
}
