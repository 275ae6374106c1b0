// What a frozen copy and the page around its frame say to each other. Neither can reach into the other, and each takes
// what comes for what anybody might have sent.

/** CSS pixels that a copy may have of its notebook; one that is higher scrolls inside. */
export const MOST_HEIGHT = 20_000;

/** From the copy: how high it is, in CSS pixels. */
interface CopyMessage {
  readonly attnwidget: "copy";
  readonly height: number;
}

/** From the page around it: its theme, and how high it made the frame; null where the copy has not said how high it is. */
interface PageMessage {
  readonly attnwidget: "page";
  readonly dark: boolean;
  readonly height: number | null;
}

/** The message of a copy that is so high. */
export function copyMessage(height: number): CopyMessage {
  return { attnwidget: "copy", height: Math.min(MOST_HEIGHT, Math.ceil(height)) };
}

/** What Streamlit takes for the size of a frame that `st.iframe` makes as high as what is in it. */
interface StreamlitMessage {
  readonly type: "streamlit:iframe:setSize";
  readonly width: number;
  readonly height: number;
}

/** The message that Streamlit's own script in a page would send; a saved page runs no scripts but its own. */
export function streamlitMessage(width: number, height: number): StreamlitMessage {
  const most = Math.min(MOST_HEIGHT, Math.ceil(height));
  return { type: "streamlit:iframe:setSize", width: Math.ceil(width), height: most };
}

export function pageMessage(dark: boolean, height: number | null): PageMessage {
  return { attnwidget: "page", dark, height };
}

/** What a message has under these names and no others; null where it is no such message. */
function fields(data: unknown, from: string, names: readonly string[]): unknown[] | null {
  if (typeof data !== "object" || data === null) return null;
  const found = new Map(Object.entries(data));
  if (found.get("attnwidget") !== from || found.size !== names.length + 1) return null;
  return names.every((name) => found.has(name)) ? names.map((name) => found.get(name)) : null;
}

function isHeight(value: unknown): value is number {
  // A copy that is hidden has no height.
  return typeof value === "number" && value >= 1 && value <= MOST_HEIGHT;
}

/** The height in a copy's message; null where it is none, or of no height that a copy has. */
export function heightIn(data: unknown): number | null {
  const [height] = fields(data, "copy", ["height"]) ?? [];
  return isHeight(height) ? height : null;
}

/** The message of the page around a copy; null where it is none. */
export function readPageMessage(data: unknown): PageMessage | null {
  const [dark, height] = fields(data, "page", ["dark", "height"]) ?? [];
  if (typeof dark !== "boolean" || !(height === null || isHeight(height))) return null;
  return pageMessage(dark, height);
}
