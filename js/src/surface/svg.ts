// `SvgSurface`, the figure: a standalone SVG document as a string.

import { pngDataUri } from "./png.js";
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

type Attributes = Readonly<Record<string, string | number | undefined>>;

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escaped = (text: string) =>
  printable(text).replace(/[&<>"']/g, (char) => entities[char] as string);

/** Two decimals are a hundredth of a pixel; more only makes the file long. */
function number(value: number): string {
  return String(Math.round(value * 100) / 100 || 0);
}

function attributes(values: Attributes): string {
  let text = "";
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue;
    text += ` ${name}="${typeof value === "number" ? number(value) : escaped(value)}"`;
  }
  return text;
}

function opacity(value: number | undefined): number | undefined {
  return value === undefined || value >= 1 ? undefined : Math.max(0, value);
}

/** Beside a number that is not one, a browser drops the element or the whole path: leave it out. */
const finite = (...values: readonly (number | undefined)[]) =>
  values.every((value) => value === undefined || Number.isFinite(value));

/** What is said of a document as a whole. */
export interface Finish {
  /** Names it for readers who cannot see it. */
  readonly title?: string;
  readonly background?: string;
  /** A family without quotes in it, before the usual ones. */
  readonly font?: string;
  /** With units; otherwise a pixel of the drawing is a CSS pixel. */
  readonly printed?: { readonly width: string; readonly height: string };
}

/** Pixels with at least this many bytes are referred to when they are drawn again. */
const SHARED = 1 << 14;

/** A figure is drawn once, and its lines are wanted as lines; a picture of as many is no smaller. */
const MOST_STROKES = 20_000;

/** Draws into a string: one standalone SVG document, text as text, no script, no reference outside. */
export class SvgSurface implements Surface {
  readonly width: number;
  readonly height: number;
  readonly scale: number;
  readonly strokes: StrokeLimits;
  private readonly parts: string[] = [];
  private readonly clips = new Map<string, string>();
  private readonly ids = new Set<string>();
  private readonly images = new Map<Pixels, Rect & { readonly id: string }>();

  constructor(size: { width: number; height: number; scale?: number; strokes?: StrokeLimits }) {
    this.width = size.width;
    this.height = size.height;
    this.scale = size.scale ?? 2;
    this.strokes = size.strokes ?? {
      most: MOST_STROKES,
      scale: this.scale,
      work: SCREEN_WORK,
      file: false,
    };
  }

  rect(rect: Rect, style: FillStyle): void {
    if (!finite(rect.x, rect.y, rect.width, rect.height)) return;
    if (rect.width < 0 || rect.height < 0) return;
    const { x, y, width, height } = rect;
    this.shape("rect", { x, y, width, height, rx: style.radius || undefined }, style);
  }

  circle(x: number, y: number, radius: number, style: FillStyle): void {
    if (!finite(x, y, radius) || radius < 0) return;
    this.shape("circle", { cx: x, cy: y, r: radius }, style);
  }

  line(x1: number, y1: number, x2: number, y2: number, style: StrokeStyle): void {
    if (!finite(x1, y1, x2, y2)) return;
    this.element("line", {
      x1,
      y1,
      x2,
      y2,
      stroke: style.stroke,
      "stroke-width": style.width ?? 1,
      "stroke-opacity": opacity(style.opacity),
      "stroke-dasharray": style.dash?.map(number).join(" "),
    });
  }

  path(steps: readonly PathStep[], style: FillStyle): void {
    let d = "";
    for (const [command, ...values] of steps) {
      if (!finite(...values)) return;
      d += command + values.map(number).join(" ");
    }
    if (d !== "") this.shape("path", { d }, style);
  }

  text(x: number, y: number, text: string, style: TextStyle): void {
    if (!finite(x, y, style.size) || text === "") return;
    const full = printable(text);
    const { size, family = "sans", weight = "normal" } = style;
    const shown =
      style.maxWidth === undefined ? full : ellipsize(full, style.maxWidth, size, family, weight);
    if (shown === "") return;
    const drop = { middle: MIDDLE, top: TOP, alphabetic: 0 }[style.baseline ?? "middle"] * size;
    const turned = style.rotate !== undefined && style.rotate !== 0;
    const backwards = isRightToLeft(shown);
    // An anchor is a side here, and in SVG an end of the text: where it runs to the left, the other one.
    const sides = { start: "end", middle: "middle", end: "start" } as const;
    const anchor = backwards ? sides[style.anchor ?? "start"] : style.anchor;
    const values = {
      x,
      y: y + drop,
      fill: style.fill,
      "font-size": size,
      "font-family": family === "sans" ? undefined : fontStacks[family],
      "font-weight": weight === "bold" ? "bold" : undefined,
      "font-style": style.italic ? "italic" : undefined,
      direction: backwards ? "rtl" : undefined,
      "text-anchor": anchor === "start" ? undefined : anchor,
      "fill-opacity": opacity(style.opacity),
      textLength: style.fit,
      lengthAdjust: style.fit === undefined ? undefined : "spacingAndGlyphs",
      transform: turned ? `rotate(${number(style.rotate)} ${number(x)} ${number(y)})` : undefined,
      "xml:space": /^ | {2}| $/.test(shown) ? "preserve" : undefined,
    };
    const title = shown === full ? "" : `<title>${escaped(full)}</title>`;
    this.parts.push(`<text${attributes(values)}>${title}${escaped(shown)}</text>`);
  }

  image(rect: Rect, pixels: Pixels, smooth = false): void {
    const { x, y, width, height } = rect;
    if (!finite(x, y, width, height) || width <= 0 || height <= 0) return;
    if (pixels.width === 0 || pixels.height === 0) return;
    const known = this.images.get(pixels);
    if (known && known.width === width && known.height === height) {
      // The same picture under several heads is embedded once.
      this.element("use", { "xlink:href": `#${known.id}`, x: x - known.x, y: y - known.y });
      return;
    }
    const id = known || pixels.data.length < SHARED ? undefined : this.id("picture");
    if (id !== undefined) this.images.set(pixels, { id, x, y, width, height });
    this.element("image", {
      id,
      x,
      y,
      width,
      height,
      preserveAspectRatio: "none",
      // Browsers know the style, older renderers the attribute.
      "image-rendering": smooth ? undefined : "optimizeSpeed",
      style: smooth ? undefined : "image-rendering:pixelated",
      // What converts the document decodes them at once.
      "xlink:href": pngDataUri(pixels, this.strokes.file ? 0 : 6),
    });
  }

  group(
    name: string,
    draw: () => void,
    options: { clip?: Rect; x?: number; y?: number } = {},
  ): void {
    const { clip, x = 0, y = 0 } = options;
    const moved = x !== 0 || y !== 0;
    const values = {
      id: this.id(name),
      transform: moved ? `translate(${number(x)} ${number(y)})` : undefined,
      // An element's clip is read in its own coordinates, which the translation has moved.
      "clip-path": clip && `url(#${this.clip({ ...clip, x: clip.x - x, y: clip.y - y })})`,
    };
    this.parts.push(`<g${attributes(values)}>`);
    draw();
    this.parts.push("</g>");
  }

  /** The whole document. */
  finish(options: Finish = {}): string {
    const { width, height } = this;
    const { font, printed } = options;
    const root = attributes({
      xmlns: "http://www.w3.org/2000/svg",
      "xmlns:xlink": "http://www.w3.org/1999/xlink",
      width: printed?.width ?? width,
      height: printed?.height ?? height,
      viewBox: `0 0 ${number(width)} ${number(height)}`,
      role: "img",
      "font-family": font === undefined ? fontStacks.sans : `'${font}', ${fontStacks.sans}`,
    });
    const title = options.title ? `<title>${escaped(options.title)}</title>\n` : "";
    const defs = this.clips.size > 0 ? `<defs>${[...this.clips.values()].join("")}</defs>\n` : "";
    const background = options.background
      ? `<rect${attributes({ width, height, fill: options.background })}/>\n`
      : "";
    return `<svg${root}>\n${title}${defs}${background}${this.parts.join("\n")}\n</svg>\n`;
  }

  private shape(tag: string, geometry: Attributes, style: FillStyle): void {
    if (style.fill === undefined && style.stroke === undefined) return;
    this.element(tag, {
      ...geometry,
      fill: style.fill ?? "none",
      stroke: style.stroke,
      "stroke-width": style.stroke && (style.strokeWidth ?? 1),
      opacity: opacity(style.opacity),
      "stroke-dasharray": style.dash?.map(number).join(" "),
    });
  }

  private element(tag: string, values: Attributes): void {
    this.parts.push(`<${tag}${attributes(values)}/>`);
  }

  private id(name: string): string {
    const slug = printable(name)
      .replace(/[^A-Za-z0-9_.]+/g, "-")
      .replace(/^[^A-Za-z]+|-+$/g, "");
    const base = slug === "" ? "group" : slug;
    let id = base;
    for (let n = 2; this.ids.has(id); n++) id = `${base}-${n}`;
    this.ids.add(id);
    return id;
  }

  /**
   * A clip is named by its geometry: two figures inlined in one page then share a name only where
   * they also share the shape.
   */
  private clip({ x, y, width, height }: Rect): string {
    const values = { x, y, width: Math.max(0, width), height: Math.max(0, height) };
    const id = `clip_${Object.values(values).map(number).join("_")}`;
    if (!this.clips.has(id)) {
      this.clips.set(id, `<clipPath id="${id}"><rect${attributes(values)}/></clipPath>`);
    }
    return id;
  }
}
