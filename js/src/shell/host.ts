import { type ReadonlySignal, signal } from "@preact/signals-core";
import { outerFrame } from "./frame.js";

/** What a page says of itself, or what is painted behind the element; null when it shows what is behind the page. */
function pageIsDark(element: Element): boolean | null {
  const { body, documentElement } = element.ownerDocument;
  const lab = body.dataset.jpThemeLight;
  if (lab !== undefined) return lab === "false";
  if (body.classList.contains("vscode-dark") || body.classList.contains("vscode-high-contrast")) {
    return !body.classList.contains("vscode-high-contrast-light");
  }
  if (body.classList.contains("vscode-light")) return false;
  // Colab, marimo and plain pages: what is really painted behind the widget decides.
  for (let at: Element | null = element; at; at = at.parentElement) {
    const [r = 0, g = 0, b = 0, alpha = 1] = (
      getComputedStyle(at).backgroundColor.match(/[\d.]+/g) ?? []
    ).map(Number);
    if (getComputedStyle(at).backgroundColor.startsWith("rgb") && alpha > 0.5) {
      return 0.2126 * r + 0.7152 * g + 0.0722 * b < 110;
    }
  }
  return documentElement.getAttribute("theme") === "dark" ? true : null;
}

/** What the page around the widget looks like. Every host says "dark" in its own way. */
function hostIsDark(element: Element): boolean {
  const own = pageIsDark(element);
  if (own !== null) return own;
  const frame = outerFrame();
  return (frame && pageIsDark(frame)) ?? matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Follows the host's theme until the signal aborts. */
export function watchDark(element: Element, abort: AbortSignal): ReadonlySignal<boolean> {
  const dark = signal(hostIsDark(element));
  const update = () => {
    dark.value = hostIsDark(element);
  };
  const observer = new MutationObserver(update);
  const attributes = [
    "class",
    "style",
    "theme",
    "data-theme",
    "data-jp-theme-light",
    "data-jp-theme-name",
  ];
  const around = outerFrame()?.ownerDocument;
  for (const page of around ? [document, around] : [document]) {
    for (const target of [page.body, page.documentElement]) {
      observer.observe(target, { attributes: true, attributeFilter: attributes });
    }
  }
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", update, { signal: abort });
  abort.addEventListener("abort", () => observer.disconnect());
  // The element is in no document yet when the widget is made: its background is known a frame later.
  requestAnimationFrame(update);
  return dark;
}
