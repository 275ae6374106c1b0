// `StoredBlocks`, the blocks of a saved page, and what can be computed from them.

import type { BlockResult } from "../data/blocks.js";
import { requestKey } from "../data/requests.js";
import { poolTile, type Span, tileSpan } from "../data/tiles.js";
import { combined } from "../data/together.js";
import { WEIGHTED_MEASURES } from "../protocol/constants.js";
import { type Decoded, decodeBase64, decodeBlock } from "../protocol/decode.js";
import type { Block, BlockRequest, Request, Snapshot } from "../protocol/generated.js";

/** Blocks that were decoded last: several requests of a frame are answered from the same one. */
const KEPT = 64;

interface Band {
  readonly start: number;
  readonly stop: number;
  readonly block: Block;
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The same head's rows, wherever they begin and end. */
const rowsKey = (request: BlockRequest) => requestKey({ ...request, queries: [0, 0] });

function slice({ shape, data, rounded }: Decoded, from: number, to: number): Decoded {
  const [heads = 1, , columns = 0] = shape;
  const part = data.subarray(from * columns, to * columns);
  return { shape: [heads, to - from, columns], data: part, ...(rounded ? { rounded } : {}) };
}

/** What a saved copy holds: blocks as they were asked for, and what can be read from a head's rows. */
export class StoredBlocks {
  private readonly blocks = new Map<string, Block>();
  private readonly bands = new Map<string, Band[]>();
  private readonly decoded = new Map<Block, Promise<Decoded>>();

  constructor({ blocks }: Pick<Snapshot, "blocks">) {
    for (const { request, block } of blocks) {
      if (block.data === undefined) continue;
      this.blocks.set(requestKey(request), block);
      if (!("layer" in request) || !request.queries) continue;
      const [start = 0, stop = 0] = request.queries;
      const key = rowsKey(request);
      this.bands.set(key, [...(this.bands.get(key) ?? []), { start, stop, block }]);
    }
  }

  /** The block, or null where it is not in the copy. */
  async get(request: Request): Promise<BlockResult | null> {
    const block = this.blocks.get(requestKey(request));
    if (block) return this.decode(block);
    if (!("layer" in request)) return null;
    if (request.queries) return this.rows(request);
    if (request.what === "tile") return this.tile(request);
    if (request.what === "column" || request.what === "mean") return this.summed(request);
    return null;
  }

  private decode(block: Block): Promise<Decoded> {
    const known = this.decoded.get(block);
    if (known) return known;
    const read = async () => {
      const bytes = decodeBase64(block.data ?? "");
      return decodeBlock(block, block.deflated ? await inflate(bytes) : bytes);
    };
    const made = read();
    this.decoded.set(block, made);
    for (const oldest of this.decoded.keys()) {
      if (this.decoded.size > KEPT) this.decoded.delete(oldest);
    }
    return made;
  }

  /** Some rows of a larger band. */
  private async rows(request: BlockRequest): Promise<BlockResult | null> {
    const [start = 0, stop = 0] = request.queries ?? [];
    const bands = this.bands.get(rowsKey(request)) ?? [];
    const band = bands.find((each) => each.start <= start && stop <= each.stop);
    return band
      ? slice(await this.decode(band.block), start - band.start, stop - band.start)
      : null;
  }

  /** A head's bands in the order of their rows, or some of them; null where one is missing. */
  private async rowsOf(request: BlockRequest, [top, bottom]: Span = [0, Number.POSITIVE_INFINITY]) {
    const all = [...(this.bands.get(rowsKey(request)) ?? [])].sort((a, b) => a.start - b.start);
    const rows = all.at(-1)?.stop ?? 0;
    if (all.some(({ start }, n) => start !== (all[n - 1]?.stop ?? 0))) return null;
    const parts: (Decoded & { readonly start: number; readonly stop: number })[] = [];
    for (const { start, stop, block } of all) {
      if (stop > top && start < bottom) parts.push({ ...(await this.decode(block)), start, stop });
    }
    const [one] = parts;
    return one ? { parts, rows, columns: one.shape.at(-1) ?? 0, one } : null;
  }

