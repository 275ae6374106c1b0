// Colours of figures: colour maps, and black on white for print.

import type { Figure } from "../protocol/generated.js";
import { entry, oklch, ramp, toHex } from "./colours.js";
import { type Theme, themes } from "./theme.js";

/** Maps from nothing to all whose lightness runs one way: readable without seeing colours. */
const MAPS: Readonly<Record<string, readonly string[]>> = {
  cividis: "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838".split(" "),
  viridis: "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725".split(" "),
  magma: "000004 180f3d 440f76 721f81 9e2f7f cd4071 f1605d fd9668 feca8d fcfdbf".split(" "),
  grey: ["ffffff", "000000"],
};

const tables = new Map<string, Uint8Array>();

/** Tables are made once: pictures that were drawn with one are kept by it. */
function table(name: string, stops: readonly string[]): Uint8Array {
  const known = tables.get(name) ?? ramp(stops.map((stop) => `#${stop}`));
  tables.set(name, known);
  return known;
}

function sequential(map: string, theme: Theme): Uint8Array {
  // Where nothing is the page, the page decides which end that is.
  if (map === "grey" && theme.name === "dark") return table("grey, dark", ["15181d", "ffffff"]);
  const own = map === "blue" ? themes[theme.name].sequential : null;
  return own ?? table(map, MAPS[map] ?? []);
}

/** Lightness and hue by rank among the heads drawn: apart in grey as far as there are greys. */
const RANKS = [
  [0.25, 255],
  [0.66, 50],
  [0.45, 330],
  [0.8, 150],
  [0.55, 220],
  [0.36, 20],
  [0.73, 300],
] as const;

/** Black on white. Signs differ in lightness as well as in colour, so that a photocopy keeps them. */
function printTheme(heads: readonly number[]): Theme {
  const diverging = table("print", ["08306b", "5d86b8", "ffffff", "f7c48f", "ef8a1d"]);
  return {
    ...themes.light,
    id: "print",
    raised: "#f5f5f5",
    text: "#000000",
    muted: "#404040",
    rule: "#c4c4c4",
    accent: "#000000",
    wash: "#ebebeb",
    danger: "#000000",
    changed: "#000000",
    special: "#5e5e5e",
    sequential: table("grey", MAPS.grey ?? []),
    diverging,
    negative: entry(diverging, 20),
    positive: entry(diverging, 240),
    head: (head) => {
      const rank = Math.max(0, heads.indexOf(head)) % RANKS.length;
      const [lightness, hue] = RANKS[rank] as (typeof RANKS)[number];
      return toHex(oklch(lightness, 0.15, hue));
    },
  };
}

/** The colours of a figure: those on the screen where nothing else is asked for. */
export function figureTheme(shown: Theme, figure: Figure, heads: readonly number[]): Theme {
  const { theme, colour_map: map } = figure;
  const base = theme === "print" ? printTheme(heads) : theme ? themes[theme] : shown;
  if (!map) return base;
  return { ...base, id: `${base.id} ${map}`, sequential: sequential(map, base) };
}
