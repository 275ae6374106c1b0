// `CanvasSurface`, the screen.

import {
  type FillStyle,
  type PathStep,
  type Pixels,
  type Rect,
  SCREEN_WORK,
  type StrokeLimits,
  type StrokeStyle,
  type Surface,
  type TextStyle,
} from "./surface.js";
import { ellipsize, fontStacks, isRightToLeft, MIDDLE, printable, TOP } from "./text.js";

// Bitmaps of images drawn before: a scene redrawn on hover keeps its pixels.
const bitmaps = new WeakMap<Pixels, CanvasImageSource>();

function bitmap(context: CanvasRenderingContext2D, pixels: Pixels): CanvasImageSource {
  const known = bitmaps.get(pixels);
  if (known) return known;
  const canvas = context.canvas.ownerDocument.createElement("canvas");
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  const target = canvas.getContext("2d") as CanvasRenderingContext2D;
  const data = target.createImageData(pixels.width, pixels.height);
  data.data.set(pixels.data);
  target.putImageData(data, 0, 0);
  bitmaps.set(pixels, canvas);
  return canvas;
}

/** Without a graphics card a long translucent stroke takes up to a tenth of a millisecond. */
const MOST_STROKES = 300;

class CanvasSurface implements Surface {
  readonly width: number;
  readonly height: number;
  readonly scale: number;
  readonly strokes: StrokeLimits;
  // Where the current group's origin is on the canvas, to know where device pixels lie.
  private originX = 0;
  private originY = 0;
  private font = "";

  constructor(
    private readonly context: CanvasRenderingContext2D,
    size: { width: number; height: number; scale: number },
  ) {
    this.width = size.width;
    this.height = size.height;
    this.scale = size.scale;
    this.strokes = { most: MOST_STROKES, scale: size.scale, work: SCREEN_WORK, file: false };
    context.setTransform(size.scale, 0, 0, size.scale, 0, 0);
    context.direction = "ltr";
  }

  rect(rect: Rect, style: FillStyle): void {
    const { context } = this;
    this.styled(style, () => {
      if (style.radius) {
        context.beginPath();
        context.roundRect(rect.x, rect.y, rect.width, rect.height, style.radius);
        if (style.fill !== undefined) context.fill();
        if (style.stroke !== undefined) context.stroke();
        return;
      }
      if (style.fill !== undefined) {
        const { x, y, width, height } = this.snapRect(rect);
        context.fillRect(x, y, width, height);
      }
      if (style.stroke !== undefined) {
        const width = style.strokeWidth ?? 1;
        const x = this.snapStroke(rect.x, this.originX, width);
        const y = this.snapStroke(rect.y, this.originY, width);
        const right = this.snapStroke(rect.x + rect.width, this.originX, width);
        const bottom = this.snapStroke(rect.y + rect.height, this.originY, width);
        context.strokeRect(x, y, right - x, bottom - y);
      }
    });
  }

  circle(x: number, y: number, radius: number, style: FillStyle): void {
    this.styled(style, () => {
      this.context.beginPath();
      this.context.arc(x, y, radius, 0, 2 * Math.PI);
      if (style.fill !== undefined) this.context.fill();
      if (style.stroke !== undefined) this.context.stroke();
    });
  }

  line(x1: number, y1: number, x2: number, y2: number, style: StrokeStyle): void {
    const { context } = this;
    const width = style.width ?? 1;
    this.styled({ ...style, strokeWidth: width }, () => {
      context.beginPath();
      if (x1 === x2) {
        const x = this.snapStroke(x1, this.originX, width);
        context.moveTo(x, y1);
        context.lineTo(x, y2);
      } else if (y1 === y2) {
        const y = this.snapStroke(y1, this.originY, width);
        context.moveTo(x1, y);
        context.lineTo(x2, y);
      } else {
        context.moveTo(x1, y1);
        context.lineTo(x2, y2);
      }
      context.stroke();
    });
  }

  path(steps: readonly PathStep[], style: FillStyle): void {
    const { context } = this;
    this.styled(style, () => {
      context.beginPath();
      for (const step of steps) {
        if (step[0] === "M") context.moveTo(step[1], step[2]);
        else if (step[0] === "L") context.lineTo(step[1], step[2]);
        else if (step[0] === "C")
          context.bezierCurveTo(step[1], step[2], step[3], step[4], step[5], step[6]);
        else context.closePath();
      }
      if (style.fill !== undefined) context.fill();
      if (style.stroke !== undefined) context.stroke();
    });
  }

