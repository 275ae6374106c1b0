import { type Medium, readMedia } from "../data/media.js";
import type { BlockStore } from "../data/store.js";
import { Thumbnails } from "../data/thumbnails.js";
import type { Meta, Position, StreamMeta } from "../protocol/generated.js";
import { themes } from "../styles/theme.js";
import type { Hover, Options, Scene } from "../views/view.js";
import type { State } from "./selection.js";
import { isThere, stagedBlocks, stagedState, stageOf } from "./stage.js";
import { clampTo, findStream } from "./state.js";

/** What is drawn in a stream: lines, where there is no picture or sound to draw over. */
function formFor(form: State["form"], ...axes: readonly (readonly Position[])[]): State["form"] {
  const over = axes.some((positions) => positions.some(({ medium }) => medium !== undefined));
  return form === "image" && !over ? "lines" : form;
}

/** Assembles the scene the views draw from; keeps what is costly to make (thumbnails by stream). */
export class SceneMaker {
  private readonly thumbnails = new Map<StreamMeta, Thumbnails>();
  private readonly media: readonly Medium[];

  constructor(
    readonly meta: Meta,
    private readonly overview: Uint8Array,
    readonly store: BlockStore,
    media: Uint8Array,
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
    const stage = stageOf(this.meta, stream, valid.step);
    const shown = stage ? stage.numQueries : queries.length;
    let thumbnails = this.thumbnails.get(stream);
    if (thumbnails?.numQueries !== shown) {
      thumbnails = new Thumbnails(stream, this.overview, shown, queries.length);
      this.thumbnails.set(stream, thumbnails);
    }
    const blocks = this.store.view(stream, { numQueries: queries.length, numKeys: keys.length });
    return {
      meta: this.meta,
      stream,
      layer,
      queries,
      keys,
      state: { ...stagedState(valid, stage), form: formFor(valid.form, queries, keys) },
      stage,
      hover: hover && isThere(stage, hover) ? hover : null,
      options,
      blocks: stagedBlocks(blocks, queries.length, stage),
      thumbnails,
      media: this.media,
      theme: themes[dark ? "dark" : "light"],
    };
  }
}
