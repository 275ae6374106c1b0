// `BlockStore`: reads, wants, batches and fetching ahead of blocks, with their progress.

import type { Request } from "../protocol/generated.js";
import type { BlockResult, Unfinished, When } from "./blocks.js";
import { BlockCache } from "./cache.js";
import { type Kind, kindOf, READ, requestKey } from "./requests.js";

export type { BlockResult, Unfinished } from "./blocks.js";

/** How blocks are had: from a live kernel, from a snapshot, or not at all (a list of wants). */
export type Fetch = (
  requests: readonly Request[],
) => Promise<readonly (BlockResult | Unfinished)[]>;

/** Batches under way at once: one being computed, one on the wire. */
const IN_FLIGHT = 2;
/** Answers of about so many bytes together travel in one batch. */
export const BATCH_BYTES = 6 << 20;
/** Tiles around a window that are fetched ahead at a time: what is wanted next should not wait long. */
const MOST_AHEAD = 8;

interface Want {
  readonly request: Request;
  /** About how large the answer will be. */
  readonly bytes: number;
}

/** Milliseconds between two frames that only say how far what takes long has come. */
const PROGRESS_EVERY = 250;

/** How far what takes long has come. */
export interface Progress {
  readonly part: number;
  /** Nobody asks for the rest until the reader does. */
  readonly stopped: boolean;
}

/**
 * Blocks by request: a cache with a byte budget, and the wants of the present frame. Whoever draws
 * reads blocks; what is missing becomes a want; `flush` sends the wants of that frame and forgets
 * them, so that a request nobody wants any more is never sent. What takes the kernel long comes in
 * slices, and is asked for again as long as the last frame wanted it.
 */
export class BlockStore {
  private readonly ready: BlockCache;
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
  private batches = 0;
  private disposed = false;
  private told = Number.NEGATIVE_INFINITY;
  private telling: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly fetch: Fetch,
    private readonly onArrival: () => void,
    budget = 64 << 20,
  ) {
    this.ready = new BlockCache(budget);
  }

  /** What went wrong in what the frame shows; what was only fetched ahead does not count. */
  get failed(): string | null {
    for (const key of this.used.keys()) {
      const result = this.ready.peek(key);
      if (result && "error" in result) return result.error;
    }
    return null;
  }

  /** Whether weights that the frame shows came in shades: the numbers beside them are rounded. */
  get rounded(): boolean {
    for (const key of this.used.keys()) {
      const result = this.ready.peek(key);
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

  put(request: Request, result: BlockResult): void {
    this.remember(requestKey(request), result);
  }

  /** The block, or null while it is not here; asking makes it wanted. */
  get(request: Request, bytes = 1 << 16): BlockResult | null {
    const key = requestKey(request);
    this.used.set(key, request);
    const known = this.ready.get(key);
    if (known) return known;
    if (!this.flying.has(key) && !this.stopped.has(key)) this.wants.set(key, { request, bytes });
    return null;
  }

  /** The block if it is here: nothing waits for it. */
  peek(request: Request, when: When = "here"): BlockResult | null {
    const key = requestKey(request);
    const known = this.ready.peek(key);
    // What only could have been shown is no failure of what is.
    const failed = known !== null && "error" in known && when === "later";
    if (known && !failed) this.used.set(key, request);
    else if (known) return known;
    else if (when === "later" && !this.flying.has(key)) this.later.set(key, request);
    return known;
  }

  /** Whether the present frame wants a block that is neither here nor on its way. */
  wanted(request: Request): boolean {
    return this.wants.has(requestKey(request));
  }

  /** Why one of the blocks whose keys begin so cannot be had; null when nothing went wrong. */
  errorUnder(prefix: string): string | null {
    return this.ready.errorUnder(prefix);
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
    this.ready.forgetErrors();
    this.onArrival();
  }

  dispose(): void {
    this.disposed = true;
    if (this.telling !== undefined) clearTimeout(this.telling);
    this.ready.clear();
    this.wants.clear();
  }

  private send(batch: readonly [string, Want][]): void {
    this.batches++;
    for (const [key, want] of batch) this.flying.set(key, want);
    this.fetch(batch.map(([, { request }]) => request))
      .catch((error: unknown): readonly (BlockResult | Unfinished)[] => {
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
        const unfinished = batch.every((_, i) => results[i] && "part" in results[i]);
        if (unfinished) this.tellSoon();
        else this.tell();
      });
  }

  private tell(): void {
    if (this.telling !== undefined) clearTimeout(this.telling);
    this.telling = undefined;
    this.told = Date.now();
    this.onArrival();
  }

  /** Not at once where only progress came: a frame of many thumbnails takes about as long as the kernel's slice. */
  private tellSoon(): void {
    const wait = this.told + PROGRESS_EVERY - Date.now();
    if (wait <= 0) this.tell();
    else this.telling ??= setTimeout(() => this.tell(), wait);
  }

  private arrived(key: string, want: Want, result: BlockResult | Unfinished): void {
    const slow = this.slow.get(key);
    if (!("part" in result)) {
      if (slow) slow.part = 1;
      this.stopped.delete(key);
      this.remember(key, result);
      return;
    }
    if (!this.used.has(key)) {
      // Slice by slice, each when nothing else is going on, as long as a frame would show them.
      if (this.later.has(key) && kindOf(want.request) === "heads") this.tried.delete(key);
      return;
    }
    // What was not even begun had no time in a full message: that says nothing of how long it takes.
    if (result.part > 0 || slow)
      this.slow.set(key, {
        kind: kindOf(want.request),
        part: Math.max(slow?.part ?? 0, result.part),
      });
    if (!this.stopped.has(key)) this.wants.set(key, want);
  }

  private remember(key: string, result: BlockResult): void {
    for (const gone of this.ready.put(key, result, this.used)) this.tried.delete(gone);
  }
}
