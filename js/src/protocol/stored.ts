import type { Result } from "../data/blocks.js";
import { requestKey } from "../data/store.js";
import { type Decoded, decodeBase64, decodeBlock } from "./decode.js";
import type { Block, BlockRequest, Request, Snapshot } from "./generated.js";

/** Blocks that were decoded last: several requests of a frame are answered from the same one. */
const KEPT = 4;

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
  async get(request: Request): Promise<Result | null> {
    const block = this.blocks.get(requestKey(request));
    if (block) return this.decode(block);
    if (!("layer" in request)) return null;
    if (request.queries) return this.rows(request);
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
  private async rows(request: BlockRequest): Promise<Result | null> {
    const [start = 0, stop = 0] = request.queries ?? [];
    const bands = this.bands.get(rowsKey(request)) ?? [];
    const band = bands.find((each) => each.start <= start && stop <= each.stop);
    return band
      ? slice(await this.decode(band.block), start - band.start, stop - band.start)
      : null;
  }

  /** A column of a head, or the mean of its rows: both are read from all rows. */
  private async summed(request: BlockRequest): Promise<Result | null> {
    const { what, stream, layer, head, side, keys: [first = 0, last = 0] = [] } = request;
    const of = side ? { side } : {};
    const asked = { what: "weights", stream, layer, head, ...of } as const;
    const bands = [...(this.bands.get(rowsKey(asked)) ?? [])].sort((a, b) => a.start - b.start);
    const parts: Decoded[] = [];
    let queries = 0;
    for (const { start, stop, block } of bands) {
      if (start !== queries) return null;
      queries = stop;
      parts.push(await this.decode(block));
    }
    const [one] = parts;
    if (!one) return null;
    const numKeys = one.shape.at(-1) ?? 0;
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
