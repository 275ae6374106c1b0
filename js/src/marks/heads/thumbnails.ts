// All thumbnails of the model view in one picture, with each head's score.

import type { Aside } from "../../data/aside.js";
import { nothingIn, type Thumbnail, type Thumbnails } from "../../data/thumbnails.js";
import { parseHex } from "../../styles/colours.js";
import type { Theme } from "../../styles/theme.js";
import type { Pixels } from "../../surface/surface.js";

/** Where one head's thumbnail goes, in device pixels. */
export interface ThumbnailCell {
  readonly layer: number;
  readonly head: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly score?: CellScore;
  /** Quiet: pooled to means, by the head's own largest, and in the lighter part of the colours. */
  readonly quiet?: boolean;
  /** Too small for a picture: one of 255 shades all over; null where there is none yet. */
  readonly flat?: number | null;
}

/** A head's score around its thumbnail or, where a thumbnail would be a speck, in its place. */
export interface CellScore {
  /** 0..255 along the scores' colours; null where there is no score. */
  readonly shade: number | null;
  /** Device pixels on each side; 0 fills the cell. */
  readonly frame: number;
  /** Below the threshold: hardly there. */
  readonly out: boolean;
}

/** Which keys are left out, what remains of each row rescaled. */
export interface SetAside {
  readonly aside: Aside;
  readonly numKeys: number;
  /** Whether a row's weights are shares of 1, which are dealt out anew. */
  readonly shares: boolean;
}

export interface ThumbnailShading extends SetAside {
  readonly theme: Theme;
}

/**
 * Source range of each of `to` pixels over `from` entries: `to + 1` edges. Fewer pixels than entries
 * share the entries out (each belongs to exactly one pixel, so a maximum survives); more pixels than
 * entries repeat the nearest one.
 */
function edges(from: number, to: number): Int32Array {
  const starts = new Int32Array(to + 1);
  for (let i = 0; i <= to; i++) {
    starts[i] = Math.floor(((to > from ? i + 0.5 : i) * from) / to);
  }
  return starts;
}

const edgeTables = new Map<number, Int32Array>();

function edgesOf(from: number, to: number): Int32Array {
  const id = from * 65536 + to;
  let table = edgeTables.get(id);
  if (!table) {
    // A handful of sizes per screen; a resized window must not collect them without end.
    if (edgeTables.size > 64) edgeTables.clear();
    table = edges(from, to);
    edgeTables.set(id, table);
  }
  return table;
}

/**
 * One thumbnail max-pooled (or enlarged) to `width` × `height`, so that a line one entry thin is
 * still there in a cell of a few pixels.
 */
export function resample(
  { rows, columns, data, signed = false }: Thumbnail,
  width: number,
  height: number,
  out = new Uint8Array(width * height),
): Uint8Array {
  const across = edgesOf(columns, width);
  const down = edgesOf(rows, height);
  const nothing = nothingIn({ signed });
  for (let y = 0; y < height; y++) {
    const firstRow = down[y] as number;
    const lastRow = Math.max(firstRow + 1, height > rows ? 0 : (down[y + 1] as number));
    for (let x = 0; x < width; x++) {
      const first = across[x] as number;
      const last = Math.max(first + 1, width > columns ? 0 : (across[x + 1] as number));
      let best = nothing;
      for (let row = firstRow; row < lastRow; row++) {
        for (let i = row * columns + first, end = row * columns + last; i < end; i++) {
          const value = data[i] as number;
          const more = signed ? Math.abs(value - nothing) > Math.abs(best - nothing) : value > best;
          if (more) best = value;
        }
      }
      out[y * width + x] = best;
    }
  }
  return out;
}

/** Which of a thumbnail's columns hold a key that is set aside, of so many keys. */
function columnsAside(columns: number, { keys }: Aside, numKeys: number): readonly number[] {
  if (columns >= numKeys) return keys.filter((key) => key < columns);
  const held = new Set<number>();
  // Where columns do not divide the keys evenly, neighbours share one.
  for (const key of keys) {
    const last = Math.min(columns - 1, Math.ceil(((key + 1) * columns) / numKeys) - 1);
    for (let at = last; at >= 0 && Math.ceil(((at + 1) * numKeys) / columns) > key; at--)
      held.add(at);
  }
  return [...held].sort((a, b) => a - b);
}

/** How far along the colours a quiet cell goes. */
const QUIET_END = 0.62;

/**
 * One thumbnail pooled by mean to `width` × `height`, its largest at `QUIET_END` of the colours: where a
 * pixel holds many entries, their largest would be as dark everywhere, and say nothing.
 */
