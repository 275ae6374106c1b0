// Text colours of enough contrast on a shade (WCAG 2).

import { parseHex, type Rgb } from "./colours.js";

/** Relative luminance after WCAG 2. */
function luminance(rgb: Rgb): number {
  const [r, g, b] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(one: Rgb, other: Rgb): number {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

/** What WCAG asks of text. */
const READABLE = 4.5;
const known = new WeakMap<Uint8Array, Map<string, string>>();

/** The colour of text on a shade of a table: its own where that can be read, else black or white. */
export function inkOn(table: Uint8Array, shade: number, own: string): string {
  const inks = known.get(table) ?? new Map<string, string>();
  known.set(table, inks);
  const key = `${shade} ${own}`;
  let ink = inks.get(key);
  if (ink === undefined) {
    const ground = [...table.subarray(3 * shade, 3 * shade + 3)] as unknown as Rgb;
    const black = contrast(ground, [0, 0, 0]);
    const other = black >= contrast(ground, [255, 255, 255]) ? "#000000" : "#ffffff";
    ink = contrast(ground, parseHex(own)) >= READABLE ? own : other;
    inks.set(key, ink);
  }
  return ink;
}
