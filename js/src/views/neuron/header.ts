// Neuron view: the question, the switch between one link and the whole head, the choice of head and query.

import { formatWeight } from "../../marks/format.js";
import { indexOf, labelOf, quoted } from "../../marks/text/tokens.js";
import { onPaper, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { ellipsize, sharedRoom, textWidth } from "../../surface/text.js";
import type { Frame, Stop } from "../view.js";
import { HEADER, PAD } from "./layout.js";

const TITLE = 13;
const SIZE = 11;
const LINE = 22;
/** Middle of the second line. */
const SECOND = LINE + (HEADER - LINE - 4) / 2;
/** Of the names of query and key, and what the arrow between them takes. */
const NAMES = 12;
const ARROW = 20;
/** A name as wide as its room is not cut because a sum of widths is a little less. */
const ROUNDING = 0.5;
/** More names than this would crowd out the rest: the chips above the views hold the others. */
const MOST = 8;

/** What the header is about. */
export interface Subject {
  readonly head: number;
  /** The query in question; null where all of them are. */
  readonly query: number | null;
  readonly weight: number | null;
  readonly focus: number;
  readonly notes: readonly string[];
}

interface Choice {
  readonly hit: Hit;
  readonly rect: Rect;
  readonly text: string;
  readonly chosen: boolean;
  readonly name: string;
}

function explainChoices({ state }: Scene, width: number): readonly Choice[] {
  const size = (text: string) => textWidth(text, SIZE, "sans", "bold") + 10;
  const texts = [
    ["link", "one link"],
    ["head", "whole head"],
  ] as const;
  let x = width - PAD - texts.reduce((sum, [, text]) => sum + size(text), 0);
  return texts.map(([explain, text]) => {
    const rect = { x, y: 2, width: size(text), height: LINE - 4 };
    x += rect.width;
    const action = explain === "link" ? ("explain-link" as const) : ("explain-head" as const);
    const name = explain === "link" ? "explain one link" : "explain the whole head";
    return { hit: { action }, rect, text, chosen: state.explain === explain, name };
  });
}

/** Names to choose one of, from x on: as many as fit. */
function row(
  x: number,
  right: number,
  names: readonly { text: string; hit: Hit; chosen: boolean; name: string }[],
): readonly Choice[] {
  let at = x;
  return names.slice(0, MOST).flatMap((each) => {
    const width = Math.max(14, textWidth(each.text, SIZE, "sans", "bold") + 8);
    const rect = { x: at, y: LINE, width, height: HEADER - LINE - 4 };
    at += width;
    return rect.x + width > right ? [] : [{ ...each, rect }];
  });
}

interface Line {
  readonly where: string;
  readonly heads: readonly Choice[];
  readonly queryLabel: { readonly x: number } | null;
  readonly queries: readonly Choice[];
  readonly end: number;
}

/** The second line: layer, head or heads, pinned queries. */
function secondLine({ scene, subject, frame }: Header): Line {
  const { state, layer, queries } = scene;
  const right = frame.width - PAD;
  const where = `layer ${layer.layer} · head`;
  const start = PAD + textWidth(where, SIZE) + 3;
  const heads = row(
    start,
    right,
    state.heads.map((head) => ({
      text: String(head),
      hit: { action: "choose-head" as const, head },
      chosen: head === subject.head,
      name: `explain head ${head} instead`,
    })),
  );
  const after = heads.at(-1)?.rect ?? { x: start, width: 0 };
  const end = after.x + after.width;
  const several = subject.query !== null && state.queries.length > 1;
  const labelEnd = end + 12 + textWidth("query", SIZE) + 3;
  const tabs = several
    ? row(
        labelEnd,
        right,
        state.queries.map((query) => ({
          text: ellipsize(labelOf(queries, query), 70, SIZE),
          hit: { action: "choose-query" as const, query },
          chosen: query === subject.query,
          name: `explain query ${indexOf(queries, query)} “${labelOf(queries, query)}” instead`,
        })),
      )
    : [];
  const last = tabs.at(-1)?.rect;
  const tabsEnd = last ? last.x + last.width : end;
  return { where, heads, queryLabel: last ? { x: end + 12 } : null, queries: tabs, end: tabsEnd };
}

export interface Header {
  readonly scene: Scene;
  readonly frame: Frame;
  readonly subject: Subject;
}

function drawChoices(
  surface: Surface,
  choices: readonly Choice[],
  colour: (choice: Choice) => string,
  muted: string,
) {
  for (const choice of choices) {
    const { rect, text, chosen } = choice;
    const y = rect.y + rect.height / 2;
    const fill = chosen ? colour(choice) : muted;
    const weight = chosen ? "bold" : "normal";
    surface.text(rect.x + rect.width / 2, y, text, { fill, size: SIZE, weight, anchor: "middle" });
    if (!chosen || choices.length < 2) continue;
    const base = rect.y + rect.height;
    surface.line(rect.x + 3, base, rect.x + rect.width - 3, base, { stroke: fill, width: 2 });
  }
}

/** "Why 0.999?", and which link that is; where that ends if it stands in the line below. */
function drawQuestion(surface: Surface, header: Header): number | null {
  const { scene, frame, subject } = header;
  const { theme } = scene;
  const right = onPaper(scene)
    ? frame.width - PAD
    : (explainChoices(scene, frame.width)[0]?.rect.x ?? 0) - 8;
  const { query, weight } = subject;
  const title =
    query === null ? "Step by step" : `Why ${weight === null ? "…" : formatWeight(weight)}?`;
  const bold = { fill: theme.text, size: TITLE, weight: "bold", maxWidth: right - PAD } as const;
  surface.text(PAD, LINE / 2, title, bold);
  const x = PAD + textWidth(title, TITLE, "sans", "bold") + 10;
  if (query === null || subject.focus < 0) return null;
  // Where the switch leaves too little for the names, they stand in the line below.
  const below = linkBelow(header, right - x);
  if (below) return drawLink(surface, header, below);
  if (right - x >= 50) drawLink(surface, header, { x, right, y: LINE / 2 });
  return null;
}

/** A stretch of a line. */
interface Span {
  readonly x: number;
  readonly right: number;
  readonly y: number;
}

const wide = (text: string) => textWidth(text, NAMES);

/** Where the names of query and key have more room than beside the question; null where they have enough there. */
function linkBelow(header: Header, room: number): Span | null {
  const { scene, subject, frame } = header;
  const { query, focus } = subject;
  if (query === null || focus < 0) return null;
  const labels = `“${labelOf(scene.queries, query)}”“${labelOf(scene.keys, focus)}”`;
  const x = secondLine(header).end + 10;
  const right = frame.width - PAD;
  if (wide(labels) + ARROW <= room || right - x <= room) return null;
  return { x, right, y: SECOND };
}

/** "“it” → “cat”": each label by itself, as text in another direction stays where it belongs. */
function drawLink(surface: Surface, { scene, subject }: Header, { x, right, y }: Span): number {
  const { theme, queries, keys } = scene;
  const { query, focus } = subject;
  if (query === null) return x;
  const marks = wide("“”");
  const room = right - x - ARROW;
  const [left, beside] = sharedRoom(
    wide(`“${labelOf(queries, query)}”`),
    wide(`“${labelOf(keys, focus)}”`),
    room,
  );
  const from = quoted(queries, query, left - marks + ROUNDING);
  const to = quoted(keys, focus, beside - marks + ROUNDING);
  const muted = { fill: theme.muted, size: NAMES } as const;
  surface.text(x, y, from, { ...muted, maxWidth: left + 8 });
  surface.text(x + wide(from) + 4, y, "→", muted);
  const at = x + wide(from) + ARROW;
  if (right - at > 12) surface.text(at, y, to, { ...muted, maxWidth: right - at });
  return at + wide(to);
}

export function drawHeader(surface: Surface, header: Header): void {
  const { scene, frame, subject } = header;
  const { theme, layer, state } = scene;
  surface.group("question", () => {
    const named = drawQuestion(surface, header);
    const line = secondLine(header);
    const end = named ?? line.end;
    const y = SECOND;
    const muted = { fill: theme.muted, size: SIZE } as const;
    const right = frame.width - PAD;
    surface.text(PAD, y, line.where, { ...muted, maxWidth: right - PAD });
    drawChoices(
      surface,
      line.heads,
      ({ hit }) => theme.head(hit.head ?? 0, layer.num_heads),
      theme.muted,
    );
    if (line.queryLabel) surface.text(line.queryLabel.x, y, "query", muted);
    drawChoices(surface, line.queries, () => theme.accent, theme.muted);
    const notes = [...subject.notes];
    const hidden = state.heads.length - line.heads.length;
    if (hidden > 0) notes.unshift(`of ${state.heads.length} selected`);
    // Half a note says nothing: the last gives way as a whole.
    while (notes.length > 0 && textWidth(notes.join(" · "), SIZE) > right - end - 10) notes.pop();
    if (notes.length > 0) surface.text(end + 10, y, notes.join(" · "), muted);
    if (!onPaper(scene)) {
      drawChoices(surface, explainChoices(scene, frame.width), () => theme.accent, theme.muted);
    }
  });
}

function choices(header: Header): readonly Choice[] {
  const { heads, queries } = secondLine(header);
  const all = [...explainChoices(header.scene, header.frame.width), ...heads, ...queries];
  return all.filter(({ chosen }) => !chosen);
}

export function hitHeader(header: Header, x: number, y: number): Hit | null {
  return choices(header).find(({ rect }) => contains(rect, x, y))?.hit ?? null;
}

export function headerStops(header: Header): readonly Stop[] {
  return choices(header).map(({ hit, rect, name }) => ({ ...hit, rect, name }));
}
