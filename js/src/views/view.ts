import type { Blocks } from "../data/blocks.js";
import type { Medium } from "../data/media.js";
import type { Thumbnails } from "../data/thumbnails.js";
import type { LayerMeta, MapWindow, Meta, Position, StreamMeta } from "../protocol/generated.js";
import type { Found } from "../state/search.js";
import type { State } from "../state/selection.js";
import type { Theme } from "../styles/theme.js";
import type { Rect, Surface } from "../surface/surface.js";
import type { Gesture, Point } from "./map/window.js";

/** What the pointer (or the keyboard focus) is on. Never synchronised with Python. */
export interface Hover {
  /** The view the pointer is in: a view may ignore a hover that it published itself. */
  readonly source:
    | "model"
    | "head"
    | "neuron"
    | "compare"
    | "next"
    | "examples"
    | "keyboard"
    | "toolbar";
  readonly layer?: number;
  readonly head?: number;
  readonly query?: number;
  readonly key?: number;
  /** Element of the query and key vectors. */
  readonly dimension?: number;
  /** An input of a survey, by its index. */
  readonly example?: number;
  /** Pointer in the view's frame, for a card that follows it. */
  readonly x?: number;
  readonly y?: number;
}

/** How the neuron view lists keys and dimensions, and what of matrices is in sight. Front-end only. */
export interface Options {
  readonly keyOrder: "position" | "weight";
  readonly dimensionOrder: "index" | "contribution";
  /** Shading without the first position where that one takes most of the weight. Numbers stay. */
  readonly setSinkAside: boolean;
  /** Running text is shaded by what attends to a token, where the pins leave that open. */
  readonly attendedBy: boolean;
  /** Null where matrices are shown whole. */
  readonly map: MapWindow | null;
}

/** How far a generation has come: what there is of a stream when the token of `step` is about to be chosen. */
export interface Stage {
  readonly step: number;
  readonly numQueries: number;
  readonly numKeys: number;
}

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
  readonly stage: Stage | null;
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

export interface Frame {
  readonly width: number;
  readonly height: number;
  /** Pixels of content above the top of the frame. */
  readonly scroll: number;
}

/** What lies under a point; `cursor` and `title` follow from it. */
export interface Hit {
  readonly layer?: number;
  readonly head?: number;
  readonly query?: number;
  readonly key?: number;
  readonly dimension?: number;
  readonly example?: number;
  /** What a click pins, where that is not what is under the pointer. */
  readonly pin?: { readonly query?: number; readonly key?: number };
  /** A marker for something out of the frame: a click scrolls to this content offset in pixels. */
  readonly scrollTo?: number;
  /** What of matrices a click brings into sight; null for all of them. */
  readonly map?: MapWindow | null;
  /** A press that moves on goes on bringing into sight what is under it. */
  readonly drags?: true;
  /** Something that reacts to a click in a way of its own: "sort-keys", "sort-dimensions", … */
  readonly action?:
    | "sort-keys"
    | "sort-dimensions"
    | "make-first"
    | "unpin-head"
    | "choose-head"
    | "attends-to"
    | "attended-by"
    | "open-example";
}

/** What is to be brought into the frame. */
export type Place = Pick<Hit, "query" | "key" | "layer" | "head">;

/** A focusable thing in a view, for keyboards and screen readers. */
export interface Stop extends Hit {
  readonly rect: Rect;
  readonly name: string;
}

/**
 * A view composes marks from a scene. It is pure: it holds no state and knows no DOM, so that the
 * same code draws the screen, the figure and the headless export. Reading a block that has not come
 * yet returns null and asks for it; the panel draws again when it is there.
 */
export interface View {
  readonly name: "model" | "head" | "neuron" | "compare" | "next" | "examples";
  /** Height of all the content at this width; more than the frame's height means it scrolls. */
  contentHeight(scene: Scene, width: number, height: number): number;
  draw(surface: Surface, scene: Scene, frame: Frame): void;
  hit(scene: Scene, frame: Frame, x: number, y: number): Hit | null;
  /** The scroll that brings a position or a head into the frame, or null when it is there already. */
  reveal?(scene: Scene, frame: Frame, at: Place): number | null;
  /** The same of a map: its window; undefined when the position is in sight, or there is no map. */
  revealOnMap?(scene: Scene, frame: Frame, at: Place): MapWindow | null | undefined;
  /**
   * What a gesture at a point, or in the middle of the map, brings into sight; undefined where there
   * is no map, or nothing changes.
   */
  gesture?(
    scene: Scene,
    frame: Frame,
    at: Point | null,
    gesture: Gesture,
  ): MapWindow | null | undefined;
  /** At most about 80 stops: only what is in the frame. */
  stops(scene: Scene, frame: Frame): readonly Stop[];
}
