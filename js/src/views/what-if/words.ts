// Edits and what they change, in words: the chips, the sentence, the headings.

import { findStream } from "../../data/meta.js";
import { formatScore, formatWeight } from "../../marks/format.js";
import { labelOf, quoted } from "../../marks/text/tokens.js";
import type {
  Choice,
  CutLinks,
  Intervention,
  Position,
  RemovedDirections,
  WhatIf,
} from "../../protocol/generated.js";
import type { Edited } from "../../scene/edited.js";
import { recordScene, type Scene } from "../../scene/scene.js";
import { placesOf } from "./parts.js";

const MOST_NAMED = 2;
const LABEL_ROOM = 120;

const some = (names: readonly string[], most = MOST_NAMED) =>
  names.slice(0, most).join(", ") + (names.length > most ? ` and ${names.length - most} more` : "");

function axes(scene: Scene, name: string | null) {
  const { meta } = scene;
  const stream = findStream(meta, name ?? scene.stream.name);
  const { groupings = [] } = stream;
  return {
    queries: meta.positions[stream.query_positions] ?? [],
    keys: meta.positions[stream.key_positions] ?? [],
    groupings,
  };
}

/** All of a group, by its name; null where the places are no group of the record's. */
function groupName(
  scene: Scene,
  stream: string | null,
  axis: "queries" | "keys",
  places: readonly number[],
): string | null {
  if (places.length < 2) return null;
  const groups = axes(scene, stream).groupings.flatMap((grouping) => grouping.groups);
  const found = groups.find((group) => {
    const ranges = group[axis];
    const size = ranges.reduce((sum, [start, stop]) => sum + stop - start, 0);
    const inside = (at: number) => ranges.some(([start, stop]) => start <= at && at < stop);
    return size === places.length && places.every(inside);
  });
  return found?.name ?? null;
}

/** Both ends of a cut: null stands for all positions. */
function endsOf(
  scene: Scene,
  { cut, stream }: CutLinks,
  name: (positions: readonly Position[], at: number) => string,
) {
  const { queries, keys } = axes(scene, stream);
  const end = (axis: "queries" | "keys", positions: readonly Position[]) => {
    const places = placesOf(axis === "queries" ? cut.query : cut.key, positions);
    if (places === null) return null;
    const group = groupName(scene, stream, axis, places);
    return group ?? some(places.map((at) => (positions[at] ? name(positions, at) : String(at))));
  };
  return { query: end("queries", queries), key: end("keys", keys) };
}

const headNames = (heads: readonly (readonly [number, number])[]) =>
  some(
    heads.map(([layer, head]) => `${layer}·${head}`),
    3,
  );

/** Where a cut is: "3·3", "layers 6–11"; empty for everywhere. */
function scopeOf({ heads, layers }: CutLinks): string {
  if (heads) return headNames(heads);
  if (!layers) return "";
  const [first = 0] = layers;
  const last = layers.at(-1) ?? first;
  const run = last - first + 1 === layers.length;
  if (layers.length === 1) return `layer ${first}`;
  return run ? `layers ${first}–${last}` : `layers ${some(layers.map(String), 4)}`;
}

/** What is put in the place of a token: "“dog” for “cat”"; null of what is no edit of a token. */
function tokenWords(scene: Scene, part: Intervention): string | null {
  const place = "replace" in part ? part.replace : "mask" in part ? part.mask : null;
  if (place === null) return null;
  const { keys } = axes(scene, null);
  const [at] = placesOf(place, keys) ?? [];
  // The record under the edit has the other token there.
  const named = typeof place === "string" ? `“${place.trim()}”` : `token ${at ?? place}`;
  return "replace" in part ? `“${part.with.trim()}” for ${named}` : `a mask for ${named}`;
}

/** "4 directions", or one. */
const directionsOf = ({ vectors }: RemovedDirections) =>
  vectors.length === 1 ? "1 direction" : `${vectors.length} directions`;

/** On a chip: "− 3·3", "it ✂ cat · 3·3", "hide “cat”". */
export function partName(scene: Scene, part: Intervention): string {
  if ("ablate" in part)
    return `− ${headNames(part.ablate)}${part.how === "zero" ? "" : ` (${part.how})`}`;
  if ("remove_directions" in part)
    return `− ${directionsOf(part)} · ${headNames(part.remove_directions)}`;
  if (!("cut" in part)) return tokenWords(scene, part) ?? "patched heads";
  const scope = scopeOf(part);
  const where = scope && ` · ${scope}`;
  if (part.cut.query === null) {
    const { key } = endsOf(scene, part, (positions, at) => quoted(positions, at, LABEL_ROOM));
    return `hide ${key ?? "all keys"}${where}`;
  }
  const { query, key } = endsOf(scene, part, labelOf);
  return `${query} ✂ ${key ?? "all"}${where}`;
}

/** In a sentence, after "Without": "“it” → “cat” in head 3·3", "head 3·3", "any attention to “cat”". */
export function partWords(scene: Scene, part: Intervention): string {
  if ("ablate" in part)
    return `${part.ablate.length === 1 ? "head" : "heads"} ${headNames(part.ablate)}`;
  if ("remove_directions" in part)
    return `${directionsOf(part)} of head ${headNames(part.remove_directions)}`;
  if (!("cut" in part)) return tokenWords(scene, part) ?? "the patched heads as they were";
  const name = (positions: readonly Position[], at: number) => quoted(positions, at, LABEL_ROOM);
  const { query, key } = endsOf(scene, part, name);
  const scope = scopeOf(part);
  const heads = part.heads && (part.heads.length === 1 ? "head " : "heads ");
  const where = scope && ` in ${heads ?? ""}${scope}`;
  if (query === null) return `any attention to ${key ?? "all keys"}${where}`;
  return `${query} → ${key ?? "all"}${where}`;
}