  text(x: number, y: number, text: string, style: TextStyle): void {
    const { context } = this;
    const { size, family = "sans", weight = "normal" } = style;
    const full = printable(text);
    const shown =
      style.maxWidth === undefined ? full : ellipsize(full, style.maxWidth, size, family, weight);
    if (shown === "") return;
    const drop = { middle: MIDDLE, top: TOP, alphabetic: 0 }[style.baseline ?? "middle"] * size;
    const font = `${style.italic ? "italic " : ""}${weight} ${size}px ${fontStacks[family]}`;
    // Parsing a font costs more than drawing a word.
    if (font !== this.font) {
      context.font = font;
      this.font = font;
    }
    const { anchor = "start" } = style;
    const direction = isRightToLeft(shown) ? "rtl" : "ltr";
    if (context.direction !== direction) context.direction = direction;
    context.textAlign = ({ start: "left", middle: "center", end: "right" } as const)[anchor];
    context.fillStyle = style.fill;
    context.globalAlpha = style.opacity ?? 1;
    if (style.rotate) {
      context.translate(x, y);
      context.rotate((style.rotate * Math.PI) / 180);
      context.fillText(shown, 0, drop);
      context.rotate((-style.rotate * Math.PI) / 180);
      context.translate(-x, -y);
    } else if (style.fit !== undefined) {
      const own = context.measureText(shown).width;
      context.translate(x, y + drop);
      context.scale(own > 0 ? style.fit / own : 1, 1);
      context.fillText(shown, 0, 0);
      context.scale(own > 0 ? own / style.fit : 1, 1);
      context.translate(-x, -y - drop);
    } else context.fillText(shown, x, y + drop);
    context.globalAlpha = 1;
  }

  image(rect: Rect, pixels: Pixels, smooth = false): void {
    if (pixels.width === 0 || pixels.height === 0) return;
    const { context } = this;
    const { x, y, width, height } = this.snapRect(rect);
    context.imageSmoothingEnabled = smooth;
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap(context, pixels), x, y, width, height);
  }

  group(
    _name: string,
    draw: () => void,
    options: { clip?: Rect; x?: number; y?: number } = {},
  ): void {
    const { clip, x = 0, y = 0 } = options;
    const { context, originX, originY } = this;
    if (!clip && x === 0 && y === 0) {
      draw();
      return;
    }
    context.save();
    if (clip) {
      const snapped = this.snapRect(clip);
      context.beginPath();
      context.rect(snapped.x, snapped.y, snapped.width, snapped.height);
      context.clip();
    }
    context.translate(x, y);
    this.originX += x;
    this.originY += y;
    draw();
    context.restore();
    this.originX = originX;
    this.originY = originY;
    this.font = "";
  }

  private styled(style: FillStyle, draw: () => void): void {
    const { context } = this;
    if (style.fill !== undefined) context.fillStyle = style.fill;
    if (style.stroke !== undefined) {
      context.strokeStyle = style.stroke;
      context.lineWidth = style.strokeWidth ?? 1;
    }
    context.globalAlpha = style.opacity ?? 1;
    if (style.dash) context.setLineDash([...style.dash]);
    draw();
    if (style.dash) context.setLineDash([]);
    context.globalAlpha = 1;
  }

  /** Edges on device pixels, so that neighbours meet without a seam; less than a pixel stays exact. */
  private snapRect(rect: Rect): Rect {
    const { scale } = this;
    if (rect.width * scale < 1 || rect.height * scale < 1) return rect;
    const x = Math.round((rect.x + this.originX) * scale) / scale - this.originX;
    const y = Math.round((rect.y + this.originY) * scale) / scale - this.originY;
    const right = Math.round((rect.x + rect.width + this.originX) * scale) / scale - this.originX;
    const bottom = Math.round((rect.y + rect.height + this.originY) * scale) / scale - this.originY;
    return { x, y, width: right - x, height: bottom - y };
  }

  /** The middle of a stroke whose edges lie on device pixels. */
  private snapStroke(value: number, origin: number, width: number): number {
    const device = (value + origin) * this.scale;
    const odd = Math.max(1, Math.round(width * this.scale)) % 2 === 1;
    return (odd ? Math.floor(device) + 0.5 : Math.round(device)) / this.scale - origin;
  }
}

/**
 * Draws on a canvas whose bitmap is `scale` times as large as `width` × `height` CSS pixels. Sets
 * the context's transform; clearing the canvas is the caller's.
 */
export function createCanvasSurface(
  context: CanvasRenderingContext2D,
  size: { width: number; height: number; scale: number },
): Surface {
  return new CanvasSurface(context, size);
}
