// Cache of decoded blocks within a budget of bytes; the least recently read goes first.

import type { BlockResult } from "./blocks.js";

const sizeOf = (result: BlockResult | undefined) =>
  result && "data" in result ? result.data.byteLength : 0;

/** Blocks by key within a budget of bytes; what was read longest ago goes first. */
export class BlockCache {
  /** In order of use. */
  private readonly results = new Map<string, BlockResult>();
  private bytes = 0;

  constructor(private readonly budget: number) {}

  has(key: string): boolean {
    return this.results.has(key);
  }

  /** The block as it is, which leaves its turn as it was. */
  peek(key: string): BlockResult | null {
    return this.results.get(key) ?? null;
  }

  /** The block, which is now the one read last. */
  get(key: string): BlockResult | null {
    const known = this.results.get(key);
    if (!known) return null;
    // Reinserting keeps the map in order of use: the budget evicts from the front.
    this.results.delete(key);
    this.results.set(key, known);
    return known;
  }

  /** Keep a block; which others had to go for it, none of them in use. */
  put(key: string, result: BlockResult, used: { has(key: string): boolean }): readonly string[] {
    this.bytes += sizeOf(result) - sizeOf(this.results.get(key));
    this.results.delete(key);
    this.results.set(key, result);
    const gone: string[] = [];
    for (const [old, value] of this.results) {
      if (this.bytes <= this.budget || old === key) break;
      if (used.has(old)) continue;
      this.bytes -= sizeOf(value);
      this.results.delete(old);
      gone.push(old);
    }
    return gone;
  }

  /** Why one of the blocks whose keys begin so cannot be had; null when nothing went wrong. */
  errorUnder(prefix: string): string | null {
    for (const [key, result] of this.results)
      if ("error" in result && key.startsWith(prefix)) return result.error;
    return null;
  }

  forgetErrors(): void {
    for (const [key, result] of this.results) if ("error" in result) this.results.delete(key);
  }

  clear(): void {
    this.results.clear();
    this.bytes = 0;
  }
}