/** A choice is worth a sentence if the model expected it at least this much as what it expected most. */
const EXPECTED = 0.5;
const SAME = 0.0005;
/** Less than this part of what it was is none. */
const LITTLE = 0.1;

/** "log p(“purred”)" of a metric that is one choice's. */
function measured(
  { metric, before }: Pick<WhatIf, "metric" | "before">,
  choices: WhatIf["choices"],
) {
  const name = /^log p\((“.*”)\)$/.exec(metric)?.[1];
  if (name === undefined || before === null) return null;
  const near = (choice: Choice) => Math.abs(choice.before - Math.exp(before)) < 1e-4;
  return choices.find((choice) => name === `“${choice.label.trim()}”` && near(choice)) ?? null;
}

/**
 * The choice that the sentence is about: what is measured, where somebody asked for it; else, of those that
 * the model expected, the one that moved most.
 */
export function choiceInQuestion(whatIf: WhatIf, asked: boolean): Choice | null {
  const { choices } = whatIf;
  if (asked) return measured(whatIf, choices);
  const most = Math.max(0, ...choices.map(({ before }) => before));
  const moved = ({ before, after }: Choice) => Math.abs(after - before);
  return choices
    .filter(({ before }) => before >= EXPECTED * most)
    .reduce<Choice | null>((best, one) => (best && moved(best) >= moved(one) ? best : one), null);
}

/** What the model does with a choice, by how its probability moved. */
function verdict({ label, before, after }: Choice, kind: WhatIf["kind"]): string {
  const name = `“${label.trim()}”`;
  const verb = kind === "label" ? ["gives", "give"] : ["expects", "expect"];
  if (Math.abs(after - before) < SAME) return `the model ${verb[0]} ${name} as before: `;
  if (after < LITTLE * before) return `the model no longer ${verb[0]} ${name}: `;
  return `the model ${verb[0]} ${name} ${after < before ? "less" : "more"}: `;
}

export interface WhatIfWords {
  /** "Without “it” → “cat” in head 3·3" */
  readonly lead: string;
  readonly said: string;
  /** What it expects most instead, where that is another. */
  readonly note: string;
}

function leadOf(scene: Scene, parts: WhatIf["edits"]): string {
  const [part] = parts;
  const put = parts.some((each) => "patch" in each || "replace" in each || "mask" in each);
  if (put || parts.length > 2) {
    if (parts.length !== 1 || !part) return `With these ${parts.length} edits`;
    return `With ${tokenWords(scene, part) ?? "the patched heads"}`;
  }
  if (parts.length === 1 && part && "ablate" in part && part.how !== "zero") {
    const from = part.how === "mean" ? "at the mean of other texts" : "as in another input";
    return `With ${partWords(scene, part)} ${from}`;
  }
  return `Without ${parts.map((each) => partWords(scene, each)).join(" and ")}`;
}

const most = (choices: readonly Choice[], key: "before" | "after") =>
  choices.reduce<Choice | null>((best, one) => (best && best[key] >= one[key] ? best : one), null);

/** The sentence on what edits change; null while nothing is known of them. */
export function whatIfWords(
  scene: Scene,
  { whatIf, asked }: Pick<Edited, "whatIf" | "asked">,
): WhatIfWords | null {
  if (!whatIf || whatIf.edits.length === 0) return null;
  const { before, after, kind, metric, choices } = whatIf;
  const lead = leadOf(scene, whatIf.edits);
  const choice = choiceInQuestion(whatIf, asked);
  const first = most(choices, "after");
  const other = first && first !== most(choices, "before") ? first : null;
  const note = other ? `most likely now: “${other.label.trim()}” ${formatWeight(other.after)}` : "";
  if (choice) {
    const numbers = `${formatWeight(choice.before)}\u00a0→\u00a0${formatWeight(choice.after)}.`;
    return { lead, said: ` ${verdict(choice, kind)}${numbers}`, note };
  }
  if (before === null || after === null) return { lead, said: "", note };
  if (kind === "embedding") {
    const moved = formatWeight(after);
    return { lead, said: ` the embedding’s similarity to the one before is ${moved}.`, note };
  }
  const numbers = `${formatScore(before)}\u00a0→\u00a0${formatScore(after)}`;
  return { lead, said: `, ${metric}: ${numbers}.`, note };
}

/** "“purred”" of "log p(“purred”)"; any other metric as it is called. */
export function metricName(metric: string): string {
  return /^log p\((“.*”)\)$/.exec(metric)?.[1] ?? metric;
}

/** Over the bars: what is chosen there. */
export function changeTitle({ whatIf }: Pick<Edited, "whatIf">): string {
  if (whatIf?.kind === "embedding") return "The embedding, before and after";
  if (whatIf?.kind === "label") return "The label, before and after";
  return whatIf?.at ? `What it expects after “${whatIf.at.trim()}”` : "What it expects";
}

/** Of the calls in a caption: a record may have been made under many. */
const LONGEST_CALLS = 60;

/** Over a figure: all edits, in the words of a sentence; those of a record that was made under them as its calls. */
export function editCaption(scene: Scene): string | null {
  const parts = recordScene(scene).edited?.parts ?? [];
  if (parts.length > 0) return leadOf(scene, parts).replace(/^W/, "w");
  const calls = scene.meta.edits?.join(" + ");
  if (!calls) return null;
  const short = calls.length > LONGEST_CALLS ? `${calls.slice(0, LONGEST_CALLS - 1)}…` : calls;
  return `under ${short}`;
}
