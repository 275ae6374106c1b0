// Types of interaction: hover, options, hits, gestures. Never synchronised with Python.

import type { MapWindow } from "../protocol/generated.js";

export type ViewName =
  | "model"
  | "head"
  | "neuron"
  | "compare"
  | "next"
  | "examples"
  | "change"
  | "lens";

/** What the pointer (or the keyboard focus) is on. Never synchronised with Python. */
export interface Hover {
  /** The view the pointer is in: a view may ignore a hover that it published itself. */
  readonly source: ViewName | "keyboard" | "toolbar";
  readonly layer?: number;
  readonly head?: number;
  readonly query?: number;
  readonly key?: number;
  /** Element of the query and key vectors. */
  readonly dimension?: number;
  /** An input of a survey, by its index. */
  readonly example?: number;
  /** One of a survey's contexts, by its place in the list. */
  readonly context?: number;
  /** A group of queries, and one of keys; null for all positions. */
  readonly from?: string | null;
  readonly to?: string | null;
  /** Pointer in the view's frame, for a card that follows it. */
  readonly x?: number;
  readonly y?: number;
}

/** How the neuron view lists keys and the bars of dimensions, and what of matrices is in sight. Front-end only. */
export interface Options {
  readonly keyOrder: "position" | "weight";
  readonly dimensionOrder: "index" | "contribution";
  /** The neuron view has a row for every key, and scrolls where they do not fit. */
  readonly allKeys: boolean;
  /** Running text is shaded by what attends to a token, where the pins leave that open. */
  readonly attendedBy: boolean;
  /** Null where matrices are shown whole. */
  readonly map: MapWindow | null;
  /** Contexts of a survey are those of the strongest links, and not of the score on show. */
  readonly strongest: boolean;
  /** Only contexts with this text are shown; empty for all. */
  readonly containing: string;
}

/** What lies under a point; `cursor` and `title` follow from it. */
export interface Hit {
  readonly layer?: number;
  readonly head?: number;
  readonly query?: number;
  readonly key?: number;
  readonly dimension?: number;
  readonly example?: number;
  /** A context of the example, by its place in the list, and what of the example it is about. */
  readonly context?: number;
  readonly place?: { readonly query: number; readonly key: number };
  /** The groups that a share is from and to; null for all positions. */
  readonly from?: string | null;
  readonly to?: string | null;
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
    | "choose-query"
    | "show-head"
    | "explain-link"
    | "explain-head"
    | "all-keys"
    | "attends-to"
    | "attended-by"
    | "open-example"
    | "choose-link"
    | "contexts-by"
    | "open-layer"
    | "head-in-all-layers"
    | "compare-selected";
}

/** What is to be brought into the frame. */
export type RevealTarget = Pick<Hit, "query" | "key" | "layer" | "head">;

/** What is done to a map with a wheel, fingers or keys. */
export type Gesture =
  | { readonly kind: "zoom"; readonly factor: number }
  | { readonly kind: "pan"; readonly dx: number; readonly dy: number }
  | { readonly kind: "fit" };

export interface Point {
  readonly x: number;
  readonly y: number;
}
