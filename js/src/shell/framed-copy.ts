// A frozen copy's side of its frame: says how high it is, and takes on what the page around it says of itself.

import { copyMessage, readPageMessage, streamlitMessage } from "./frame-messages.js";
import { isDark, outerFrame, TOLD_DARK, watchPage } from "./page-theme.js";

/**
 * Keep a saved page as light or dark as the page around its frame, whatever the browser prefers, until the signal aborts:
 * where that page can be seen, as Streamlit and a site's own frames let it.
 */
function followOuterPage(signal: AbortSignal): void {
  const frame = outerFrame();
  if (!frame) return;
  const page = document.documentElement;
  const follow = () => {
    const dark = isDark(frame);
    // Set only where it differs: an attribute that is set is watched, too.
    if (page.getAttribute(TOLD_DARK) === String(dark)) return;
    page.setAttribute(TOLD_DARK, String(dark));
    page.style.colorScheme = dark ? "dark" : "light";
  };
  follow();
  watchPage(follow, signal);
}

/**
 * Keep the frame around a saved copy as high as the copy, and the copy as light or dark as what is around it, until the
 * signal aborts. Where nobody there listens the frame keeps its height, and the copy scrolls in it.
 */
export function fitFrame(signal: AbortSignal): void {
  const { parent } = window;
  if (parent === window) return;
  followOuterPage(signal);
  const page = document.documentElement;
  const height = () => page.getBoundingClientRect().height;
  let said = 0;
  const report = () => {
    if (height() === said) return;
    said = height();
    // How high it is may be known to whoever frames it.
    parent.postMessage(copyMessage(said), "*");
    parent.postMessage(streamlitMessage(innerWidth, said), "*");
  };
  const onMessage = ({ source, data }: MessageEvent) => {
    const told = source === parent ? readPageMessage(data) : null;
    if (!told) return;
    page.setAttribute(TOLD_DARK, String(told.dark));
    // The frame is see-through only where both have the same colour scheme.
    page.style.colorScheme = "light";
    if (told.height === null) {
      said = 0;
      return report();
    }
    // A scroll bar that comes for a moment would change the width.
    page.style.overflow = told.height >= height() ? "hidden" : "";
  };
  addEventListener("message", onMessage, { signal });
  const resized = new ResizeObserver(report);
  resized.observe(page);
  // Out of sight it is drawn all the same (`nextFrame`), but sizes are not observed.
  const painted = new MutationObserver(report);
  painted.observe(page, { subtree: true, attributeFilter: ["data-painted"] });
  signal.addEventListener("abort", () => {
    resized.disconnect();
    painted.disconnect();
  });
}
