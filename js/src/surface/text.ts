// Widths of text from font metrics, cutting and wrapping, and text made safe to show.

/**
 * How wide text is, without asking a browser: layout must come out the same on the screen, in a
 * figure and in an engine that has no fonts at all. Helvetica's metrics, since every font of the
 * sans stack is drawn to much the same widths.
 */
export const fontStacks = {
  sans: "Inter, 'Helvetica Neue', Helvetica, Arial, sans-serif",
  mono: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
} as const;

export type Family = keyof typeof fontStacks;
export type Weight = "normal" | "bold";

/** Baseline below the middle and below the top of the text, in ems: the same on every surface. */
export const MIDDLE = 0.35;
export const TOP = 0.76;

// Thousandths of an em for U+0020..U+007E, from the Adobe font metrics of Helvetica.
const normal = table(
  "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 " +
    "556 556 556 556 556 556 556 556 556 556 278 278 584 584 584 556 " +
    "1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 " +
    "667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 " +
    "333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 " +
    "556 556 333 500 278 556 500 722 500 500 500 334 260 334 584",
);
const bold = table(
  "278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 " +
    "556 556 556 556 556 556 556 556 556 556 333 333 584 584 584 611 " +
    "975 722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 " +
    "667 778 722 667 611 722 667 944 667 667 611 333 278 333 584 556 " +
    "333 556 611 556 611 556 333 611 611 278 278 556 278 889 611 611 " +
    "611 611 389 556 333 611 556 778 556 556 500 389 280 389 584",
);

function table(widths: string): readonly number[] {
  return widths.split(" ").map((width) => Number(width) / 1000);
}

const combining = /^(?:\p{M}|[\u200c\u200d]|[\u{1f3fb}-\u{1f3ff}])$/u;
const pictographic = /^\p{Extended_Pictographic}$/u;

/** East Asian wide and fullwidth blocks: one em each. */
function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x20000 && code <= 0x3fffd)
  );
}

function charWidth(char: string, family: Family, widths: readonly number[]): number {
  const code = char.codePointAt(0) as number;
  if (code >= 32 && code < 127) return family === "mono" ? 0.602 : (widths[code - 32] as number);
  if (combining.test(char)) return 0;
  if (isWide(code)) return 1;
  if (code === 0x2026 && family === "sans") return 1;
  // The text-like symbols below U+2300 (©, ↵, ™) are no wider than a letter.
  if (code >= 0x2300 && pictographic.test(char)) return 1.3;
  if (family === "mono") return 0.602;
  // "é" is as wide as "e".
  const base = char.normalize("NFD").charCodeAt(0);
  if (base >= 32 && base < 127) return widths[base - 32] as number;
  if (code >= 0x2190 && code < 0x2c00) return 0.9;
  return 0.6;
}

/** Width in pixels of one line of text at `size` pixels. */
export function textWidth(
  text: string,
  size: number,
  family: Family = "sans",
  weight: Weight = "normal",
): number {
  const widths = weight === "bold" ? bold : normal;
  let ems = 0;
  for (const char of text) ems += charWidth(char, family, widths);
  return ems * size;
}

const ELLIPSIS = "…";

/**
 * The longest beginning of `text` that fits `maxWidth`, with an ellipsis when something is cut;
 * empty when not even the ellipsis fits. A character is never torn from its accents.
 */
export function ellipsize(
  text: string,
  maxWidth: number,
  size: number,
  family: Family = "sans",
  weight: Weight = "normal",
): string {
  const widths = weight === "bold" ? bold : normal;
  const limit = maxWidth / size;
  const room = limit - charWidth(ELLIPSIS, family, widths);
  let ems = 0;
  let cut = "";
  let kept = "";
  for (const char of text) {
    const width = charWidth(char, family, widths);
    if (ems + width <= room || (width === 0 && kept === cut)) cut = kept + char;
    kept += char;
    ems += width;
    if (ems > limit) return room < 0 ? "" : cut.trimEnd() + ELLIPSIS;
  }
  return text;
}

/** Room for two labels: the shorter one has what it needs up to half of it, the longer one the rest. */
export function sharedRoom(
  first: number,
  second: number,
  room: number,
): readonly [first: number, second: number] {
  if (first + second <= room) return [first, second];
  const half = Math.max(0, room / 2);
  if (first <= half) return [first, room - first];
  return second <= half ? [room - second, second] : [half, half];
}

// Control characters, bidirectional controls, lone surrogates and non-characters.
const unprintable =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff\p{Cs}]/gu;

/**
 * `text` as it may be shown: what has no glyph gets one, what would reorder its surroundings is
 * spelled out, what XML forbids is gone. Token text is data, also when it is hostile.
 */
export function printable(text: string): string {
  return text.replace(unprintable, (char) => {
    const code = char.codePointAt(0) as number;
    if (code === 0x0a) return "↵";
    if (code === 0x09) return "⇥";
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return "␡";
    if ((code >= 0xd800 && code <= 0xdfff) || code >= 0xfffe) return "\ufffd";
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

const firstLetter = /\p{L}/u;
/** Hebrew, Arabic, Syriac, Thaana, NKo and their presentation forms. */
const backwards =
  /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** Whether a text runs from right to left: its first letter does. */
export function isRightToLeft(text: string): boolean {
  return backwards.test(firstLetter.exec(text)?.[0] ?? "");
}

/** As `wrapText`, of words that a dot divides: none of the lines begins or ends with it. */
export function wrapNote(note: string, maxWidth: number, size: number): readonly string[] {
  return wrapText(note, maxWidth, size).map((line) => line.replace(/^· | ·$/g, ""));
}

/** Lines of at most `maxWidth`, broken at spaces; a word that is longer is cut with an ellipsis. */
export function wrapText(
  text: string,
  maxWidth: number,
  size: number,
  family: Family = "sans",
  weight: Weight = "normal",
): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((part) => part !== "")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line === "" || textWidth(longer, size, family, weight) <= maxWidth) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  if (line !== "") lines.push(line);
  return lines.map((full) => ellipsize(full, maxWidth, size, family, weight));
}
