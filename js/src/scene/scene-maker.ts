// `SceneMaker`: from the selection to the scene, with thumbnails kept between frames.

import { asideOf } from "../data/aside.js";
import type { Blocks } from "../data/blocks.js";
import { drawnThumbnails } from "../data/derived-thumbnails.js";
import { LaterThumbnails } from "../data/lazy-thumbnails.js";
import { type Medium, readMedia } from "../data/media.js";
import { findStream } from "../data/meta.js";
import { sideOf } from "../data/sides.js";
import type { BlockStore } from "../data/store.js";
import { streamBlocks } from "../data/stream-blocks.js";
import { isText } from "../data/text-pieces.js";
import { Thumbnails } from "../data/thumbnails.js";
import { scaleEnd } from "../marks/matrix/shading.js";
import type { Meta, Position, StreamMeta } from "../protocol/generated.js";
import { groupingOf } from "../state/groups.js";
import type { Hover, Options } from "../state/interaction.js";
import type { State } from "../state/selection.js";
import { clampTo } from "../state/signals.js";
import { themes } from "../styles/theme.js";
import { blocksAtStep, generationStepOf, isThere, stateAtStep } from "./generation-step.js";
import { groupFilter } from "./groups.js";
import {
  type Lens,
  lensBlocks,
  lensOf,
  recordHover,
  shownState,
  shownStep,
  wordBlocks,
} from "./lens.js";
import type { RecordScene, Scene } from "./scene.js";

/** What is drawn in a stream: lines, where there is no picture or sound to draw over, no text to read, no groups, no vectors, or several records to trace. */
function formFor(
  form: State["form"],
  { grouped, vectors, compared }: Readonly<Record<"grouped" | "vectors" | "compared", boolean>>,
  ...axes: readonly (readonly Position[])[]
): State["form"] {
  if (form === "groups" || form === "profile") return grouped ? form : "lines";
  if (form === "geometry") return vectors ? form : "lines";
  if (form === "trace") return compared ? "lines" : form;
  const over = axes.some((positions) => positions.some(({ medium }) => medium !== undefined));
  if (form === "text" && !axes.some(isText)) return "lines";
  return form === "image" && !over ? "lines" : form;
}

/** Thumbnails of changes on a scale that ends above the largest of them: on that of weights they would be blank. */
function scaledChanges({ overview, layers }: StreamMeta, bytes: Uint8Array) {
  const heads = layers.reduce((sum, { num_heads }) => sum + num_heads, 0);
  const [start, size] = [overview.offset, heads * overview.rows * overview.columns];
  let most = 0;
  for (let i = start; i < start + size; i++) most = Math.max(most, bytes[i] as number);
  const end = Math.min(1, scaleEnd((most / 255) ** 2));
  const scaled = Uint8Array.from(bytes);
  for (let i = start; i < start + size; i++) {
    scaled[i] = Math.min(255, Math.round((bytes[i] as number) / Math.sqrt(end)));
  }
  return { bytes: scaled, end };
}

/** Assembles the scene the views draw from; keeps what is costly to make (thumbnails by stream). */
export class SceneMaker {
  private readonly thumbnails = new Map<StreamMeta, Thumbnails>();
  private readonly later = new Map<StreamMeta, LaterThumbnails>();
  private readonly sinks = new Map<StreamMeta, StreamMeta>();
  private readonly masked = new WeakMap<Thumbnails, { id: string; thumbnails: Thumbnails }>();
  private readonly versions = new WeakMap<Thumbnails, number>();
  private readonly media: readonly Medium[];
  private readonly lenses = new Map<string, Lens | null>();
  private readonly pictures = new Map<Lens, ReturnType<typeof drawnThumbnails>>();

  constructor(
    readonly meta: Meta,
    private readonly overview: Uint8Array,
    readonly store: BlockStore,
    media: Uint8Array,
    /** Whether one frame is all that is drawn: then it waits for all it looks at. */
    private readonly once = false,
  ) {
    this.media = readMedia(meta.media, media);
  }

  make(state: State, hover: Hover | null, options: Options, dark: boolean): Scene {
    // Between two messages the traits may disagree for a moment; a drawing never should.
    const valid = clampTo(this.meta, state);
    const stream = findStream(this.meta, valid.stream);
    const layer = stream.layers.find((l) => l.layer === valid.layer);
    if (!layer) throw new Error(`Stream ${stream.name} has no layer ${valid.layer}.`);
    const queries = this.meta.positions[stream.query_positions] ?? [];
    const keys = this.meta.positions[stream.key_positions] ?? [];
    const generationStep = generationStepOf(this.meta, stream, valid.step);
    const lens = this.lens(valid);
    const shown = generationStep ? generationStep.numQueries : queries.length;
    const thumbnails = this.thumbnailsOf(stream, shown, queries.length, valid);
    const sink = this.later.get(stream)?.sink;
    const sizes = { numQueries: queries.length, numKeys: keys.length };
    const sides =
      this.meta.comparison?.names.map((_, n) =>
        streamBlocks(this.store, stream, sizes, sideOf(n)),
      ) ?? null;
    const blocks = sides?.at(-1) ?? streamBlocks(this.store, stream, sizes);
    const grouped = groupingOf(stream, valid.grouping) !== null;
    // Two records have no plane that both share.
    const vectors = layer.has_vectors && !sides;
    const record: RecordScene = {
      meta: this.meta,
      stream: sink ? this.withSink(stream, sink) : stream,
      layer,
      queries,
      keys,
      state: {
        ...stateAtStep(valid, generationStep),
        form: formFor(valid.form, { grouped, vectors, compared: !!sides }, queries, keys),
      },
      generationStep,
      hover: hover && isThere(generationStep, recordHover(lens, hover)) ? hover : null,
      options,
      blocks: blocksAtStep(blocks, generationStep),
      thumbnails,
      media: this.media,
      theme: themes[dark ? "dark" : "light"],
      recorded: null,
      aside: asideOf(keys, valid.aside),
      sides,
      ...(this.once ? {} : { failed: () => this.store.failed }),
    };
    return this.filtered(lens ? this.through(lens, record, blocks) : record);
  }

