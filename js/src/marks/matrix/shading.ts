// Values to entries of a colour table, and matrices to pixels.

import type { Matrix } from "../../data/blocks.js";
import type { Pixels } from "../../surface/surface.js";

/** Value to 0..255 of a 256-entry colour table. */
export type Shader = (value: number) => number;

/** 0..end by its square root, so that small weights are told apart; weights end at 1. */
export function sequentialShade(end = 1): Shader {
  return (value) => 255 * Math.sqrt(Math.min(1, Math.max(0, value / end)));
}

/** 1, 2 or 5 times a power of ten: a scale that does not change with every token. */
export function scaleEnd(most: number): number {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most) + 1e-9);
  const factor = [1, 2, 5, 10].find((one) => one * power >= most * (1 - 1e-6)) ?? 10;
  return factor * power;
}

/** −max..max, by the square root of the size: 128 is nothing. */
export function divergingShade(max: number): Shader {
  return (value) => {
    const size = max > 0 ? Math.sqrt(Math.min(1, Math.abs(value) / max)) : 0;
    return value < 0 ? 128 - 128 * size : 128 + 127 * size;
  };
}

/** How values become colours. */
export interface Colouring {
  /** Stands for the shade and the table in what is kept. */
  readonly name: string;
  readonly shade: Shader;
  readonly table: Uint8Array;
}

/** A matrix as pixels, one per cell; what is masked, -Infinity, in a colour of its own if there is one. */
export function shadedPixels(
  matrix: Matrix,
  { shade, table }: Colouring,
  masked?: readonly [number, number, number],
): Pixels {
  const { rows: height, columns: width } = matrix;
  const data = new Uint8ClampedArray(4 * width * height);
  matrix.data.forEach((value, i) => {
    if (masked && value === Number.NEGATIVE_INFINITY) {
      data.set([...masked, 255], 4 * i);
      return;
    }
    const from = 3 * (Math.round(shade(value)) || 0);
    data[4 * i] = table[from] as number;
    data[4 * i + 1] = table[from + 1] as number;
    data[4 * i + 2] = table[from + 2] as number;
    data[4 * i + 3] = 255;
  });
  return { width, height, data };
}

/**
 * The same, made when they are read and not kept: a canvas has them as a bitmap of its own after it
 * has drawn them once, and the numbers they are made of are kept anyway.
 */
export class PixelsOnDemand implements Pixels {
  constructor(
    readonly width: number,
    readonly height: number,
    private readonly make: () => Pixels,
  ) {}

  get data(): Uint8ClampedArray {
    return this.make().data;
  }
}
