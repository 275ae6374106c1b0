// What Python is told of the reader's window.

import type { Screen } from "../protocol/generated.js";
import type { Options, ViewName } from "../state/interaction.js";

/** How far each view is scrolled. */
export type Scrolls = Iterable<readonly [ViewName, { readonly scroll: number }]>;

/** What is on screen besides the selection, in whole pixels. */
export function screenOf(
  root: HTMLElement,
  views: Scrolls,
  options: Options,
  { width, dark }: Pick<Screen, "width" | "dark">,
): Screen {
  const scroll = Object.fromEntries(
    Array.from(views, ([name, view]) => [name, Math.round(view.scroll)]),
  );
  const { keyOrder, dimensionOrder, allKeys, attendedBy, map } = options;
  const { height } = root.getBoundingClientRect();
  return {
    width,
    ...(height > 0 ? { height: Math.ceil(height) } : {}),
    dark,
    scroll,
    key_order: keyOrder,
    dimension_order: dimensionOrder,
    all_keys: allKeys,
    attended_by: attendedBy,
    ...(map ? { map } : {}),
  };
}
