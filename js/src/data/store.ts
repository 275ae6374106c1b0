import type { BlockRequest, Request, StreamMeta } from "../protocol/generated.js";
import {
  type Blocks,
  Matrix,
  type Result,
  type Rows,
  type Unfinished,
  type When,
} from "./blocks.js";

export type { Result, Unfinished } from "./blocks.js";

/** How blocks are had: from a live kernel, from a snapshot, or not at all (a list of wants). */
export type Fetch = (requests: readonly Request[]) => Promise<readonly (Result | Unfinished)[]>;

/** Weights per band of query rows, or of key columns; `BAND_WEIGHTS` in attnwidget/blocks.py. */
const BAND_WEIGHTS = 1 << 14;
/** Batches under way at once: one being computed, one on the wire. */
const IN_FLIGHT = 2;
const BATCH_BYTES = 6 << 20;
/** Tiles around a window that are fetched ahead at a time: what is wanted next should not wait long. */
const MOST_AHEAD = 8;

/** Whether weights stand beside what is drawn as numbers. */
const READ = /^(weights|column|mean)\//;

export function requestKey(request: Request): string {
  if (!("layer" in request)) {
    const { what, stream, ranking, score = "", measure = "" } = request;
    return `${what}/${stream}/${measure}/${ranking ? JSON.stringify(ranking) : score}`;
  }
  const { what, stream, layer, head, queries, size, measure, positions, side } = request;
  const { level, tile, keys } = request;
  const as = [measure, positions, side].map((part) => (part ? `/${part}` : "")).join("");
  const place = tile ? `${level}:` : "";
  const span = (tile ?? keys ?? queries)?.join("-") ?? "";
  return `${what}/${stream}/${layer}/${head}/${place}${span}/${size ?? ""}${as}`;
}

/** How many rows of so many weights travel together. */
export function bandRows(length: number): number {
  return Math.max(1, Math.floor(BAND_WEIGHTS / Math.max(1, length)));
}

interface Want {
  readonly request: Request;
  /** About how large the answer will be. */
  readonly bytes: number;
}

interface Sized {
  readonly numQueries: number;
  readonly numKeys: number;
}

/** What is waited for, told apart for the reader. */
export type Kind = "blocks" | "heads" | "thumbnails";

/** How far what takes long has come. */
export interface Progress {
  readonly part: number;
  /** Nobody asks for the rest until the reader does. */
  readonly stopped: boolean;
}

function kindOf(request: Request): Kind {
  if (!("layer" in request)) return "heads";
  return request.what === "thumbnails" || request.what === "links" ? "thumbnails" : "blocks";
}

/**
 * Blocks by request: a cache with a byte budget, and the wants of the present frame. Whoever draws
 * reads blocks; what is missing becomes a want; `flush` sends the wants of that frame and forgets
 * them, so that a request nobody wants any more is never sent. What takes the kernel long comes in
 * slices, and is asked for again as long as the last frame wanted it.
 */
export class BlockStore {
  private readonly ready = new Map<string, Result>();
  private readonly flying = new Map<string, Want>();
  private wants = new Map<string, Want>();
  /** What this frame would have once all it wants is here. */
  private later = new Map<string, Request>();
  /** Read in this frame: never evicted, or a frame larger than the budget would fetch for ever. */
  private used = new Map<string, Request>();
  /** What came in slices, and how much of it has. */
  private readonly slow = new Map<string, { readonly kind: Kind; part: number }>();
  /** What the reader wanted no more of. */
  private readonly stopped = new Set<string>();
  /** What was fetched ahead: once, since it may have come to nothing. */
  private readonly tried = new Set<string>();
  private bytes = 0;
  private batches = 0;
  private disposed = false;

  constructor(
    private readonly fetch: Fetch,
    private readonly onArrival: () => void,
    private readonly budget = 64 << 20,
  ) {}

  /** What went wrong in what the frame shows; what was only fetched ahead is nobody's loss yet. */
  get failed(): string | null {
    for (const key of this.used.keys()) {
      const result = this.ready.get(key);
      if (result && "error" in result) return result.error;
    }
    return null;
  }