export function quietShades(
  { rows, columns, data, signed = false }: Thumbnail,
  width: number,
  height: number,
  out = new Uint8Array(width * height),
): Uint8Array {
  const across = edgesOf(columns, width);
  const down = edgesOf(rows, height);
  const nothing = nothingIn({ signed });
  const means = new Float32Array(width * height);
  let most = 0;
  for (let y = 0; y < height; y++) {
    const top = down[y] as number;
    const bottom = Math.max(top + 1, height > rows ? 0 : (down[y + 1] as number));
    for (let x = 0; x < width; x++) {
      const left = across[x] as number;
      const right = Math.max(left + 1, width > columns ? 0 : (across[x + 1] as number));
      let sum = 0;
      for (let row = top; row < bottom; row++) {
        for (let i = row * columns + left; i < row * columns + right; i++) sum += data[i] as number;
      }
      const mean = sum / ((bottom - top) * (right - left)) - nothing;
      means[y * width + x] = mean;
      if (Math.abs(mean) > most) most = Math.abs(mean);
    }
  }
  const factor = most > 0 ? (QUIET_END * (255 - nothing)) / most : 0;
  for (let i = 0; i < means.length; i++)
    out[i] = nothing + Math.round((means[i] as number) * factor);
  return out;
}

/**
 * A thumbnail without the columns that are set aside: nothing there, and every row's other weights divided
 * by what those leave. Bytes hold 255·√w, hence the root.
 */
export function withoutColumns(
  { rows, columns, data, signed = false }: Thumbnail,
  aside: readonly number[],
  shares: boolean,
  out = new Uint8ClampedArray(data.length),
): Thumbnail {
  out.set(data);
  for (let start = 0; start < data.length; start += columns) {
    let left = 1;
    for (const column of aside) {
      left -= ((data[start + column] as number) / 255) ** 2;
      out[start + column] = nothingIn({ signed });
    }
    // Nothing is left: pooled neighbours of such a row keep the shade they have.
    if (!shares || left <= 0 || left === 1) continue;
    const factor = 1 / Math.sqrt(left);
    for (let i = start; i < start + columns; i++) {
      // A clamped array rounds and stays within a byte by itself.
      if (out[i] !== 0) out[i] = (out[i] as number) * factor;
    }
  }
  return { rows, columns, data: new Uint8Array(out.buffer), ...(signed ? { signed } : {}) };
}

/** A thumbnail as it is shaded. */
export function asideThumbnail(
  thumbnail: Thumbnail,
  { aside, numKeys, shares }: SetAside,
): Thumbnail {
  const held = columnsAside(thumbnail.columns, aside, numKeys);
  return held.length === 0 ? thumbnail : withoutColumns(thumbnail, held, shares);
}

/** The mean shade of a thumbnail: little for one that looks at a few keys, much for one that spreads. */
export function meanShade({ data, signed = false }: Thumbnail): number {
  let sum = 0;
  for (const shade of data) sum += signed ? 2 * Math.abs(shade - nothingIn({ signed })) : shade;
  return sum / Math.max(1, data.length);
}

