// What edits do to the stream on show: which heads are out, and which links are cut.

import type { Blocks } from "../../data/blocks.js";
import { headsOf } from "../../data/together.js";
import { wordsOf } from "../../data/words.js";
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

/** Whether a head's output is not the model's own. A rollout mixes all heads, and is none. */
export function isOut(scene: Scene, layer: number, head: number): boolean {
  if (scene.state.measure === "rollout") return false;
  return (scene.edited?.parts ?? []).some(
    (part) =>
      "ablate" in part && isOf(scene, part.stream) && lists(scene, part.ablate, layer, head),
  );
}

/** What is written behind the name of a head that is out. */
export const outMark = (scene: Scene, layer: number, head: number): string =>
  isOut(scene, layer, head) ? " · out" : "";

/** What is to be known about edits in the drawing: what dashes are of. */
export function editNotes(scene: Scene): readonly string[] {
  const { state, layer } = scene;
  const heads = [
    ...state.heads.map((head) => ({ layer: layer.layer, head })),
    ...state.compare.map(([l, head]) => ({ layer: l, head })),
  ];
  const out = heads.some((one) => isOut(scene, one.layer, one.head));
  const cut = state.form === "matrix" && cutsIn(scene, heads).length > 0;
  return [
    ...(out ? ["out: knocked out; what is drawn is what it would have looked at"] : []),
    ...(cut ? ["dashed frame: cut links"] : []),
  ];
}

/** Links that are cut, in positions of what is drawn; null for all of an axis. */
export interface Cut {
  readonly queries: readonly number[] | null;
  readonly keys: readonly number[] | null;
  /** The weight before, of a single link whose weight was seen. */
  readonly was: number | null;
  covers(layer: number, head: number): boolean;
}

/** Positions of the record as those that are drawn: a word is cut where a piece of it is. */
function shownPlaces(
  places: readonly number[] | null,
  record: readonly Position[],
  shown: readonly Position[],
): readonly number[] | null {
  const words = places === null || record === shown ? null : wordsOf(record);
  return words && places ? [...new Set(places.map((at) => words.numbers[at] ?? 0))] : places;
}

function cutOf(scene: Scene, part: CutLinks): Cut | null {
  if (!isOf(scene, part.stream)) return null;
  const record = recordScene(scene);
  const { heads, layers, cut } = part;
  const end = (axis: "queries" | "keys", given: CutEnd) =>
    shownPlaces(placesOf(given, record[axis]), record[axis], scene[axis]);
  return {
    queries: end("queries", cut.query),
    keys: end("keys", cut.key),
    was: scene.edited?.was.get(partKey(part)) ?? null,
    covers: (layer, head) =>
      (heads === null || lists(scene, heads, layer, head)) &&
      (layers === null || layers.includes(layer)),
  };
}

const isCut = (part: Intervention): part is CutLinks => "cut" in part;

/** All that are cut in the stream on show; none of a rollout, which has no links of heads. */
function cutsOf(scene: Scene): readonly Cut[] {
  if (scene.state.measure === "rollout") return [];
  return (scene.edited?.parts ?? []).filter(isCut).flatMap((part) => cutOf(scene, part) ?? []);
}

/** A head that is drawn, and of two records whose it is. */
export interface DrawnHead {
  readonly layer: number;
  readonly head: number;
  readonly blocks?: Blocks;
}

/** Whether a head is drawn as it was before the edits: that of the first of two records is. */
const isBefore = ({ sides }: Scene, { blocks }: DrawnHead) =>
  blocks !== undefined && sides?.[0] === blocks;

/** Those that are cut in any of the heads that are drawn, or of the heads that are one there. */
export function cutsIn(scene: Scene, drawn: readonly DrawnHead[]): readonly Cut[] {
  const { together, layer } = scene;
  const heads = together
    ? headsOf(together, layer.layer)
    : drawn.filter((one) => !isBefore(scene, one)).map((one) => [one.layer, one.head] as const);
  return cutsOf(scene).filter((cut) => heads.some(([l, h]) => cut.covers(l, h)));
}
