import { type Pixels, type Rect, SCREEN_WORK, type Surface } from "../../src/surface/surface.js";

export interface Call {
  readonly kind: "rect" | "circle" | "line" | "path" | "text" | "image";
  readonly numbers: readonly number[];
  readonly text?: string;
  readonly pixels?: Pixels;
  /** Where the group stands that the call was made in. */
  readonly origin: { readonly x: number; readonly y: number };
  readonly group: string;
  readonly style?: {
    readonly fill?: string;
    readonly stroke?: string;
    readonly weight?: string;
    readonly opacity?: number;
    readonly dash?: readonly number[];
  };
}

/** Keeps every call, with the group's place, for tests to look at. */
export class RecordingSurface implements Surface {
  readonly calls: Call[] = [];
  readonly scale = 2;
  readonly strokes = { most: 1500, scale: 2, work: SCREEN_WORK, file: false };
  private origin = { x: 0, y: 0 };
  private name = "";

  constructor(
    readonly width: number,
    readonly height: number,
  ) {}

  rect({ x, y, width, height }: Rect, style: Call["style"]): void {
    this.keep("rect", [x, y, width, height], style ? { style } : {});
  }
  circle(x: number, y: number, radius: number, style: Call["style"]): void {
    this.keep("circle", [x, y, radius], style ? { style } : {});
  }
  line(
    x1: number,
    y1: number,
    x2: number,
    y2: number,
    style: Parameters<Surface["line"]>[4],
  ): void {
    this.keep("line", [x1, y1, x2, y2], { style });
  }
  path(steps: Parameters<Surface["path"]>[0], style: Parameters<Surface["path"]>[1]): void {
    const numbers = steps.flatMap(([, ...at]) => at);
    this.keep("path", numbers, style ? { style } : {});
  }
  text(x: number, y: number, text: string, style: Parameters<Surface["text"]>[3]): void {
    this.keep("text", [x, y, style.size, style.maxWidth ?? 0], { text, style });
  }
  image({ x, y, width, height }: Rect, pixels: Pixels): void {
    this.keep("image", [x, y, width, height], { pixels });
  }
  group(
    name: string,
    draw: () => void,
    { clip, x = 0, y = 0 }: Parameters<Surface["group"]>[2] = {},
  ): void {
    const { origin, name: outer } = this;
    if (clip) this.keep("rect", [clip.x, clip.y, clip.width, clip.height]);
    this.origin = { x: origin.x + x, y: origin.y + y };
    this.name = name;
    draw();
    this.origin = origin;
    this.name = outer;
  }

  get texts(): readonly string[] {
    return this.calls.flatMap((call) => call.text ?? []);
  }

  /** Calls with a number that is none, or with a style that names no colour. */
  get broken(): readonly Call[] {
    const colours = ({ style }: Call) =>
      [style?.fill, style?.stroke].filter((c) => c !== undefined);
    return this.calls.filter(
      (call) =>
        !call.numbers.every(Number.isFinite) ||
        colours(call).some((c) => !/^#[0-9a-f]{6}$/.test(c ?? "")) ||
        /undefined|NaN|null|\[object/.test(call.text ?? ""),
    );
  }

  private keep(kind: Call["kind"], numbers: readonly number[], rest: Partial<Call> = {}): void {
    this.calls.push({ kind, numbers, origin: this.origin, group: this.name, ...rest });
  }
}