/** The colours of `table` as whole pixels in this machine's byte order. */
function packed(table: Uint8Array): Uint32Array {
  const bytes = new Uint8Array(4 * 256);
  for (let i = 0; i < 256; i++) {
    bytes.set([...table.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  }
  return new Uint32Array(bytes.buffer);
}

function packedHex(colour: string): number {
  return new Uint32Array(new Uint8Array([...parseHex(colour), 255]).buffer)[0] as number;
}

/** How much of the page shows through a head that is out. */
const FAINT = 0.82;

/** A table of colours blended into the page. */
function faded(table: Uint8Array, page: string): Uint8Array {
  const ground = parseHex(page);
  return table.map((value, i) => value + FAINT * ((ground[i % 3] as number) - value));
}

/** Fill a rectangle of a picture that is `across` pixels wide. */
function fillRect(
  pixels: Uint32Array,
  across: number,
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
  colour: number,
): void {
  for (let row = y; row < y + height; row++) {
    pixels.fill(colour, row * across + x, row * across + x + width);
  }
}

/** Paint a cell's score; returns what is left for its thumbnail, or null. */
function paintScore(
  pixels: Uint32Array,
  across: number,
  cell: ThumbnailCell,
  colours: Uint32Array,
  none: number,
): ThumbnailCell | null {
  const { score } = cell;
  if (!score) return cell;
  const { shade, frame } = score;
  fillRect(pixels, across, cell, shade === null ? none : (colours[shade] as number));
  if (frame === 0) return null;
  const { x, y, width, height } = cell;
  const inner = {
    x: x + frame,
    y: y + frame,
    width: width - 2 * frame,
    height: height - 2 * frame,
  };
  return inner.width > 0 && inner.height > 0 ? { ...cell, ...inner } : null;
}

/**
 * All cells in one picture of `width` × `height` device pixels. Cells stand one hairline apart on a
 * ground of the theme's rule colour, which reaches `hairline` pixels beyond each of them.
 */
export function composeThumbnails(
  thumbnails: Thumbnails,
  cells: readonly ThumbnailCell[],
  size: { width: number; height: number; hairline: number },
  { theme, aside, numKeys, shares }: ThumbnailShading,
): Pixels {
  const { width, height, hairline } = size;
  const pixels = new Uint32Array(width * height);
  const tables = [theme.sequential, thumbnails.about.signed ? theme.diverging : theme.sequential];
  const [flat, weights] = tables.map(packed) as [Uint32Array, Uint32Array];
  const strong = { flat, weights, scores: packed(theme.score) };
  const [faintFlat, faintWeights] = tables.map((table) =>
    packed(faded(table, theme.background)),
  ) as [Uint32Array, Uint32Array];
  const faint = {
    flat: faintFlat,
    weights: faintWeights,
    scores: packed(faded(theme.score, theme.background)),
  };
  const ground = packedHex(theme.rule);
  const wash = packedHex(theme.wash);
  const none = packedHex(theme.raised);
  let scratch = new Uint8Array(0);
  let rest = new Uint8ClampedArray(0);
  for (const cell of cells) {
    const left = Math.max(0, cell.x - hairline);
    const right = Math.min(width, cell.x + cell.width + hairline);
    const bottom = Math.min(height, cell.y + cell.height + hairline);
    for (let y = Math.max(0, cell.y - hairline); y < bottom; y++) {
      pixels.fill(ground, y * width + left, y * width + right);
    }
  }
  for (const whole of cells) {
    const table = whole.score?.out ? faint : strong;
    const cell = paintScore(pixels, width, whole, table.scores, none);
    if (!cell) continue;
    const colours = table.weights;
    if (cell.flat !== undefined) {
      const shade =
        cell.flat === null ? null : Math.round(cell.flat * (cell.quiet ? QUIET_END : 1));
      fillRect(pixels, width, cell, shade === null ? none : (table.flat[shade] as number));
      continue;
    }
    const head = thumbnails.get(cell.layer, cell.head);
    if (!head) {
      // Its place is kept, so that nothing moves when it comes.
      fillRect(pixels, width, cell, none);
      continue;
    }
    const held = columnsAside(head.columns, aside, numKeys);
    if (held.length > 0 && rest.length !== head.data.length) {
      rest = new Uint8ClampedArray(head.data.length);
    }
    const shown = held.length > 0 ? withoutColumns(head, held, shares, rest) : head;
    const area = cell.width * cell.height;
    if (scratch.length < area) scratch = new Uint8Array(area);
    const pooled = cell.quiet ? quietShades : resample;
    const shades = pooled(shown, cell.width, cell.height, scratch);
    // Where a pixel holds several keys, blanking one's would hide its neighbours.
    const blank = new Set(head.columns <= cell.width ? held : []);
    const across = edgesOf(head.columns, cell.width);
    for (let y = 0; y < cell.height; y++) {
      const to = (cell.y + y) * width + cell.x;
      const from = y * cell.width;
      for (let x = 0; x < cell.width; x++) {
        const isBlank = blank.size > 0 && blank.has(across[x] as number);
        pixels[to + x] = isBlank ? wash : (colours[shades[from + x] as number] as number);
      }
    }
  }
  return { width, height, data: new Uint8ClampedArray(pixels.buffer) };
}

/** One thumbnail as pixels of its own size, for enlarging; one that has not come is a blank. */
export function thumbnailPixels(
  thumbnail: Thumbnail | null,
  { theme, aside, numKeys, shares }: ThumbnailShading,
): Pixels {
  if (!thumbnail) {
    const blank = new Uint8ClampedArray([...parseHex(theme.raised), 255]);
    return { width: 1, height: 1, data: blank };
  }
  const held = columnsAside(thumbnail.columns, aside, numKeys);
  const { rows, columns, data, signed } =
    held.length > 0 ? withoutColumns(thumbnail, held, shares) : thumbnail;
  const colours = packed(signed ? theme.diverging : theme.sequential);
  const pixels = new Uint32Array(rows * columns);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colours[data[i] as number] as number;
  const wash = packedHex(theme.wash);
  for (let row = 0; row < rows; row++) {
    for (const column of held) pixels[row * columns + column] = wash;
  }
  return { width: columns, height: rows, data: new Uint8ClampedArray(pixels.buffer) };
}
