// What edits do to the stream on show: which heads are out, and which links are cut.

import type { CutEnd, CutLinks, Intervention, Position } from "../../protocol/generated.js";
import { recordScene, type Scene } from "../../scene/scene.js";
import { partKey } from "../../state/edits.js";

/** Numbers from the end, and tokens by their texts, as Python may name them; null stays all. */
export function placesOf(end: CutEnd, positions: readonly Position[]): readonly number[] | null {
  if (end === null) return null;
  const given = typeof end === "number" || typeof end === "string" ? [end] : end;
  return given.flatMap((one) => {
    if (typeof one === "number") return [one < 0 ? one + positions.length : one];
    const named = ({ label }: Position) => label.trim() === one.trim();
    return positions.flatMap((position, at) => (named(position) ? [at] : []));
  });
}

const isOf = ({ stream, meta }: Scene, name: string | null) =>
  name === null || meta.streams.length === 1 || name === stream.name;

/** Whether a head is one of those listed, which may count from the end. */
function lists(
  { stream }: Scene,
  heads: readonly (readonly [number, number])[],
  layer: number,
  head: number,
): boolean {
  const { length } = stream.layers;
  const found = stream.layers.find((each) => each.layer === layer);
  return heads.some(
    ([l, h]) =>
      (l < 0 ? stream.layers[l + length]?.layer : l) === layer &&
      (h < 0 ? h + (found?.num_heads ?? 0) : h) === head,
  );
}

/** Whether a head's output is not the model's own. */
export function isOut(scene: Scene, layer: number, head: number): boolean {
  return (scene.edited?.parts ?? []).some(
    (part) =>
      "ablate" in part && isOf(scene, part.stream) && lists(scene, part.ablate, layer, head),
  );
}

/** Links that are cut, in positions of the record. */
export interface Cut {
  readonly queries: readonly number[] | null;
  readonly keys: readonly number[] | null;
  /** The weight before, of a single link whose weight was seen. */
  readonly was: number | null;
  covers(layer: number, head: number): boolean;
}

function cutOf(scene: Scene, part: CutLinks): Cut | null {
  if (!isOf(scene, part.stream)) return null;
  const { queries, keys } = recordScene(scene);
  const { heads, layers, cut } = part;
  return {
    queries: placesOf(cut.query, queries),
    keys: placesOf(cut.key, keys),
    was: scene.edited?.was.get(partKey(part)) ?? null,
    covers: (layer, head) =>
      (heads === null || lists(scene, heads, layer, head)) &&
      (layers === null || layers.includes(layer)),
  };
}

const isCut = (part: Intervention): part is CutLinks => "cut" in part;

export function cutsOf(scene: Scene): readonly Cut[] {
  return (scene.edited?.parts ?? []).filter(isCut).flatMap((part) => cutOf(scene, part) ?? []);
}