  /** Thumbnails of nothing but the groups that links are drawn between. */
  private filtered(scene: Scene): Scene {
    const filter = groupFilter(scene);
    if (!filter) return scene;
    const { thumbnails: whole, queries, keys } = scene;
    let masked = this.masked.get(whole);
    if (masked?.id !== filter.id) {
      const at = (part: number, count: number) => Math.min(count - 1, Math.floor(part * count));
      const thumbnails = whole.masked(
        (part) => filter.query(at(part, queries.length)),
        (part) => filter.key(at(part, keys.length)),
      );
      masked = { id: filter.id, thumbnails };
      this.masked.set(whole, masked);
    }
    return { ...scene, thumbnails: masked.thumbnails };
  }

  /** After a frame: ask for the thumbnails that it lacked. */
  end({ stream, layer }: Scene): void {
    const recorded = findStream(this.meta, stream.name);
    this.later.get(recorded)?.end(layer.layer);
  }

  private thumbnailsOf(
    stream: StreamMeta,
    shown: number,
    of: number,
    { view, form }: State,
  ): Thumbnails {
    let later = this.later.get(stream) ?? null;
    if (stream.overview.later && !later) {
      later = new LaterThumbnails(stream, this.store, this.once);
      this.later.set(stream, later);
    }
    later?.begin(`${view}/${form}`);
    const version = later?.version ?? 0;
    const known = this.thumbnails.get(stream);
    if (known?.numQueries === shown && this.versions.get(known) === version) return known;
    const bytes = later?.bytes ?? this.overview;
    const progress = later && !this.once ? later.progress : null;
    const changes = this.meta.comparison ? scaledChanges(stream, bytes) : null;
    const about = { scale: changes?.end ?? 1, notes: [], progress };
    const made = new Thumbnails(stream, changes?.bytes ?? bytes, shown, of, about, later);
    this.thumbnails.set(stream, made);
    this.versions.set(made, version);
    return made;
  }

  private withSink(stream: StreamMeta, sink: { share: number }): StreamMeta {
    const known = this.sinks.get(stream) ?? { ...stream, sink };
    this.sinks.set(stream, known);
    return known;
  }

  /** How a selection looks at the record; null where it shows it as it is. */
  lens(state: State): Lens | null {
    const stream = findStream(this.meta, state.stream);
    const { positions, measure } = state;
    const id = `${stream.name} ${positions} ${measure}`;
    let lens = this.lenses.get(id);
    if (lens === undefined) {
      const queries = this.meta.positions[stream.query_positions] ?? [];
      const keys = this.meta.positions[stream.key_positions] ?? [];
      lens = lensOf(stream, { queries, keys }, state);
      this.lenses.set(id, lens);
    }
    return lens;
  }

  private through(lens: Lens, record: RecordScene, blocks: Blocks): Scene {
    const { stream } = lens;
    const layer = stream.layers.find((each) => each.layer === record.layer.layer) ?? record.layer;
    const queries = lens.queries?.positions ?? record.queries;
    const keys = lens.keys?.positions ?? record.keys;
    const generationStep = shownStep(lens, record.generationStep);
    const count = generationStep?.numQueries ?? queries.length;
    const there = record.generationStep?.numQueries ?? record.queries.length;
    const measured = lensBlocks(lens, blocks, there);
    const staged = blocksAtStep(measured, record.generationStep);
    const sizes = { queries: queries.length, keys: keys.length, shown: count };
    const { sink } = record.stream;
    return {
      ...record,
      stream: sink ? this.withSink(stream, sink) : stream,
      layer,
      queries,
      keys,
      generationStep,
      state: shownState(lens, record.state),
      hover: record.hover,
      blocks: wordBlocks(lens, staged, count),
      aside: asideOf(record.keys, record.state.aside, lens.keys),
      sides: record.sides?.map((side) => lensBlocks(lens, side, there)) ?? null,
      thumbnails: this.drawsThumbnails(record.state)
        ? this.drawn(lens, record.thumbnails, blocks, sizes)
        : record.thumbnails,
      recorded: { ...record, hover: recordHover(lens, record.hover) },
    };
  }

  /** Whether thumbnails are drawn: a page shows them sooner or later, a figure where its view does. */
  private drawsThumbnails({ view }: State): boolean {
    return !this.once || view === "all" || view === "model";
  }

  /** Thumbnails through a lens, made anew when more of them have come. */
  private drawn(
    lens: Lens,
    recorded: Thumbnails,
    blocks: Blocks,
    sizes: { readonly queries: number; readonly keys: number; readonly shown: number },
  ): Thumbnails {
    const known = this.pictures.get(lens);
    if (known?.waiting === 0 && known.thumbnails.numQueries === sizes.shown)
      return known.thumbnails;
    const made = drawnThumbnails(recorded, lens, blocks, sizes);
    if (known?.waiting === made.waiting && known.thumbnails.numQueries === sizes.shown) {
      return known.thumbnails;
    }
    this.pictures.set(lens, made);
    return made.thumbnails;
  }
}
