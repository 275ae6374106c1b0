// `Edited`: which edits are in force in what is drawn, and what they change.

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
