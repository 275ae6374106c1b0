// Pictures of few colours.

import type { Pixels } from "./surface.js";

/** A picture of few colours: red, green and blue of each colour, and each pixel's place among them. */
export interface FewColours {
  readonly width: number;
  readonly height: number;
  readonly palette: Uint8Array;
  readonly places: Uint8Array;
}

/** Colours are told apart eight shades at a time. */
const BITS = 5;
const SHADES = 1 << (3 * BITS);
/** Squared distance of colours that are no two. */
const CLOSE = 3 * 10 ** 2;

function distance(a: readonly number[], b: readonly number[]): number {
  let sum = 0;
  for (let c = 0; c < 3; c++) sum += ((a[c] as number) - (b[c] as number)) ** 2;
  return sum;
}

/** The most frequent colours that are not close to a more frequent one; closer ones where those are few. */
function chosen(colours: readonly (readonly number[])[], most: number): (readonly number[])[] {
  for (let close = CLOSE; ; close /= 3) {
    const kept: (readonly number[])[] = [];
    for (const colour of colours) {
      if (kept.length === most) return kept;
      if (kept.every((other) => distance(colour, other) >= close)) kept.push(colour);
    }
    if (kept.length === colours.length || close < 1) return kept;
  }
}

/** Opaque pixels in `most` colours at most, up to 256. The first pixel's, the background's, is kept as it is. */
export function fewColours({ width, height, data }: Pixels, most: number): FewColours {
  const counts = new Uint32Array(SHADES);
  const sums = new Float64Array(3 * SHADES);
  const shades = new Uint16Array(width * height);
  for (let i = 0; i < shades.length; i++) {
    const [r, g, b] = [data[4 * i], data[4 * i + 1], data[4 * i + 2]] as [number, number, number];
    const shade = ((r >> 3) << (2 * BITS)) | ((g >> 3) << BITS) | (b >> 3);
    shades[i] = shade;
    counts[shade] = (counts[shade] as number) + 1;
    sums[3 * shade] = (sums[3 * shade] as number) + r;
    sums[3 * shade + 1] = (sums[3 * shade + 1] as number) + g;
    sums[3 * shade + 2] = (sums[3 * shade + 2] as number) + b;
  }
  const meanOf = (shade: number) =>
    [0, 1, 2].map((c) => (sums[3 * shade + c] as number) / (counts[shade] as number));
  const used = Array.from(counts.keys()).filter((shade) => counts[shade]);
  used.sort((a, b) => (counts[b] as number) - (counts[a] as number));
  const colours = chosen(used.map(meanOf), most);
  const lookup = new Uint8Array(SHADES);
  for (const shade of used) {
    const mean = meanOf(shade);
    let nearest = 0;
    for (let i = 1; i < colours.length; i++) {
      const other = colours[i] as readonly number[];
      if (distance(mean, other) < distance(mean, colours[nearest] as readonly number[]))
        nearest = i;
    }
    lookup[shade] = nearest;
  }
  const places = Uint8Array.from(shades, (shade) => lookup[shade] as number);
  const palette = Uint8Array.from(colours.flat(), Math.round);
  palette.set(data.subarray(0, 3), 3 * (places[0] ?? 0));
  return { width, height, palette, places };
}