  /** Whether weights that the frame shows came in shades: the numbers beside them are rounded. */
  get rounded(): boolean {
    for (const key of this.used.keys()) {
      const result = this.ready.get(key);
      if (READ.test(key) && result && "rounded" in result) return true;
    }
    return false;
  }

  /** How many blocks the present frame still waits for; what is fetched ahead does not count. */
  get pending(): number {
    let count = 0;
    for (const key of this.used.keys()) if (!this.ready.has(key) && !this.stopped.has(key)) count++;
    return count;
  }

  /** The same without what comes later anyway: how much of the heads on show is missing. */
  get missingBlocks(): number {
    let count = 0;
    for (const [key, request] of this.used)
      if (kindOf(request) === "blocks" && !this.ready.has(key) && !this.stopped.has(key)) count++;
    return count;
  }

  /** What the frame drawn last was drawn from. */
  get read(): readonly Request[] {
    return [...this.used.values()];
  }

  /** What the frame drawn last could not be drawn without. */
  get missing(): readonly Request[] {
    return Array.from(this.wants.values(), ({ request }) => request);
  }

  /** How far the frame's slow blocks have come together; null where there are none, or all are here. */
  progress(...kinds: readonly Kind[]): Progress | null {
    let [count, sum, open, stopped] = [0, 0, false, false];
    for (const [key, { kind, part }] of this.slow) {
      if (!this.used.has(key) || !kinds.includes(kind)) continue;
      count++;
      sum += part;
      if (!this.ready.has(key)) open = true;
      if (this.stopped.has(key)) stopped = true;
    }
    return open ? { part: sum / count, stopped } : null;
  }

  /** Ask no further for what the frame waits for; whether there was anything slow in it. */
  stop(): boolean {
    const progress = this.progress("blocks", "heads", "thumbnails");
    if (!progress || progress.stopped) return false;
    for (const key of this.used.keys()) if (!this.ready.has(key)) this.stopped.add(key);
    for (const key of this.stopped) this.wants.delete(key);
    this.onArrival();
    return true;
  }

  /** Go on with what was stopped. */
  resume(): void {
    this.stopped.clear();
    this.onArrival();
  }

  put(request: Request, result: Result): void {
    this.remember(requestKey(request), result);
  }

  /** The block, or null while it is not here; asking makes it wanted. */
  get(request: Request, bytes = 1 << 16): Result | null {
    const key = requestKey(request);
    this.used.set(key, request);
    const known = this.ready.get(key);
    if (known) {
      // Reinserting keeps the map in order of use: the budget evicts from the front.
      this.ready.delete(key);
      this.ready.set(key, known);
      return known;
    }
    if (!this.flying.has(key) && !this.stopped.has(key)) this.wants.set(key, { request, bytes });
    return null;
  }

  /** The block if it is here: nothing waits for it. */
  peek(request: Request, when: When = "here"): Result | null {
    const key = requestKey(request);
    const known = this.ready.get(key);
    if (known) this.used.set(key, request);
    else if (when === "later" && !this.flying.has(key)) this.later.set(key, request);
    return known ?? null;
  }

  /** Start a frame: only what it asks for stays wanted. */
  begin(): void {
    this.wants = new Map();
    this.later = new Map();
    this.used = new Map();
  }

  /** End a frame: send what it wanted and does not have, as few batches as fit. */
  flush(): void {
    // What is looked at again later is wanted again.
    for (const key of this.stopped) if (!this.used.has(key)) this.stopped.delete(key);
    for (const key of this.slow.keys()) if (!this.used.has(key)) this.slow.delete(key);
    this.sendWants();
  }

  private sendWants(): void {
    while (this.wants.size > 0 && this.batches < IN_FLIGHT) {
      const batch: [string, Want][] = [];
      let total = 0;
      for (const [key, want] of this.wants) {
        total += want.bytes;
        if (batch.length > 0 && total > BATCH_BYTES) break;
        batch.push([key, want]);
        this.wants.delete(key);
      }
      this.send(batch);
    }
  }