  /** A tile of a head's map, or of several heads as one, as the kernel would make it of these rows. */
  private async tile(request: BlockRequest): Promise<BlockResult | null> {
    const { level = 0, tile: place, positions, together, head } = request;
    // Pieces are put together to words by the kernel, or where all rows are here.
    if (!place || positions) return null;
    const [down = 0, across = 0] = place;
    const span = tileSpan(down, level, Number.POSITIVE_INFINITY);
    const found: NonNullable<Awaited<ReturnType<StoredBlocks["drawnRows"]>>>[] = [];
    for (const each of together?.heads ?? [head]) {
      const rows = await this.drawnRows(request, each, span);
      if (!rows) return null;
      found.push(rows);
    }
    const [first] = found;
    if (!first) return null;
    const row = (query: number) => {
      const all = found.flatMap((each) => each.row(query) ?? []);
      if (all.length < found.length) return null;
      return together ? combined(all, together.how) : (all[0] ?? null);
    };
    const { rows, columns } = first;
    const made = poolTile({ rows, columns, row }, level, [down, across]);
    if (!made) return null;
    const rounded = found.some((each) => each.rounded);
    const shape = [made.rows, made.columns];
    return { shape, data: made.data, ...(rounded ? { rounded } : {}) };
  }

  /** Rows of one head as they are drawn, under the measure of a request. */
  private async drawnRows(request: BlockRequest, head: number, span: Span) {
    const { stream, layer, side, measure } = request;
    const of = { stream, layer, head, ...(side ? { side } : {}) };
    const what = measure === "rollout" ? measure : ("weights" as const);
    const found = await this.rowsOf({ ...of, what }, span);
    if (!found) return null;
    const { parts, rows, columns, one } = found;
    const weighted = WEIGHTED_MEASURES.find((each) => each === measure);
    const lengths = weighted ? await this.get({ ...of, what: "lengths", measure: weighted }) : null;
    if (weighted && (!lengths || "error" in lengths)) return null;
    const row = (query: number) => {
      const part = parts.find(({ start, stop }) => start <= query && query < stop);
      const from = (query - (part?.start ?? 0)) * columns;
      const weights = part?.data.subarray(from, from + columns) ?? null;
      if (!weights || !lengths || "error" in lengths) return weights;
      return weights.map((weight, key) => weight * (lengths.data[key] as number));
    };
    return { rows, columns, row, rounded: one.rounded ?? false };
  }

  /** A column of a head, or the mean of its rows: both are read from all rows. */
  private async summed(request: BlockRequest): Promise<BlockResult | null> {
    const { what, stream, layer, head, side, measure, keys: [first = 0, last = 0] = [] } = request;
    const of = side ? { side } : {};
    const rows = measure === "rollout" ? measure : "weights";
    const asked = { what: rows, stream, layer, head, ...of } as const;
    const found = await this.rowsOf(asked);
    if (!found) return null;
    const { parts, one, rows: queries, columns: numKeys } = found;
    const wide = what === "mean" ? numKeys : last - first;
    const data = new Float32Array(what === "mean" ? wide : queries * wide);
    let query = 0;
    for (const part of parts) {
      for (let from = 0; from < part.data.length; from += numKeys, query++) {
        const row = part.data.subarray(from, from + numKeys);
        if (what === "column") data.set(row.subarray(first, last), query * wide);
        else for (let key = 0; key < wide; key++) data[key] = (data[key] ?? 0) + (row[key] ?? 0);
      }
    }
    if (what === "mean")
      for (let key = 0; key < wide; key++) data[key] = (data[key] ?? 0) / queries;
    const shape = what === "mean" ? [1, wide] : [queries, wide];
    return { shape, data, ...(one.rounded ? { rounded: true } : {}) };
  }
}
