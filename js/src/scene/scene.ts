// `Scene`, everything that a view draws from.

import type { Aside } from "../data/aside.js";
import type { Blocks } from "../data/blocks.js";
import type { Medium } from "../data/media.js";
import type { Thumbnails } from "../data/thumbnails.js";
import type { Together } from "../data/together.js";
import type { LayerMeta, Meta, Position, StreamMeta, TraceOfView } from "../protocol/generated.js";
import type { Hover, Options } from "../state/interaction.js";
import type { Found } from "../state/search.js";
import type { State } from "../state/selection.js";
import type { Theme } from "../styles/theme.js";
import type { Edited, Moving } from "./edited.js";
import type { GenerationStep } from "./generation-step.js";
import type { Traced } from "./traced.js";

/** What only a figure chooses; on the screen there is none of it. */
export interface FigureDrawing {
  /** For paper, not of a screen: nothing is there to be clicked, and no room is kept for what may come. */
  readonly paper: boolean;
  /** One of several panels, named and explained by what is around it. */
  readonly panel: boolean;
  /** Whether it says what its axes are; the first of several panels says it for all. */
  readonly axes: boolean;
  /** Where the scale of all panels ends when it is not at 1. */
  readonly end?: number | undefined;
  readonly legend: boolean;
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
   * The scene of the record itself, where this one shows words instead of pieces or another measure than
   * weights; null where this one is it. `recordScene` reads it.
   */
  readonly recorded: RecordScene | null;
  /** The numbers of each record where two or more are compared; null where one is shown. */
  readonly sides: readonly Blocks[] | null;
  /** Key positions, of those shown, that are set aside. */
  readonly aside: Aside;
  readonly drawing?: FigureDrawing;
  /** The heads that are one here: the only one of `state.heads` stands for them. */
  readonly together?: Together;
  /** What went wrong in what has been read for the frame, which the page says under the views. Not in figures. */
  readonly failed?: () => string | null;
  /** What the reader looks for, and where it is. Not in figures. */
  readonly found?: Found | null;
  /** What is edited in the model, and what that changes. */
  readonly edited?: Edited | null;
  /** How far the bars of that have come. Not in figures. */
  readonly moving?: Moving | null;
  /** The trace of what is shown, or why there is none. */
  readonly traced?: Traced;
  /** Whether the model can be run under an edit of the reader's. Not in figures. */
  readonly editable?: boolean;
}

/**
 * A scene whose positions, heads and numbers are those of the record. What reads vectors, or names what
 * Python is asked for, takes one of these: another scene is a type error.
 */
export interface RecordScene extends Scene {
  readonly recorded: null;
}

/** The record's own scene behind a scene; `recordScene(scene) === scene` where that is it. */
export function recordScene(scene: Scene): RecordScene {
  return scene.recorded ?? (scene as RecordScene);
}

/** A scene under edits, the record's own behind it too. */
export function withEdits<S extends Scene>(scene: S, edited: Edited | null): S {
  return { ...scene, edited, recorded: scene.recorded && { ...scene.recorded, edited } };
}

/** A scene with its trace, the record's own behind it too. */
export function withTrace<S extends Scene>(scene: S, traced: Traced): S {
  return { ...scene, traced, recorded: scene.recorded && { ...scene.recorded, traced } };
}

/** What is known of a trace of the stream on show; null where nobody asked. */
export function tracedHere({ traced, stream, sides }: Scene): TraceOfView | null {
  const found = traced?.found ?? null;
  return found && !sides && found.stream === stream.name ? found : null;
}

export function onPaper({ drawing }: Scene): boolean {
  return drawing?.paper ?? false;
}

export function hasLegend({ drawing }: Scene): boolean {
  return drawing?.legend ?? true;
}