  /** Fetch ahead, only when nothing else is going on, and no more than one slice of what is slow. */
  prefetch(requests: readonly Request[]): void {
    if (this.wants.size + this.flying.size > 0) return;
    const open = (request: Request) => {
      const key = requestKey(request);
      return !this.ready.has(key) && !this.tried.has(key);
    };
    const around = [...this.later.values()].filter(open).slice(0, MOST_AHEAD);
    const batch = [...around, ...requests.filter(open)].map((request): [string, Want] => [
      requestKey(request),
      { request, bytes: 0 },
    ]);
    for (const [key] of batch) this.tried.add(key);
    if (batch.length > 0) this.send(batch);
  }

  /** Forget failures, so that the next frame asks again. */
  retry(): void {
    for (const [key, result] of this.ready) if ("error" in result) this.ready.delete(key);
    this.onArrival();
  }

  dispose(): void {
    this.disposed = true;
    this.ready.clear();
    this.wants.clear();
  }

  private send(batch: readonly [string, Want][]): void {
    this.batches++;
    for (const [key, want] of batch) this.flying.set(key, want);
    this.fetch(batch.map(([, { request }]) => request))
      .catch((error: unknown): readonly (Result | Unfinished)[] => {
        const text = error instanceof Error ? error.message : String(error);
        return batch.map(() => ({ error: text }));
      })
      .then((results) => {
        this.batches--;
        batch.forEach(([key, want], i) => {
          this.flying.delete(key);
          const result = results[i] ?? { error: "The kernel's answer left this block out." };
          if (!this.disposed) this.arrived(key, want, result);
        });
        if (this.disposed) return;
        // Not with the next frame: a page out of sight has none, and the kernel should go on.
        this.sendWants();
        this.onArrival();
      });
  }

  private arrived(key: string, want: Want, result: Result | Unfinished): void {
    const slow = this.slow.get(key);
    if (!("part" in result)) {
      if (slow) slow.part = 1;
      this.stopped.delete(key);
      this.remember(key, result);
      return;
    }
    if (!this.used.has(key)) return;
    // What was not even begun had no time in a full message: that says nothing of how long it takes.
    if (result.part > 0 || slow)
      this.slow.set(key, {
        kind: kindOf(want.request),
        part: Math.max(slow?.part ?? 0, result.part),
      });
    if (!this.stopped.has(key)) this.wants.set(key, want);
  }

  private remember(key: string, result: Result): void {
    const size = (r: Result | undefined) => (r && "data" in r ? r.data.byteLength : 0);
    this.bytes += size(result) - size(this.ready.get(key));
    this.ready.delete(key);
    this.ready.set(key, result);
    for (const [old, value] of this.ready) {
      if (this.bytes <= this.budget || old === key) break;
      if (this.used.has(old)) continue;
      this.bytes -= size(value);
      this.ready.delete(old);
      this.tried.delete(old);
    }
  }

