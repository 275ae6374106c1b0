// `Thumbnails`: every head of a stream max-pooled, with its strongest link.

import type { StreamMeta } from "../protocol/generated.js";
import type { Link } from "./blocks.js";
import type { LaterThumbnails } from "./lazy-thumbnails.js";

/**
 * One head max-pooled, uint8 holding 255·√weight; row = query. Of numbers with both signs 128 is nothing, and 127·√size is
 * added or taken away.
 */
export interface Thumbnail {
  readonly rows: number;
  readonly columns: number;
  readonly data: Uint8Array;
  readonly signed?: boolean;
}

/** What a place of a thumbnail holds where nothing is. */
export const nothingIn = ({ signed }: Pick<Thumbnail, "signed">): number => (signed ? 128 : 0);

interface About {
  readonly scale: number;
  readonly notes: readonly string[];
  /** Whether numbers have both signs. */
  readonly signed?: boolean;
  /** How many have come, in words; null when all have. Said where nothing has to move for it. */
  readonly progress?: string | null;
}

const PLAIN: About = { scale: 1, notes: [] };

/** The overview bytes of one stream, read head by head without copying. */
export class Thumbnails {
  private readonly first = new Map<number, number>();

  constructor(
    private readonly stream: StreamMeta,
    private readonly bytes: Uint8Array,
    /** Queries that are shown, of so many: the first ones. */
    readonly numQueries = 0,
    private readonly ofQueries = numQueries,
    /** The value of the darkest shade, and what is to be said about them. */
    readonly about: About = PLAIN,
    /** Where they come from when they were not among the first things sent. */
    private readonly later: LaterThumbnails | null = null,
  ) {
    let index = 0;
    for (const layer of stream.layers) {
      this.first.set(layer.layer, index);
      index += layer.num_heads;
    }
  }

  /** The share of the queries that is shown. */
  get part(): number {
    return this.numQueries < this.ofQueries ? this.numQueries / this.ofQueries : 1;
  }

  get sampled(): boolean {
    return this.stream.overview.sampled;
  }

  /** Whether a layer's pictures are those of a few rows, until those of all come. */
  isSampled(layer: number): boolean {
    return this.later?.isSampled(layer) ?? false;
  }

  /** How many layers have no pictures yet. */
  get blank(): number {
    return this.later?.blank ?? 0;
  }

  /** Index of a head among all heads of the stream. */
  private index(layer: number, head: number): number {
    const first = this.first.get(layer);
    if (first === undefined)
      throw new RangeError(`Stream ${this.stream.name} has no layer ${layer}.`);
    return first + head;
  }

  /** Null while it has not come. Once more have come these are other thumbnails: pictures are kept by them. */
  get(layer: number, head: number): Thumbnail | null {
    if (this.later && !this.later.has(layer)) return null;
    const { offset, rows, columns } = this.stream.overview;
    const start = offset + this.index(layer, head) * rows * columns;
    const data = this.bytes.subarray(start, start + rows * columns);
    const as = this.about.signed ? { signed: true } : {};
    if (this.part === 1) return { rows, columns, data, ...as };
    const shown = data.slice().fill(nothingIn(as), Math.ceil(rows * this.part) * columns);
    return { rows, columns, data: shown, ...as };
  }

  /** The same thumbnails with nothing but the rows and columns that are kept, by where their middles are, 0 to 1. */
  masked(row: (at: number) => boolean, column: (at: number) => boolean): Thumbnails {
    return new MaskedThumbnails(this, row, column);
  }

  /** The arguments of which these were made. */
  get made(): ConstructorParameters<typeof Thumbnails> {
    const { stream, bytes, numQueries, ofQueries, about, later } = this;
    return [stream, bytes, numQueries, ofQueries, about, later];
  }

  /** The head's strongest link, or null when the meta has none. */
  top(layer: number, head: number): Link | null {
    const link = this.later
      ? this.later.link(layer, head)
      : this.topOf(3 * this.index(layer, head));
    return link && this.part < 1 && link.query >= this.numQueries ? null : link;
  }

  private topOf(start: number): Link | null {
    const [query, key, weight] = this.stream.top?.slice(start, start + 3) ?? [];
    if (query === undefined || key === undefined || weight === undefined) return null;
    return { query, key, weight };
  }
}

class MaskedThumbnails extends Thumbnails {
  constructor(
    private readonly whole: Thumbnails,
    private readonly row: (at: number) => boolean,
    private readonly column: (at: number) => boolean,
  ) {
    super(...whole.made);
  }

  override get(layer: number, head: number): Thumbnail | null {
    const found = this.whole.get(layer, head);
    if (!found) return null;
    const { rows, columns } = found;
    const kept = Array.from({ length: columns }, (_, x) => this.column((x + 0.5) / columns));
    const data = found.data.slice();
    for (let y = 0; y < rows; y++) {
      const here = this.row((y + 0.5) / rows);
      for (let x = 0; x < columns; x++)
        if (!(here && kept[x])) data[y * columns + x] = nothingIn(found);
    }
    return { ...found, data };
  }
}
