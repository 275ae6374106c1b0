// The height of the frame around a saved page.

/** The element that frames this document, where the page around it lets us see it. */
export function outerFrame(): HTMLElement | null {
  // Null at the top and under another origin; an element of another document is of another class.
  return window.frameElement as HTMLElement | null;
}

/** Keep the frame around a saved copy exactly as high as the copy, until the signal aborts. */
export function fitFrame(signal: AbortSignal): void {
  const frame = outerFrame();
  if (!frame) return;
  const page = document.documentElement;
  // Nothing is ever out of sight, and a scroll bar that comes for a moment would change the width.
  page.style.overflow = "hidden";
  // A frame is see-through only where its page has the colour scheme of the page around it.
  page.style.colorScheme = "light";
  frame.style.colorScheme = "light";
  const observer = new ResizeObserver(() => {
    frame.style.height = `${Math.ceil(page.getBoundingClientRect().height)}px`;
  });
  observer.observe(page);
  signal.addEventListener("abort", () => observer.disconnect());
}
