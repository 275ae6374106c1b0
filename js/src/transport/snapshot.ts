// `StoredBlocks`, the blocks of a saved page, and what can be computed from them.

import type { BlockResult } from "../data/blocks.js";
import { requestKey } from "../data/requests.js";
import { poolTile, type Span, tileSpan } from "../data/tiles.js";
import { combined, headsOf } from "../data/together.js";
import { WEIGHTED_MEASURES } from "../protocol/constants.js";
import { type Decoded, decodeBase64, decodeBlock } from "../protocol/decode.js";
import type {
  Block,
  BlockRequest,
  HeadRef,
  Request,
  Snapshot,
  TogetherHeads,
} from "../protocol/generated.js";
import { type DrawnRows, readRows, togetherParts } from "./stored-together.js";

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

/** A head's bands, from the first to the last. */
interface Bands {
  readonly parts: readonly (Decoded & { readonly start: number; readonly stop: number })[];
  readonly rows: number;
  readonly columns: number;
  readonly rounded: boolean;
}

/** Rows of a head out of its bands, each weight times what its key brings along. */
function drawn({ parts, rows, columns, rounded }: Bands, lengths: Float32Array | null): DrawnRows {
  const row = (query: number) => {
    const part = parts.find(({ start, stop }) => start <= query && query < stop);
    const from = (query - (part?.start ?? 0)) * columns;
    const weights = part?.data.subarray(from, from + columns) ?? null;
    if (!weights || !lengths) return weights;
    return weights.map((weight, key) => weight * (lengths[key] as number));
  };
  return { rows, columns, row, rounded };
}

/** Which rows a measure is made of. */
function rowsWhat(measure: BlockRequest["measure"]) {
  if (measure === "rollout") return measure;
  return measure === "gradient" || measure === "relevance" ? "gradient" : "weights";
}

/** Relevance is the positive part of weights times gradients. */
function positivePart(rows: DrawnRows): DrawnRows {
  const row = (query: number) => rows.row(query)?.map((value) => Math.max(0, value)) ?? null;
  return { ...rows, row };
}

/** From the first row that an answer is read from to the last; undefined where that is all of them. */
function spanOf({ queries, between }: BlockRequest): Span | undefined {
  const runs = queries ? [queries] : between?.queries;
  if (!runs?.length) return undefined;
  const ends = runs.flat();
  return [Math.min(...ends), Math.max(...ends)];
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
    if (request.together && request.what !== "tile") return this.together(request);
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
  private async rowsOf(
    request: BlockRequest,
    [top, bottom]: Span = [0, Number.POSITIVE_INFINITY],
  ): Promise<Bands | null> {
    const all = [...(this.bands.get(rowsKey(request)) ?? [])].sort((a, b) => a.start - b.start);
    const rows = all.at(-1)?.stop ?? 0;
    if (all.some(({ start }, n) => start !== (all[n - 1]?.stop ?? 0))) return null;
    const parts: (Decoded & { readonly start: number; readonly stop: number })[] = [];
    for (const { start, stop, block } of all) {
      if (stop > top && start < bottom) parts.push({ ...(await this.decode(block)), start, stop });
    }
    const [one] = parts;
    if (!one) return null;
    return { parts, rows, columns: one.shape.at(-1) ?? 0, rounded: one.rounded ?? false };
  }

  /** A tile of a head's map, or of several heads as one, as the kernel would make it of these rows. */
  private async tile(request: BlockRequest): Promise<BlockResult | null> {
    const { level = 0, tile: place, positions, together } = request;
    // Pieces are put together to words by the kernel, or where all rows are here.
    if (!place || positions) return null;
    const [down = 0, across = 0] = place;
    const span = tileSpan(down, level, Number.POSITIVE_INFINITY);
    const found = together
      ? await this.asOne(request, together, span)
      : await this.drawnRows(request, [request.layer, request.head], span);
    const made = found && poolTile(found, level, [down, across]);
    if (!made) return null;
    const shape = [made.rows, made.columns];
    return { shape, data: made.data, ...(found?.rounded ? { rounded: true } : {}) };
  }

  /** What is asked of several heads as one: from their rows, which a copy may hold as one head or each by itself. */
  private async together(request: BlockRequest): Promise<BlockResult | null> {
    const { what, together, positions } = request;
    if (!together) return null;
    if (what === "weights") {
      const stored = await this.rows(request);
      if (stored) return stored;
    }
    // Between words only what is here as it was asked for.
    if (positions) return null;
    const span = spanOf(request);
    if (what === "together_shares") {
      const heads = await this.rowsOfHeads(request, together, span);
      return heads && togetherParts(heads, request);
    }
    const found = await this.asOne(request, together, span);
    return found && readRows(found, request);
  }

  /** Rows of several heads as one, as they are drawn. */
  private async asOne(
    request: BlockRequest,
    together: TogetherHeads,
    span?: Span,
  ): Promise<DrawnRows | null> {
    const { stream, layer, head, measure } = request;
    const as = measure ? { measure } : {};
    const stored = await this.rowsOf(
      { what: "weights", stream, layer, head, together, ...as },
      span,
    );
    if (stored) return drawn(stored, null);
    const found = await this.rowsOfHeads(request, together, span);
    const [first] = found ?? [];
    if (!found || !first) return null;
    const row = (query: number) => {
      const all = found.flatMap((each) => each.row(query) ?? []);
      return all.length < found.length ? null : combined(all, together.how);
    };
    return { ...first, row, rounded: found.some((each) => each.rounded) };
  }

  /** The rows of each of several heads, in their order; null where one is missing. */
  private async rowsOfHeads(request: BlockRequest, together: TogetherHeads, span?: Span) {
    const found: DrawnRows[] = [];
    for (const ref of headsOf(together, request.layer)) {
      const rows = await this.drawnRows(request, ref, span);
      if (!rows) return null;
      found.push(rows);
    }
    return found;
  }

  /** Rows of one head as they are drawn, under the measure of a request. */
  private async drawnRows(
    { stream, side, measure }: BlockRequest,
    [layer, head]: HeadRef,
    span?: Span,
  ): Promise<DrawnRows | null> {
    const of = { stream, layer, head, ...(side ? { side } : {}) };
    const found = await this.rowsOf({ ...of, what: rowsWhat(measure) }, span);
    if (!found) return null;
    if (measure === "relevance") return positivePart(drawn(found, null));
    const weighted = WEIGHTED_MEASURES.find((each) => each === measure);
    const lengths = weighted ? await this.get({ ...of, what: "lengths", measure: weighted }) : null;
    if (weighted && (!lengths || "error" in lengths)) return null;
    return drawn(found, lengths && !("error" in lengths) ? lengths.data : null);
  }

  /** A column of a head, or the mean of its rows: both are read from all rows. */
  private async summed(request: BlockRequest): Promise<BlockResult | null> {
    const { stream, layer, head, side, measure } = request;
    const of = side ? { side } : {};
    const found = await this.rowsOf({ what: rowsWhat(measure), stream, layer, head, ...of });
    if (!found) return null;
    const rows = drawn(found, null);
    return readRows(measure === "relevance" ? positivePart(rows) : rows, request);
  }
}
