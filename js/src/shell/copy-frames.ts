// The notebook's side of frozen copies: gives each frame the height that its copy asks for, and tells it the theme.

import { heightIn, pageMessage } from "./frame-messages.js";
import { isDark, watchPage } from "./page-theme.js";

// One listener does for all copies of a page, whatever version made them.
const PLACE = Symbol.for("attnwidget copy frames");
type Page = typeof globalThis & { [PLACE]?: true };

/** The frames of the copies in a tree; marimo has outputs in trees of their own. */
function copiesIn(tree: ParentNode): HTMLIFrameElement[] {
  const deeper = Array.from(tree.querySelectorAll("*"), ({ shadowRoot }) =>
    shadowRoot ? copiesIn(shadowRoot) : [],
  );
  return [
    ...tree.querySelectorAll<HTMLIFrameElement>("iframe.attnwidget-frozen"),
    ...deeper.flat(),
  ];
}

/** Look after the frozen copies of this page, those that are still to come as well. Once is enough. */
export function tendCopies(): void {
  const page: Page = globalThis;
  if (page[PLACE]) return;
  page[PLACE] = true;
  const heights = new Map<HTMLIFrameElement, number>();
  const tell = (frame: HTMLIFrameElement) => {
    const message = pageMessage(isDark(frame), heights.get(frame) ?? null);
    // A copy has no origin that could be named; there is nothing in it that others must not know.
    frame.contentWindow?.postMessage(message, "*");
  };
  addEventListener("message", ({ source, data }) => {
    const height = heightIn(data);
    // A frame that was taken off the page has no window either.
    if (height === null || source === null) return;
    const isSource = (frame: HTMLIFrameElement) => frame.contentWindow === source;
    const frame = [...heights.keys()].find(isSource) ?? copiesIn(document).find(isSource);
    if (!frame) return;
    heights.set(frame, height);
    frame.style.height = `${height}px`;
    // A frame is see-through only where its page has the colour scheme of the page around it.
    frame.style.colorScheme = "light";
    tell(frame);
  });
  watchPage(() => {
    for (const frame of heights.keys()) {
      // One that comes back loads its copy again, which then says how high it is.
      if (frame.isConnected) tell(frame);
      else heights.delete(frame);
    }
  });
  for (const frame of copiesIn(document)) tell(frame);
}
