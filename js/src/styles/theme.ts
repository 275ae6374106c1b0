// Light and dark colours, for drawing and as CSS variables.

import { oklch, ramp, toHex } from "./colours.js";

/** Colours for drawing, light and dark. The chrome's CSS variables are written from the same object. */
export interface Theme {
  readonly name: "light" | "dark";
  /** Told apart where pictures are kept: a figure may have colours of its own. */
  readonly id: string;
  /** The page behind the widget: what translucent things blend into. */
  readonly background: string;
  /** Panels, hover cards. */
  readonly raised: string;
  readonly text: string;
  /** Labels, axes, secondary numbers. At least 4.5:1 on the background. */
  readonly muted: string;
  /** Hairlines between things. */
  readonly rule: string;
  /** Selection, focus and pins: the one accent. */
  readonly accent: string;
  readonly accentText: string;
  /** A wash behind a hovered row. */
  readonly wash: string;
  readonly danger: string;
  /** What an edit of the model changes. At least 4.5:1 on the background. */
  readonly changed: string;
  /** Special tokens. */
  readonly special: string;
  /** 256 RGB triples, 0 = nothing .. 255 = all. */
  readonly sequential: Uint8Array;
  /** 256 RGB triples, a head's score: no colour that a weight has. */
  readonly score: Uint8Array;
  /** 256 RGB triples, 0 = most negative, 128 = nothing, 255 = most positive. */
  readonly diverging: Uint8Array;
  readonly negative: string;
  readonly positive: string;
  /** A head's own colour: distinct for as many heads as there are, the same in every view. */
  head(head: number, numHeads: number): string;
}

const GOLDEN_ANGLE = 137.508;

/**
 * Hues that keep neighbours far apart, and lightnesses that take turns, so that heads side by side differ
 * in grey as well: five of them, as beyond a dozen heads hues come close 8, 13 and 21 heads apart. Signs of a difference are darker (on a dark page lighter) than any head.
 */
function headColours(lightnesses: readonly number[]): Theme["head"] {
  const cache = new Map<string, string>();
  return (head, numHeads) => {
    const key = `${head}/${numHeads}`;
    const known = cache.get(key);
    if (known) return known;
    const lightness = lightnesses[head % lightnesses.length] as number;
    // Up to a dozen, evenly spaced hues taken five apart; they stay a full twelfth of the circle away.
    const hue = numHeads <= 12 ? 255 + 30 * ((head * 5) % 12) : 255 + head * GOLDEN_ANGLE;
    const colour = toHex(oklch(lightness, 0.17, hue % 360));
    cache.set(key, colour);
    return colour;
  };
}

// Ends of the diverging map: blue and orange, apart for every common colour blindness.
const lightDiverging = ramp([
  "#0b4a8f",
  "#3f8fcb",
  "#a9cfe8",
  "#ffffff",
  "#f8c99b",
  "#e2812c",
  "#8f3f05",
]);
const darkDiverging = ramp([
  "#9fd3ff",
  "#3d8fd6",
  "#1f4f7d",
  "#15181d",
  "#7a4215",
  "#db7f2a",
  "#ffd9a8",
]);

export const themes: Readonly<Record<Theme["name"], Theme>> = {
  light: {
    name: "light",
    id: "light",
    background: "#ffffff",
    raised: "#f6f7f9",
    text: "#1c2127",
    muted: "#5c6670",
    rule: "#dfe3e8",
    accent: "#1f5fbf",
    accentText: "#ffffff",
    wash: "#eef2f8",
    danger: "#b3261e",
    changed: "#b8430c",
    special: "#7a5195",
    sequential: ramp(["#ffffff", "#dbe7f4", "#a3c4e3", "#5a97cb", "#2467a8", "#10437a", "#062447"]),
    score: ramp(["#faf5ea", "#f7e0ae", "#efb95c", "#dc8730", "#b15a12", "#7c3705", "#4a1e02"]),
    diverging: lightDiverging,
    negative: "#0a3f7a",
    positive: "#743303",
    head: headColours([0.52, 0.66, 0.44, 0.6, 0.72]),
  },
  dark: {
    name: "dark",
    id: "dark",
    background: "#111418",
    raised: "#1b2026",
    text: "#e6e9ed",
    muted: "#9aa5b1",
    rule: "#2e353d",
    accent: "#7fb2ff",
    accentText: "#0b1017",
    wash: "#1d242d",
    danger: "#ff8a80",
    changed: "#ffa066",
    special: "#c9a3e0",
    sequential: ramp(["#15181d", "#1b2f47", "#1f5280", "#2c7fb8", "#5fb3d9", "#b3e0ee", "#fbffff"]),
    score: ramp(["#201c14", "#3d2d13", "#6b4915", "#a46f18", "#d79a30", "#f5c66c", "#fff0c4"]),
    diverging: darkDiverging,
    negative: "#aedcff",
    positive: "#ffdcae",
    head: headColours([0.72, 0.62, 0.82, 0.67, 0.77]),
  },
};

/** The same colours for the chrome, as CSS variables. */
export function cssVariables(theme: Theme): Readonly<Record<string, string>> {
  const { background, raised, text, muted, rule, accent, accentText, wash, danger, changed } =
    theme;
  const colours = { background, raised, text, muted, rule, accent, wash, danger, changed };
  return Object.fromEntries([
    ...Object.entries(colours).map(([name, value]) => [`--aw-${name}`, value]),
    ["--aw-accent-text", accentText],
    ["color-scheme", theme.name],
  ]);
}
