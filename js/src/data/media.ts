// Input images and spectrograms as pixels.

import type { MediumMeta } from "../protocol/generated.js";
import type { Pixels } from "../surface/surface.js";

/** A picture, or the spectrogram of a sound, ready to be drawn. */
export interface Medium extends MediumMeta {
  /** As it stands on a light page and on a dark one: a loud band stands out from either. */
  readonly pixels: Readonly<Record<"light" | "dark", Pixels>>;
  /** Grey and of less contrast, to lie under colours that mean something. */
  readonly pale: Readonly<Record<"light" | "dark", Pixels>>;
}

/** Black and white of a picture that lies under a heat map: neither as dark nor as bright as heat. */
export const UNDER = { black: 20, white: 205 } as const;

function paled({ width, height, data }: Pixels): Pixels {
  const pale = data.slice();
  for (let i = 0; i < pale.length; i += 4) {
    const [r = 0, g = 0, b = 0] = data.subarray(i, i + 3);
    const luma = 0.299 * r + 0.587 * g + 0.114 * b;
    pale.fill(UNDER.black + ((UNDER.white - UNDER.black) * luma) / 255, i, i + 3);
  }
  return { width, height, data: pale };
}

function colour({ width, height, offset }: MediumMeta, bytes: Uint8Array): Pixels {
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) {
    data.set(bytes.subarray(offset + 3 * i, offset + 3 * i + 3), 4 * i);
  }
  return { width, height, data };
}

/** The lowest band comes first in the bytes and last on the screen. */
function grey({ width, height, offset }: MediumMeta, bytes: Uint8Array, dark: boolean): Pixels {
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const level = bytes[offset + (height - 1 - y) * width + x] as number;
      // Never quite black or white: curves and labels stand on it.
      const shade = dark ? 20 + 0.7 * level : 250 - 0.7 * level;
      data.fill(shade, 4 * (y * width + x), 4 * (y * width + x) + 3);
    }
  }
  return { width, height, data };
}

export function readMedia(metas: readonly MediumMeta[], bytes: Uint8Array): readonly Medium[] {
  return metas.map((meta) => {
    if (meta.kind === "image") {
      const light = colour(meta, bytes);
      const pale = paled(light);
      return { ...meta, pixels: { light, dark: light }, pale: { light: pale, dark: pale } };
    }
    const pixels = { light: grey(meta, bytes, false), dark: grey(meta, bytes, true) };
    return { ...meta, pixels, pale: pixels };
  });
}
