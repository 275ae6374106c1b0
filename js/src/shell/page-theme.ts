// Whether a page is light or dark, where an element stands in it. Every host says "dark" in its own way.

/** Set on a frozen copy's own page: what the page around its frame said, "true" or "false". */
export const TOLD_DARK = "data-attnwidget-dark";

/** What an element stands in; marimo has each output in a shadow tree. It may be of the page around this one. */
function around(element: Element): Element | null {
  return element.parentElement ?? (element.getRootNode() as Partial<ShadowRoot>).host ?? null;
}

/** The element that frames this page, where the page around it lets us see it. */
export function outerFrame(): HTMLElement | null {
  // Null at the top and under another origin; an element of another document is of another class.
  return window.frameElement as HTMLElement | null;
}

/** How light a CSS colour is, 0 to 255; null when what is behind it shows through. */
function luminance(colour: string): number | null {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  if (!canvas) return null;
  // The browser reads every notation there is: rgb(), color(), oklch() …
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r = 0, g = 0, b = 0, alpha = 0] = canvas.getImageData(0, 0, 1, 1).data;
  return alpha > 127 ? 0.2126 * r + 0.7152 * g + 0.0722 * b : null;
}

/** What a page says of itself, or what is painted behind the element; null when it shows what is behind the page. */
function pageIsDark(element: Element): boolean | null {
  const { body, documentElement } = element.ownerDocument;
  const told = documentElement.getAttribute(TOLD_DARK);
  if (told !== null) return told === "true";
  const lab = body.dataset.jpThemeLight;
  if (lab !== undefined) return lab === "false";
  if (body.classList.contains("vscode-dark") || body.classList.contains("vscode-high-contrast")) {
    return !body.classList.contains("vscode-high-contrast-light");
  }
  if (body.classList.contains("vscode-light")) return false;
  // Colab, marimo and plain pages: what is really painted behind the widget decides.
  for (let at: Element | null = element; at; at = around(at)) {
    const painted = luminance(getComputedStyle(at).backgroundColor);
    if (painted !== null) return painted < 110;
  }
  return documentElement.getAttribute("theme") === "dark" ? true : null;
}

/** Whether the page is dark around an element of it. */
export function isDark(element: Element): boolean {
  const own = pageIsDark(element);
  if (own !== null) return own;
  const frame = outerFrame();
  return (frame && pageIsDark(frame)) ?? matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Call `changed` whenever `isDark` may have another answer, until the signal aborts. */
export function watchPage(changed: () => void, abort?: AbortSignal): void {
  const observer = new MutationObserver(changed);
  const attributes = [
    "class",
    "style",
    "theme",
    "data-theme",
    "data-jp-theme-light",
    "data-jp-theme-name",
    TOLD_DARK,
  ];
  const targets: Element[] = [document.body, document.documentElement];
  // In the page around this one anything that the frame stands in: Streamlit paints an element of its own.
  for (let at: Element | null = outerFrame(); at; at = around(at)) targets.push(at);
  for (const target of targets) observer.observe(target, { attributeFilter: attributes });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", changed, abort && { signal: abort });
  abort?.addEventListener("abort", () => observer.disconnect());
}
