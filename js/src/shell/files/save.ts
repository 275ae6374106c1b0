// What is shown as an SVG or PNG file.

import type { BlockStore } from "../../data/store.js";
import { composeSvg, type FigureOptions } from "../../figure/compose.js";
import type { Figure, State as Traits } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";

import { fewColours } from "../../surface/palette.js";
import { encodePalettePng } from "../../surface/png.js";

/** Pixels per CSS pixel of a saved PNG: 192 dpi, sharp in print at column width. */
const PNG_SCALE = 2;

async function loaded(svg: string): Promise<HTMLImageElement> {
  const image = new Image();
  // No blob's address: some hosts do not allow pictures from there.
  image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  await image.decode();
  return image;
}

/** The picture on a canvas, and what it is drawn with. */
function drawn(image: HTMLImageElement, scale: number) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser gave no canvas to draw the PNG on.");
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return { canvas, context };
}

async function rasterise(svg: string, scale: number): Promise<Blob> {
  const { canvas } = drawn(await loaded(svg), scale);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("This browser could not encode the PNG: save as SVG instead.");
  return blob;
}

/** A figure that Python asked for, or a button. */
export interface SaveRequest {
  readonly format: "svg" | "png";
  readonly figure?: Figure;
  /** The selection that is drawn; that of the page where there is none. */
  readonly state?: Traits;
  /** Of the views, in CSS pixels; that of the page where there is none. */
  readonly width?: number;
  /** PNG pixels per CSS pixel. */
  readonly scale?: number;
}

/** How long a figure waits for numbers that the screen did not need, and how often it looks. */
const FIGURE_MS = 30_000;
const LOOK_MS = 30;

const NOT_READY =
  "The numbers of this figure have not come: the kernel may be busy. Try again when it is free.";

/** Without what the reader points at or looks for. */
function unmarked(scene: Scene): Scene {
  const nothing = { hover: null, found: null };
  return { ...scene, ...nothing, recorded: scene.recorded && { ...scene.recorded, ...nothing } };
}

/** Exactly what is shown. A figure is finer than most screens, and may need numbers that this one did not. */
export async function wholeFigure(
  scene: Scene,
  options: FigureOptions,
  store: BlockStore,
  redraw: () => void,
): Promise<string> {
  for (const end = performance.now() + FIGURE_MS; ; ) {
    store.begin();
    const svg = composeSvg(unmarked(scene), options);
    const waits = store.pending > 0;
    store.flush();
    redraw();
    if (!waits) return svg;
    if (performance.now() > end) throw new Error(NOT_READY);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** A figure as a file's content. */
export async function exportFigure(
  svg: string,
  format: "svg" | "png",
  scale = PNG_SCALE,
): Promise<Blob> {
  return format === "svg" ? new Blob([svg], { type: "image/svg+xml" }) : rasterise(svg, scale);
}

/** Colours of a small picture that are tried at each resolution, the most first. */
const FEW = [64, 16];
/** What the next one has of the resolution of a picture that is still too large, at most. */
const SMALLER = 0.8;

/** A still picture, and the size in CSS pixels that it is shown at. */
export interface Picture {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** The picture that stands in the notebook, and what the reading line says of it. */
export interface Still extends Picture {
  readonly said: string;
}

/** A figure as a PNG of so many bytes at most: few colours, and as many pixels as fit. */
export async function stillPicture(svg: string, most: number): Promise<Picture> {
  const image = await loaded(svg);
  const { naturalWidth: width, naturalHeight: height } = image;
  for (let scale = 1; ; ) {
    const { canvas, context } = drawn(image, scale);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    let size = 0;
    for (const count of FEW) {
      const png = encodePalettePng(fewColours(pixels, count));
      if (png.length <= most) return { png, width, height };
      size = png.length;
    }
    // The bytes grow about as the pixels do.
    scale *= Math.min(SMALLER, 0.95 * Math.sqrt(most / size));
  }
}

export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the blob after this task.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
