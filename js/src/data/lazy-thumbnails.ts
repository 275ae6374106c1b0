// Thumbnails that the kernel computes layer by layer, fetched as they are looked at.

import { SINK_SHARE } from "../protocol/constants.js";
import type { BlockRequest, StreamMeta } from "../protocol/generated.js";
import type { Link } from "./blocks.js";
import type { BlockStore } from "./store.js";

/** Layers whose pictures are asked for at a time: the reader scrolls on, and then others come first. */
const AT_A_TIME = 3;

interface Links {
  /** Query, key and weight of each head's strongest link, and its mean weight on the first key. */
  readonly data: Float32Array;
}

type What = "thumbnails" | "links" | "sample";

/**
 * The thumbnails of one stream where making them takes long. First those of a sample of the rows of all
 * layers, which are soon made; then, layer by layer, those of all rows take their places: those that are
 * looked at first, and then those nearest to the selected layer.
 */
export class LaterThumbnails {
  readonly bytes: Uint8Array;
  private readonly links = new Map<number, Links>();
  private readonly here = new Set<number>();
  private readonly fromSample = new Set<number>();
  /** Layers whose sample was asked for. */
  private samples: readonly number[] = [];
  private looked = new Set<number>();
  private asked: readonly number[] = [];
  private views = "";
  /** Counts what has come: thumbnails of another version are other thumbnails. */
  version = 0;

  constructor(
    private readonly stream: StreamMeta,
    private readonly store: BlockStore,
    /** Everything that is looked at in one go, for who draws once. */
    private readonly atOnce: boolean,
  ) {
    const { rows, columns } = stream.overview;
    const heads = stream.layers.reduce((sum, { num_heads }) => sum + num_heads, 0);
    this.bytes = new Uint8Array(heads * rows * columns);
  }

  /** Whether a layer's pictures are here; asking makes them wanted. */
  has(layer: number): boolean {
    this.looked.add(layer);
    return this.drawn(layer);
  }

  /** Whether a layer's pictures are those of a sample of its rows, which others will take the places of. */
  isSampled(layer: number): boolean {
    return this.fromSample.has(layer) && !this.here.has(layer);
  }

  /** How many layers have no pictures, not even of a sample. */
  get blank(): number {
    return this.stream.layers.filter(({ layer }) => !this.drawn(layer)).length;
  }

  /** How many have come, in words; null when all have. */
  get progress(): string | null {
    if (this.part === 1) return null;
    const part = `${Math.round(100 * this.part)} %`;
    if (this.fromSample.size === 0) return `thumbnails: ${part}`;
    // Of very long inputs the last ones are of a sample, too.
    return `sampled, ${part} ${this.stream.overview.sampled ? "done" : "exact"}`;
  }

  link(layer: number, head: number): Link | null {
    this.looked.add(layer);
    const found = this.links.get(layer)?.data.subarray(4 * head, 4 * head + 4);
    if (!found || found.length < 4) return null;
    const [query = 0, key = 0, weight = 0] = found;
    return { query, key, weight };
  }

  get part(): number {
    return this.here.size / this.stream.layers.length;
  }

  /** The share of weight on the first position where it is large, once every layer is known. */
  get sink(): { share: number } | null {
    if (this.links.size < this.stream.layers.length) return null;
    let [sum, count] = [0, 0];
    for (const { data } of this.links.values()) {
      for (let at = 3; at < data.length; at += 4) sum += data[at] as number;
      count += data.length / 4;
    }
    return sum / count > SINK_SHARE ? { share: sum / count } : null;
  }

  /**
   * Before a frame: take in what has come of what the last one asked for. Views keep their pictures
   * as long as the thumbnails are the same ones, and only look at other ones: so in other views, and
   * with every layer that comes, these are others.
   */
  begin(views: string): void {
    const version = this.version;
    // Who draws once has asked in an earlier round.
    const asked = this.atOnce
      ? this.stream.layers.map(({ layer }) => layer).filter((layer) => this.known(layer))
      : this.asked;
    for (const layer of this.samples) this.takeSample(layer);
    for (const layer of asked) this.take(layer);
    if (views !== this.views && this.part < 1) this.version++;
    this.views = views;
    if (this.version !== version) this.looked = new Set();
  }

  /** After a frame: ask for what it looked at and did not have, then for the layers around. */
  end(selected: number): void {
    const near = ({ layer }: { layer: number }) => Math.abs(layer - selected);
    const missing = this.stream.layers
      .filter(({ layer }) => !this.here.has(layer) || !this.links.has(layer))
      .sort((a, b) => near(a) - near(b))
      .map(({ layer }) => layer);
    const first = missing.filter((layer) => this.looked.has(layer));
    this.samples = [];
    // Nobody looks at thumbnails: they can wait.
    if (this.looked.size === 0) this.asked = [];
    else if (this.atOnce) this.asked = first;
    else {
      const rest = missing.filter((layer) => !this.looked.has(layer));
      const order = [...first, ...rest];
      this.samples = order.filter((layer) => !this.drawn(layer) && !this.failed("sample", layer));
      // What takes long holds up none of what does not.
      const wanted = this.samples.length > 0 ? [] : order;
      this.asked = wanted.filter((layer) => !this.failed("thumbnails", layer)).slice(0, AT_A_TIME);
    }
    for (const layer of this.samples) this.store.get(this.request("sample", layer));
    for (const layer of this.asked) {
      for (const what of ["thumbnails", "links"] as const)
        this.store.get(this.request(what, layer));
    }
  }

  private drawn(layer: number): boolean {
    return this.here.has(layer) || this.fromSample.has(layer);
  }

  private request(what: What, layer: number): BlockRequest {
    return { what, stream: this.stream.name, layer, head: 0 };
  }

  private known(layer: number) {
    return this.store.peek(this.request("thumbnails", layer));
  }

  private failed(what: What, layer: number): boolean {
    const known = this.store.peek(this.request(what, layer));
    return known !== null && "error" in known;
  }

  /** Put a layer's pictures where they belong among all of them. */
  private write(layer: number, weights: Float32Array): void {
    const { rows, columns } = this.stream.overview;
    let start = 0;
    for (const each of this.stream.layers) {
      if (each.layer === layer) break;
      start += each.num_heads * rows * columns;
    }
    weights.forEach((weight, i) => {
      this.bytes[start + i] = Math.round(255 * Math.sqrt(weight));
    });
    this.version++;
  }

  private takeSample(layer: number): void {
    const found = this.store.get(this.request("sample", layer));
    if (!found || "error" in found || this.drawn(layer)) return;
    this.write(layer, found.data);
    this.fromSample.add(layer);
  }

  private take(layer: number): void {
    const [pictures, links] = (["thumbnails", "links"] as const).map((what) =>
      this.store.get(this.request(what, layer)),
    );
    if (pictures && "data" in pictures && !this.here.has(layer)) {
      this.write(layer, pictures.data);
      this.here.add(layer);
    }
    if (links && "data" in links && !this.links.has(layer)) {
      this.links.set(layer, { data: links.data.slice() });
      this.version++;
    }
  }
}
