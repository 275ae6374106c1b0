// Survey view: where the selected head does most, and the inputs most typical of it.

import { formatWeight } from "../../marks/format.js";
import { drawNotice } from "../../marks/notice.js";
import type { Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { ellipsize, textWidth, wrapText } from "../../surface/text.js";
import { chosenScores, scoreTitle, toldOfLinks } from "../model/head-scores.js";
import { placedHeads } from "../model/heads.js";
import type { Frame, Stop, View } from "../view.js";
import {
  type ContextPart,
  contextHit,
  contextPart,
  contextStops,
  drawContexts,
  isWhole,
} from "./context-rows.js";

const LEFT = 6;
const TOP = 26;
const LINE = 15;
const SIZE = 11;
const GAP = 10;
const MOST_LINES = 3;
/** Left of the text: the score. */
const VALUE = 44;
/** Height of the reason why there is no input below contexts. */
const WHY = 56;

interface ExampleRow {
  readonly index: number;
  readonly value: number;
  readonly lines: readonly string[];
  /** From the top of the content. */
  readonly y: number;
  readonly height: number;
}

interface List {
  readonly title: string;
  /** Where it does most, above the inputs; null where the survey does not know. */
  readonly contexts: ContextPart | null;
  readonly rows: readonly ExampleRow[];
  readonly height: number;
  /** Why there is no row. */
  readonly why: string | null;
}

/** The first lines of a text; the last of them says by "…" that there is more. */
function firstLines(text: string, width: number): readonly string[] {
  const lines = wrapText(text, width, SIZE);
  if (lines.length <= MOST_LINES) return lines;
  const last = lines.slice(MOST_LINES - 1).join(" ");
  return [...lines.slice(0, MOST_LINES - 1), ellipsize(last, width, SIZE)];
}

/** Index and score of the selected head's examples. */
function examplesOf(
  scene: Scene,
  score: string,
): readonly { index: number; value: number }[] | string {
  const { state, stream, blocks } = scene;
  const found = blocks.heads({ what: "typical", score });
  if (!found) return "…";
  if ("error" in found) return found.error;
  const [, heads = 0, places = 0] = found.shape;
  const head = placedHeads(stream).find(
    (one) => one.layer === state.layer && one.head === state.heads[0],
  );
  const start = (head?.index ?? 0) * places;
  return Array.from({ length: places }, (_, place) => ({
    index: found.data[start + place] as number,
    value: found.data[heads * places + start + place] as number,
  })).filter(({ index }) => index >= 0);
}

function listOf(scene: Scene, width: number): List {
  const { meta, state } = scene;
  const { x } = chosenScores(scene);
  const score = meta.scores.some(({ name }) => name === x) ? x : (meta.scores[0]?.name ?? "");
  const title = `layer ${state.layer} · head ${state.heads[0]} · ${scoreTitle(scene, score)}`;
  const contexts = contextPart(scene, TOP, width);
  const top = contexts?.end ?? TOP;
  const examples = toldOfLinks(scene, score) ? OF_ALL : examplesOf(scene, score);
  const none = { title, contexts, rows: [], height: top + (contexts ? WHY : 0) };
  if (typeof examples === "string") return { ...none, why: examples };
  if (examples.length === 0)
    return { ...none, why: "No input of the survey can be ranked by this score in this head." };
  let y = top;
  const rows = examples.map(({ index, value }): ExampleRow => {
    const text = meta.survey?.texts[String(index)] ?? `input ${index}: survey.texts[${index}]`;
    const lines = firstLines(text, Math.max(60, width - LEFT - VALUE - 8));
    const row = { index, value, lines, y, height: lines.length * LINE + GAP };
    y += row.height;
    return row;
  });
  return { title, contexts, rows, height: y + LINE, why: null };
}

const OF_ALL = "Gold links are counted over all inputs: none is typical of them.";
const HOW = "to open one: survey.view(model, tokenizer)";

/** Whether an input can be recorded and shown, or is. */
function opens({ meta: { survey } }: Scene, { index }: ExampleRow): boolean {
  return survey?.can_open === true || survey?.example === index;
}

function rowRect({ y, height }: ExampleRow, width: number, scroll: number): Rect {
  return { x: 0, y: y - scroll, width, height };
}

function drawRow(surface: Surface, scene: Scene, row: ExampleRow, width: number): void {
  const { theme, meta, hover } = scene;
  const open = meta.survey?.example === row.index;
  const rect = { x: 1, y: row.y, width: width - 2, height: row.height - 2 };
  if (hover?.example === row.index && hover.context === undefined)
    surface.rect(rect, { fill: theme.wash, radius: 3 });
  if (open) surface.rect(rect, { stroke: theme.accent, radius: 3 });
  const first = row.y + GAP / 2 + LINE / 2 - 2;
  const number = { fill: theme.text, size: SIZE, anchor: "end" } as const;
  surface.text(LEFT + VALUE - 10, first, formatWeight(row.value), number);
  row.lines.forEach((line, at) => {
    const fill = open ? theme.accent : theme.text;
    surface.text(LEFT + VALUE, first + at * LINE, line, { fill, size: SIZE });
  });
}

/** At the lower edge, in the place of a row that would be cut there. */
function drawMore(surface: Surface, scene: Scene, { contexts, rows }: List, frame: Frame): void {
  const next = [...(contexts?.rows ?? []), ...rows].find((row) => !isWhole(row, frame));
  const y = (next?.y ?? 0) + GAP / 2 + 2;
  if (next === undefined || y + SIZE / 2 - frame.scroll > frame.height) return;
  surface.text(LEFT + VALUE, y, "…", { fill: scene.theme.muted, size: SIZE });
}

/** The inputs of a survey that are most typical of the selected head. */
export const examplesView: View = {
  name: "examples",

  contentHeight: (scene, width) => listOf(scene, width).height + 4,

  draw(surface, scene, frame) {
    const { theme, meta } = scene;
    const list = listOf(scene, frame.width);
    const { width } = frame;
    const bold = { fill: theme.text, size: SIZE, weight: "bold" } as const;
    surface.text(LEFT, 12, list.title, { ...bold, maxWidth: width - 2 * LEFT });
    const room = width - 3 * LEFT - textWidth(list.title, SIZE, "sans", "bold");
    const above = list.contexts !== null && textWidth(HOW, 10) < room;
    if (above && !meta.survey?.can_open)
      surface.text(width - LEFT, 12, HOW, { fill: theme.muted, size: 10, anchor: "end" });
    if (list.why !== null && !list.contexts) {
      drawNotice(surface, { x: 0, y: TOP, width, height: 80 }, list.why, theme.muted);
      return;
    }
    const clip = { x: 0, y: TOP - 4, width, height: frame.height - TOP + 4 };
    surface.group(
      "examples",
      () => {
        if (list.contexts) drawContexts(surface, scene, list.contexts, frame);
        if (list.why !== null)
          drawNotice(
            surface,
            { x: 0, y: list.height - WHY, width, height: WHY },
            list.why,
            theme.muted,
          );
        for (const row of list.rows) if (isWhole(row, frame)) drawRow(surface, scene, row, width);
        drawMore(surface, scene, list, frame);
        if (meta.survey?.can_open || above) return;
        const y = list.height - LINE / 2;
        if (textWidth(HOW, 10) < width) surface.text(LEFT, y, HOW, { fill: theme.muted, size: 10 });
      },
      { clip, y: -frame.scroll },
    );
  },

  hit(scene, frame, x, y) {
    if (y < TOP || y >= frame.height || x < 0 || x >= frame.width) return null;
    const at = y + frame.scroll;
    const list = listOf(scene, frame.width);
    const context = list.contexts && contextHit(scene, list.contexts, frame, { x, y: at });
    if (context) return context;
    const row = list.rows.find((one) => at >= one.y && at < one.y + one.height);
    return row && isWhole(row, frame) && opens(scene, row)
      ? { action: "open-example", example: row.index }
      : null;
  },

  stops(scene, frame) {
    const list = listOf(scene, frame.width);
    const examples = list.rows.map((row): Stop => {
      const rect = rowRect(row, frame.width, frame.scroll);
      const name = `example ${row.index}, ${formatWeight(row.value)}, ${row.lines.join(" ")}`;
      return opens(scene, row)
        ? { action: "open-example", example: row.index, rect, name }
        : { rect, name, onlyRead: true };
    });
    const contexts = list.contexts ? contextStops(scene, list.contexts, frame) : [];
    return [...contexts, ...examples].filter(
      ({ rect }) => rect.y >= TOP && rect.y + rect.height <= frame.height,
    );
  },
};