  /** The blocks of one stream, as the views read them. */
  view(stream: StreamMeta, sizes: Sized, side?: "a" | "b"): Blocks {
    const name = stream.name;
    const of = side ? { side } : {};
    const matrix = (request: Request, when: When = "now"): Matrix | null => {
      const bytes = request.what === "tile" && request.level === 0 ? 1 << 18 : 1 << 16;
      const result = when === "now" ? this.get(request, bytes) : this.peek(request, when);
      if (!result || "error" in result) return null;
      const [rows = 0, columns = 0] = result.shape.slice(-2);
      return new Matrix(rows, columns, result.data);
    };
    const rows = (what: BlockRequest["what"]) => (layer: number, head: number) =>
      new BandedRows(this, { what, stream: name, layer, head, ...of }, sizes);
    const weights = rows("weights");
    return {
      weights,
      scores: rows("scores"),
      bias: rows("bias"),
      vectors: (what, layer, head) => matrix({ what, stream: name, layer, head }),
      tile: (layer, head, level, [row, column], as, when) =>
        matrix(
          {
            what: "tile",
            stream: name,
            layer,
            head,
            level,
            tile: [row, column],
            ...as,
            ...of,
          },
          when,
        ),
      column: (layer, head, key) => weights(layer, head).column(key),
      lengths: (measure, layer, head) =>
        matrix({ what: "lengths", stream: name, layer, head, measure, ...of })?.row(0) ?? null,
      rollout: (layer) => rows("rollout")(layer, 0),
      overview: (measure, layer, size) => {
        const result = this.get({ what: "overview", stream: name, layer, head: 0, size, measure });
        if (!result || "error" in result) return result;
        const [, rows = 0, columns = 0] = result.shape;
        return { rows, columns, data: result.data };
      },
      mean: (layer, head) => matrix({ what: "mean", stream: name, layer, head })?.row(0) ?? null,
      heads: (request) => {
        // Numbers that take long to make come in a batch of their own, and hold up nothing else.
        const key = requestKey({ ...request, what: "head_scores", stream: name });
        const scores = this.wants.has(key);
        const bytes = request.what === "head_labels" && scores ? 0 : BATCH_BYTES;
        return this.get({ ...request, stream: name }, bytes);
      },
      error: (what, layer, head) => {
        for (const [key, result] of this.ready) {
          if ("error" in result && key.startsWith(`${what}/${name}/${layer}/${head}/`)) {
            return result.error;
          }
        }
        return null;
      },
    };
  }
}

/** One column of a matrix that lies row by row. */
function every(data: Float32Array, column: number, columns: number): Float32Array {
  const found = new Float32Array(data.length / columns);
  for (let row = 0; row < found.length; row++) {
    found[row] = data[row * columns + column] as number;
  }
  return found;
}

class BandedRows implements Rows {
  readonly numQueries: number;
  readonly numKeys: number;
  private message: string | null = null;
  private asked = 0;
  private readonly bands = new Map<number, Float32Array>();

  constructor(
    private readonly store: BlockStore,
    private readonly request: BlockRequest,
    { numQueries, numKeys }: Sized,
  ) {
    this.numQueries = numQueries;
    this.numKeys = numKeys;
  }

  get error(): string | null {
    if (this.message === null) this.row(this.asked);
    return this.message;
  }

  column(key: number): Float32Array | null {
    const { numQueries, numKeys, request } = this;
    if (numQueries <= bandRows(numKeys)) return this.columnOfBand(key);
    const perBand = bandRows(numQueries);
    const start = Math.floor(key / perBand) * perBand;
    const stop = Math.min(numKeys, start + perBand);
    const { what, ...where } = request;
    const as = what === "rollout" ? ({ measure: "rollout" } as const) : {};
    const asked = { ...where, ...as, what: "column" as const, keys: [start, stop] };
    const result = this.store.get(asked, 4 * (stop - start) * numQueries);
    if (!result || "error" in result) return null;
    return every(result.data, key - start, stop - start);
  }

  /** Of a head that came whole: hovering over a small head asks the kernel for nothing. */
  private columnOfBand(key: number): Float32Array | null {
    if (!this.row(0)) return null;
    const band = this.bands.get(0);
    return band ? every(band, key, this.numKeys) : null;
  }

  row(query: number): Float32Array | null {
    this.asked = query;
    const perBand = bandRows(this.numKeys);
    const start = Math.floor(query / perBand) * perBand;
    let band = this.bands.get(start);
    if (!band) {
      const end = Math.min(this.numQueries, start + perBand);
      const bytes = 4 * (end - start) * this.numKeys;
      const result = this.store.get({ ...this.request, queries: [start, end] }, bytes);
      if (!result) return null;
      if ("error" in result) {
        this.message = result.error;
        return null;
      }
      band = result.data;
      this.bands.set(start, band);
    }
    const from = (query - start) * this.numKeys;
    return band.subarray(from, from + this.numKeys);
  }
}
