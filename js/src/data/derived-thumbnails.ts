// Thumbnails of another measure than weights, or between words.

import type { Measure, StreamMeta } from "../protocol/generated.js";
import type { Blocks, Pictures } from "./blocks.js";
import { whyMissing } from "./measures.js";
import { type Thumbnail, Thumbnails } from "./thumbnails.js";
import { type Words, wordPicture } from "./words.js";

/** What thumbnails are made of where they are not the weights of the record as it is. */
export interface ThumbnailSource {
  /** The stream as it is shown: a rollout has one head a layer. */
  readonly stream: StreamMeta;
  readonly measure: Measure;
  readonly queries: Words | null;
  readonly keys: Words | null;
}

/** A thumbnail's weights back from its shades. */
function weightsOf({ rows, columns, data }: Thumbnail): Pictures {
  return { rows, columns, data: Float32Array.from(data, (shade) => (shade / 255) ** 2) };
}

function head({ rows, columns, data }: Pictures, index: number): Pictures {
  const size = rows * columns;
  return { rows, columns, data: data.subarray(index * size, (index + 1) * size) };
}

/** Every head's picture, in the stream's order; null where it has not come or cannot be had. */
function read(recorded: Thumbnails, drawing: ThumbnailSource, blocks: Blocks) {
  const { stream, measure } = drawing;
  const { rows, columns } = stream.overview;
  const notes = new Set<string>();
  const heads: (Pictures | null)[] = [];
  let waiting = 0;
  for (const layer of stream.layers) {
    const why = whyMissing(stream, layer, measure);
    let found: Pictures | null = null;
    if (why !== null) notes.add(measure === "rollout" ? why : `Layer ${layer.layer}: ${why}`);
    else if (measure !== "weights") {
      const made = blocks.overview(measure, layer.layer, Math.max(rows, columns));
      if (made && "error" in made) notes.add(made.error);
      else if (made) found = made;
      else waiting++;
    }
    for (let n = 0; n < layer.num_heads; n++) {
      const thumbnail = measure === "weights" ? recorded.get(layer.layer, n) : null;
      if (measure === "weights" && !thumbnail) waiting++;
      heads.push(thumbnail ? weightsOf(thumbnail) : found && head(found, n));
    }
  }
  const shown = [...notes].slice(0, 2);
  if (notes.size > 2) shown.push(`and ${notes.size - 2} layers more`);
  if (waiting > 0) shown.push("loading");
  return { heads, notes: shown, waiting };
}

/** The strongest link of each head, where pictures hold every pair; the first key left out as ever. */
function topLinks(pictures: readonly (Pictures | null)[]): number[] {
  return pictures.flatMap((picture) => {
    let best = [0, 0, 0];
    const { columns = 1, data = [] } = picture ?? {};
    for (let i = 0; i < data.length; i++) {
      const [key, weight] = [i % columns, data[i] as number];
      const more = Math.abs(weight) > Math.abs(best[2] as number);
      if ((key > 0 || columns === 1) && more) {
        best = [Math.floor(i / columns), key, weight];
      }
    }
    return best;
  });
}

const sequentialByte = (part: number) => Math.round(255 * Math.sqrt(Math.min(1, part)));

/** See `Thumbnail`. */
const divergingByte = (part: number) =>
  128 + Math.sign(part) * Math.round(127 * Math.sqrt(Math.min(1, Math.abs(part))));

/** Thumbnails of a measure or of words; one scale for all heads of the stream, which they state. */
export function drawnThumbnails(
  recorded: Thumbnails,
  drawing: ThumbnailSource,
  blocks: Blocks,
  sizes: { readonly queries: number; readonly keys: number; readonly shown: number },
): { readonly thumbnails: Thumbnails; readonly waiting: number } {
  const { stream, measure, queries, keys } = drawing;
  const { heads, notes, waiting } = read(recorded, drawing, blocks);
  const merged = heads.map((one) => one && wordPicture(one, queries, keys));
  const whole = merged.every((one, index) => one !== null || heads[index] === null);
  const pictures = whole ? merged : heads;
  if (!whole) notes.push("thumbnails are between pieces");
  const first = pictures.find((one) => one !== null);
  const { rows = 1, columns = 1 } = first ?? {};
  let scale = 1;
  if (measure !== "weights" && measure !== "rollout") {
    scale = 0;
    for (const one of pictures)
      for (const value of one?.data ?? []) scale = Math.max(scale, Math.abs(value));
  }
  const signed = measure === "gradient";
  const shade = signed ? divergingByte : sequentialByte;
  // A head that has no picture is empty.
  const bytes = new Uint8Array(pictures.length * rows * columns).fill(shade(0));
  pictures.forEach((one, index) => {
    const start = index * rows * columns;
    one?.data.forEach((value, i) => {
      bytes[start + i] = shade(value / (scale || 1));
    });
  });
  const every = rows === sizes.queries && columns === sizes.keys;
  const { top: _, ...rest } = stream;
  const overview = { ...stream.overview, offset: 0, rows, columns };
  const described = { ...rest, overview, ...(every ? { top: topLinks(pictures) } : {}) };
  const about = { scale, notes, ...(signed ? { signed } : {}) };
  return {
    thumbnails: new Thumbnails(described, bytes, sizes.shown, sizes.queries, about),
    waiting,
  };
}
