// `Surface` that exchanges rows and columns, or left and right.

import type {
  FillStyle,
  PathStep,
  Pixels,
  Rect,
  StrokeLimits,
  StrokeStyle,
  Surface,
  TextStyle,
} from "./surface.js";

export interface Turning {
  /** Rows become columns: what is drawn at (x, y) comes to stand at (y, x). */
  readonly transposed: boolean;
  /** Left and right change places, after that, about this x. */
  readonly mirrorAt: number | null;
  /** Transposed text stays level, with at most this width each; null turns it along. */
  readonly level: number | null;
}

/** Pixels with rows and columns exchanged, or left and right. */
export function turnPixels(pixels: Pixels, transposed: boolean, mirrored: boolean): Pixels {
  const [width, height] = transposed
    ? [pixels.height, pixels.width]
    : [pixels.width, pixels.height];
  const from = new Uint32Array(pixels.data.slice().buffer);
  const to = new Uint32Array(from.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = mirrored ? width - 1 - x : x;
      to[y * width + x] = from[transposed ? at * pixels.width + y : y * width + at] as number;
    }
  }
  return { width, height, data: new Uint8ClampedArray(to.buffer) };
}

/** Takes what is drawn in rows from left to right and draws it in columns, from right to left, or both. */
export class TurnedSurface implements Surface {
  readonly scale: number;
  readonly strokes: StrokeLimits;

  constructor(
    private readonly surface: Surface,
    private readonly turning: Turning,
  ) {
    this.scale = surface.scale;
    this.strokes = surface.strokes;
  }

  get width(): number {
    return this.turning.transposed ? this.surface.height : this.surface.width;
  }

  get height(): number {
    return this.turning.transposed ? this.surface.width : this.surface.height;
  }

  rect(rect: Rect, style: FillStyle): void {
    this.surface.rect(this.place(rect), style);
  }

  circle(x: number, y: number, radius: number, style: FillStyle): void {
    this.surface.circle(...this.point(x, y), radius, style);
  }

  line(x1: number, y1: number, x2: number, y2: number, style: StrokeStyle): void {
    this.surface.line(...this.point(x1, y1), ...this.point(x2, y2), style);
  }

  path(steps: readonly PathStep[], style: FillStyle): void {
    const turned = steps.map((step): PathStep => {
      if (step[0] === "Z") return step;
      if (step[0] !== "C") return [step[0], ...this.point(step[1], step[2])];
      const [, a, b, c, d, e, f] = step;
      return ["C", ...this.point(a, b), ...this.point(c, d), ...this.point(e, f)];
    });
    this.surface.path(turned, style);
  }

  text(x: number, y: number, text: string, style: TextStyle): void {
    const { transposed, mirrorAt, level } = this.turning;
    const { anchor = "start" } = style;
    const other = { start: "end", middle: "middle", end: "start" } as const;
    if (!transposed) {
      const side = mirrorAt === null ? anchor : other[anchor];
      this.surface.text(...this.point(x, y), text, { ...style, anchor: side });
    } else if (level === null) {
      // Read upwards: what ended at the links still does, what started there ends there.
      const turned = { ...style, anchor: other[anchor], rotate: -90 };
      this.surface.text(...this.point(x, y), text, turned);
    } else {
      const shift = { start: 0.5, middle: 0, end: -0.5 }[anchor] * style.size;
      const turned = { ...style, anchor: "middle", maxWidth: level } as const;
      this.surface.text(...this.point(x + shift, y), text, turned);
    }
  }

  image(rect: Rect, pixels: Pixels, smooth = false): void {
    const { transposed, mirrorAt } = this.turning;
    const turned = turnPixels(pixels, transposed, mirrorAt !== null);
    this.surface.image(this.place(rect), turned, smooth);
  }

  group(
    name: string,
    draw: () => void,
    options: { clip?: Rect; x?: number; y?: number } = {},
  ): void {
    const { clip, x = 0, y = 0 } = options;
    if (x !== 0 || y !== 0) throw new Error("A turned surface moves no group.");
    this.surface.group(name, draw, clip ? { clip: this.place(clip) } : {});
  }

  private point(x: number, y: number): [number, number] {
    const { transposed, mirrorAt } = this.turning;
    const [across, down] = transposed ? [y, x] : [x, y];
    return [mirrorAt === null ? across : 2 * mirrorAt - across, down];
  }

  private place({ x, y, width, height }: Rect): Rect {
    const [x1, y1] = this.point(x, y);
    const [x2, y2] = this.point(x + width, y + height);
    return {
      x: Math.min(x1, x2),
      y: Math.min(y1, y2),
      width: Math.abs(x2 - x1),
      height: Math.abs(y2 - y1),
    };
  }
}
