// `Surface`, what marks draw on, and its geometry.

/**
 * What a mark can draw on. The canvas surface is the screen, the SVG surface is the figure; both
 * get the same calls, so an exported figure is the picture that was on screen.
 *
 * Units are CSS pixels, the origin is the top left, angles do not exist. Colours are concrete
 * strings ("#rrggbb" or "rgb(...)"): the theme resolves them before drawing.
 */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export function contains({ x, y, width, height }: Rect, px: number, py: number): boolean {
  return px >= x && px < x + width && py >= y && py < y + height;
}

export interface FillStyle {
  readonly fill?: string;
  readonly stroke?: string;
  readonly strokeWidth?: number;
  /** 0..1, of fill and stroke together. */
  readonly opacity?: number;
  /** Corner radius. */
  readonly radius?: number;
  readonly dash?: readonly number[];
}

export interface StrokeStyle {
  readonly stroke: string;
  readonly width?: number;
  readonly opacity?: number;
  readonly dash?: readonly number[];
}

export interface TextStyle {
  readonly fill: string;
  readonly size: number;
  readonly family?: "sans" | "mono";
  readonly weight?: "normal" | "bold";
  readonly italic?: boolean;
  readonly anchor?: "start" | "middle" | "end";
  /** y is the vertical middle of the text by default. */
  readonly baseline?: "middle" | "alphabetic" | "top";
  readonly opacity?: number;
  /** Longer text is cut with an ellipsis. The full text stays as the SVG element's title. */
  readonly maxWidth?: number;
  /** Drawn exactly this wide, whatever font there is: parts of a word that stand apart stay together. */
  readonly fit?: number;
  /** Degrees clockwise about (x, y). */
  readonly rotate?: number;
}

/** RGBA pixels, row by row from the top. Never premultiplied. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

export type PathStep =
  | readonly ["M", number, number]
  | readonly ["L", number, number]
  | readonly ["C", number, number, number, number, number, number]
  | readonly ["Z"];

/** When translucent strokes are summed up into an image, and how fine that is. */
export interface StrokeLimits {
  /** Strokes that all pictures of a surface together may have. */
  readonly most: number;
  /** Device pixels per CSS pixel of the image. */
  readonly scale: number;
  /** Columns × strokes of one image: more strokes get fewer, wider columns. */
  readonly work: number;
  /** Whether it becomes pixels of a file as they are: no finer in colour than anybody sees, and not smoothed. */
  readonly file: boolean;
}

/** Columns × strokes that are summed up while somebody waits for a frame. */
export const SCREEN_WORK = 3_000_000;

export interface Surface {
  readonly width: number;
  readonly height: number;
  /** Device pixels per CSS pixel that images should be made for. */
  readonly scale: number;
  readonly strokes: StrokeLimits;
  rect(rect: Rect, style: FillStyle): void;
  circle(x: number, y: number, radius: number, style: FillStyle): void;
  line(x1: number, y1: number, x2: number, y2: number, style: StrokeStyle): void;
  path(steps: readonly PathStep[], style: FillStyle): void;
  /** `text` is data: it reaches the page as a text node or as canvas glyphs, never as markup. */
  text(x: number, y: number, text: string, style: TextStyle): void;
  /** `smooth` false keeps the pixels' edges sharp when they are enlarged. */
  image(rect: Rect, pixels: Pixels, smooth?: boolean): void;
  /**
   * Draw inside a named group, clipped to `clip` and moved by (x, y) when given. The clip is in the
   * coordinates of the outer group. The name becomes the SVG group's id, so figures edit well.
   */
  group(name: string, draw: () => void, options?: { clip?: Rect; x?: number; y?: number }): void;
}
