// Compare view: the number under each panel's title, of the pair or token in focus.

import { heldBy, sideNames, sideOf } from "../../data/sides.js";
import { formatSigned, formatWeight } from "../../marks/format.js";
import { letterOf } from "../../marks/heads/badge.js";
import { LEGEND_SIZE } from "../../marks/legends/legend.js";
import { labelOf, quotedPair } from "../../marks/text/tokens.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { sayNumber } from "../shared/measure.js";
import {
  type Focus,
  focusOf,
  groupLabel,
  meanRow,
  pairNumbers,
  pairTitle,
  sized,
  strongestKey,
  sumOf,
} from "../shared/series.js";
import { type ComparePanel, differenceTerms } from "./layout.js";
import { stepChange } from "./steps.js";

/** Of what is read, a place that the panel's record has not: said instead of a number. */
function missingHere(scene: Scene, { kind }: ComparePanel, focus: Focus): string | null {
  const { queries, keys, sides } = scene;
  if (!sides) return null;
  const all = [
    ...focus.queries.map((query) => heldBy(queries[query])),
    ...focus.keys.map((key) => heldBy(keys[key])),
  ];
  const own = kind === "difference" ? null : sideOf(kind);
  const only = all.find((those) => those !== undefined && !(own && those.includes(own)));
  return only === undefined ? null : `only in ${sideNames(only)}`;
}

/** What is read at a panel while something is in focus: words, and the number they are about. */
export interface Reading {
  readonly words: string;
  readonly number: string;
  /** Where it stands among others: said where there is room. */
  readonly note?: string;
}

/** Room for the words beside a number. */
const wordRoom = ({ title }: ComparePanel) => title.width - textWidth("+0.000", LEGEND_SIZE) - 14;

function readDifference(scene: Scene, { queries, keys }: Focus, room: number): Reading | null {
  const two = differenceTerms(scene);
  const [a, b] = two?.map(({ rows }) => meanRow(rows, queries)) ?? [];
  if (!a || !b) return null;
  const number = formatSigned(sumOf(a, keys) - sumOf(b, keys));
  return { words: pairTitle(scene, queries, keys, room), number };
}

/** Of a series while nothing is in focus: how much the head changes from the record before. */
function readStep(scene: Scene, { kind }: ComparePanel): Reading | null {
  if (kind === "difference") return null;
  const change = stepChange(scene, kind);
  if (change === null) return null;
  return { words: `change from ${letterOf(kind - 1)}`, number: formatWeight(change) };
}

/** The pair's exact weight and rank, or the strongest partner of a query alone. */
export function reading(scene: Scene, panel: ComparePanel): Reading | null {
  const focus = focusOf(scene);
  const { about, queries, keys } = focus;
  if (queries.length === 0) return keys.length === 0 ? readStep(scene, panel) : null;
  const room = wordRoom(panel);
  const missing = missingHere(scene, panel, focus);
  if (missing) return { words: missing, number: "" };
  if (panel.kind === "difference") {
    return keys.length === 0 ? null : readDifference(scene, focus, room);
  }
  const row = panel.series && meanRow(panel.series.rows, queries);
  if (!row) return null;
  if (keys.length > 0) {
    const { value, note } = pairNumbers(scene, row, keys);
    const words = pairTitle(scene, queries, keys, room);
    return note ? { words, number: value, note: `(${note})` } : { words, number: value };
  }
  if (about !== "query") return null;
  const best = strongestKey(sized(scene, row));
  const [from, to] = [groupLabel(scene.queries, queries), labelOf(scene.keys, best)];
  const between = " most to ";
  // Quotation marks around nothing say nothing: the number does.
  const least = textWidth(`“…”${between}“…”`, 12);
  const words = room < least ? "" : quotedPair(from, between, to, room);
  return { words, number: sayNumber(scene, row[best] as number) };
}

/** The note gives way first, then the words, never the number. */
export function drawReading(
  surface: Surface,
  scene: Scene,
  { title }: ComparePanel,
  read: Reading,
  y = title.y + 30,
): void {
  const wide = (part: string) => (part === "" ? 0 : textWidth(part, LEGEND_SIZE) + 7);
  const { words, number, note = "" } = read;
  const used = Math.min(wide(words), Math.max(0, title.width - wide(number)));
  const { text, muted } = scene.theme;
  const style = { fill: muted, size: LEGEND_SIZE };
  surface.text(title.x, y, words, { ...style, maxWidth: Math.max(0, used - 6) });
  surface.text(title.x + used, y, number, { ...style, fill: text });
  const left = used + wide(number);
  if (left + wide(note) <= title.width) surface.text(title.x + left, y, note, style);
}
