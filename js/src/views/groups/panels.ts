// Which matrices of shares stand side by side: the selected heads, or what is compared and its difference.

import type { Matrix } from "../../data/blocks.js";
import type { Scene } from "../../scene/scene.js";
import { comparedSeries, DIFFERENCE, hasDifference } from "../compare/layout.js";
import { minus } from "../shared/difference.js";
import { headSeries } from "../shared/series.js";
import { headShares, togetherShares } from "./shares.js";

export interface SharePanel {
  readonly name: string;
  readonly colour: string | null;
  /** Whose it is; of a difference those of the first. */
  readonly layer: number;
  readonly head: number;
  readonly shares: Matrix | { readonly error: string } | null;
  /** Of a head that is knocked out. */
  readonly out?: boolean;
  /** A difference, drawn in two colours. */
  readonly signed: boolean;
}

/** The selected heads. */
export function headPanels(scene: Scene): readonly SharePanel[] {
  return headSeries(scene, { isolate: false }).map(
    ({ layer, head, name, colour, out = false }) => ({
      name,
      colour,
      out,
      layer,
      head,
      shares: scene.together
        ? togetherShares(scene, layer, scene.together)
        : headShares(scene, scene.blocks, layer, head),
      signed: false,
    }),
  );
}

/** Each record, or the pinned heads; of two records, or the first two heads, also the difference. */
export function comparedPanels(scene: Scene): readonly SharePanel[] {
  const panels = comparedSeries(scene).map(
    ({ layer, head, name, colour, blocks, out = false }): SharePanel => ({
      name,
      colour,
      out,
      layer,
      head,
      shares: headShares(scene, blocks, layer, head),
      signed: false,
    }),
  );
  const [a, b] = panels;
  if (!a || !b || !hasDifference(scene)) return panels;
  const both = a.shares && b.shares ? ([b.shares, a.shares] as const) : null;
  const failed = both?.find((one) => "error" in one);
  const shares = both && (failed ?? minus(both[0] as Matrix, both[1] as Matrix));
  const difference = { ...b, name: DIFFERENCE, colour: null, shares, signed: true };
  return [a, b, difference, ...panels.slice(2)];
}
