// Colour arithmetic in OKLab, in which equal steps look equal and many hues differ clearly.

export type Rgb = readonly [number, number, number];

export function parseHex(hex: string): Rgb {
  const n = Number.parseInt(hex.slice(1), 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

export function toHex([r, g, b]: Rgb): string {
  return `#${((1 << 24) | (r << 16) | (g << 8) | b).toString(16).slice(1)}`;
}

const toLinear = (c: number) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const toGamma = (c: number) => (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055);

/** sRGB 0..255 to OKLab (Ottosson 2020, https://bottosson.github.io/posts/oklab/). */
export function toOklab(rgb: Rgb): Rgb {
  const [r, g, b] = rgb.map((c) => toLinear(c / 255)) as unknown as Rgb;
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** OKLab to sRGB 0..255, or null when the colour is outside sRGB. */
function fromOklab([L, a, b]: Rgb): Rgb | null {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  if (linear.some((c) => c < -1e-4 || c > 1 + 1e-4)) return null;
  return linear.map((c) =>
    Math.round(255 * Math.min(1, Math.max(0, toGamma(Math.max(0, c))))),
  ) as unknown as Rgb;
}

/** OKLCH to the nearest sRGB colour of that lightness and hue: chroma gives way. */
export function oklch(lightness: number, chroma: number, degrees: number): Rgb {
  const angle = (degrees * Math.PI) / 180;
  for (let c = chroma; c > 0; c -= 0.004) {
    const rgb = fromOklab([lightness, c * Math.cos(angle), c * Math.sin(angle)]);
    if (rgb) return rgb;
  }
  const grey = fromOklab([lightness, 0, 0]);
  return grey ?? [128, 128, 128];
}

/** 256 RGB triples through evenly spaced stops, interpolated in OKLab. */
export function ramp(stops: readonly string[]): Uint8Array {
  const labs = stops.map((stop) => toOklab(parseHex(stop)));
  const table = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const t = (i / 255) * (labs.length - 1);
    const k = Math.min(Math.floor(t), labs.length - 2);
    const from = labs[k] as Rgb;
    const to = labs[k + 1] as Rgb;
    const mix = from.map((c, j) => c + ((to[j] as number) - c) * (t - k)) as unknown as Rgb;
    table.set(fromOklab(mix) ?? parseHex(stops[t - k < 0.5 ? k : k + 1] as string), i * 3);
  }
  return table;
}

export function entry(table: Uint8Array, index: number): string {
  const i = 3 * Math.max(0, Math.min(255, Math.round(index)));
  return toHex([table[i] as number, table[i + 1] as number, table[i + 2] as number]);
}
