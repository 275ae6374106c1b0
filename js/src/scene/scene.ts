import type { Blocks } from "../data/blocks.js";
import type { Medium } from "../data/media.js";
import type { Thumbnails } from "../data/thumbnails.js";
import type { LayerMeta, Meta, Position, StreamMeta } from "../protocol/generated.js";
import type { Hover, Options } from "../state/interaction.js";
import type { Found } from "../state/search.js";
import type { State } from "../state/selection.js";
import type { Theme } from "../styles/theme.js";
import type { GenerationStep } from "./generation-step.js";

/** What only a figure chooses; on the screen there is none of it. */
export interface Drawing {
  /** For paper, not of a screen: nothing is there to be clicked, and no room is kept for what may come. */
  readonly paper: boolean;
  /** One of several panels, named and explained by what is around it. */
  readonly panel: boolean;
  /** Where the scale of all panels ends when it is not at 1. */
  readonly end?: number | undefined;
  readonly legend: boolean;
  /** Of each query, only this many of its strongest links are drawn. */
  readonly topK: number | null;
  /** Links of less weight are not drawn. */
  readonly threshold: number;
  readonly horizontal: boolean;
  readonly rightToLeft: boolean;
}

/** Everything a view may look at: plain values, read at the moment of drawing. */
export interface Scene {
  readonly meta: Meta;
  readonly stream: StreamMeta;
  /** The selected layer's entry; `stream.layers` is in the model's order and numbers may have gaps. */
  readonly layer: LayerMeta;
  readonly queries: readonly Position[];
  readonly keys: readonly Position[];
  readonly state: State;
  /** Null where everything is shown. */
  readonly generationStep: GenerationStep | null;
  readonly hover: Hover | null;
  readonly options: Options;
  readonly blocks: Blocks;
  readonly thumbnails: Thumbnails;
  /** The pictures and sounds that positions lie in. */
  readonly media: readonly Medium[];
  readonly theme: Theme;
  /**
   * The record as it is, where this shows words instead of pieces or another measure than weights;
   * null where this is the record as it is.
   */
  readonly plain: Scene | null;
  /** The numbers of either record where two are compared; null where one is shown. */
  readonly sides: { readonly a: Blocks; readonly b: Blocks } | null;
  readonly drawing?: Drawing;
  /** What the reader looks for, and where it is. Not in figures. */
  readonly found?: Found | null;
}

export function onPaper({ drawing }: Scene): boolean {
  return drawing?.paper ?? false;
}

export function hasLegend({ drawing }: Scene): boolean {
  return drawing?.legend ?? true;
}
