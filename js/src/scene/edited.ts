// `Edited`: which edits are in force in what is drawn, what they change, and how far the bars of that have come.

import type { EffectsOfHeads, Interventions, WhatIf } from "../protocol/generated.js";

export interface Edited {
  readonly parts: Interventions;
  readonly whatIf: WhatIf | null;
  readonly effects: EffectsOfHeads | null;
  /** Weights that links had before they were cut, by `partKey` of the edit; empty where they are not known. */
  readonly was: ReadonlyMap<string, number>;
  /** Whether somebody chose what is measured. */
  readonly asked: boolean;
}

/** The bars of one choice. */
export interface BarPair {
  readonly before: number;
  readonly after: number;
}

/** What bars show, and where their scale ends. */
export interface Bars {
  readonly rows: ReadonlyMap<string, BarPair>;
  readonly end: number;
}

/** Where bars come from, and how much of the way they have gone. */
export interface Moving {
  readonly from: Bars;
  /** 0..1. */
  readonly part: number;
}

const NOTHING_KNOWN: ReadonlyMap<string, number> = new Map();

/** Null where the model was left as it is and nobody asked for effects. */
export function editedOf(
  parts: Interventions,
  whatIf: WhatIf | null,
  effects: EffectsOfHeads | null,
  { was = NOTHING_KNOWN, asked = false }: Partial<Pick<Edited, "was" | "asked">> = {},
): Edited | null {
  return parts.length === 0 && !whatIf && !effects ? null : { parts, whatIf, effects, was, asked };
}
