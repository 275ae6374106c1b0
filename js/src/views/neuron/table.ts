// Neuron view, one link: the softmax as a table, a line for each key.

import { drawBar } from "../../marks/bars.js";
import { formatScore, formatWeight } from "../../marks/format.js";
import { memo } from "../../marks/memo.js";
import { drawFoundFrame } from "../../marks/text/found-frame.js";
import { indexOf, labelFill, labelOf } from "../../marks/text/tokens.js";
import type { Position } from "../../protocol/generated.js";
import { onPaper } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { foundAt } from "../shared/found.js";
import { PAD, ROW } from "./layout.js";
import type { LinkScene } from "./link-scene.js";
import { drawRowGroup, drawRowRules, rowGroup } from "./row-groups.js";

const SIZE = 12;
const SMALL = 11;
/** The place of a key whose label others have as well. */
const TINY = 9;
const BAR = 9;

/** Of the two headings that keys can be sorted by, the one not in use: clicking it changes over. */
export function sortRect({ scene, layout }: LinkScene): Rect {
  const { heading, columns } = layout;
  if (scene.options.keyOrder === "weight") {
    return { ...heading, x: columns.label.x, width: 40 };
  }
  const { x, width } = columns.weight;
  return { ...heading, x, width };
}

function drawHeading(surface: Surface, link: LinkScene): void {
  const { scene, layout } = link;
  const { theme, options } = scene;
  const { heading, columns } = layout;
  const { label, score, bar, weight } = columns;
  const y = heading.y + heading.height / 2;
  const sorts = (by: "position" | "weight") =>
    onPaper(scene) || options.keyOrder === by ? theme.muted : theme.accent;
  const style = { fill: theme.muted, size: SMALL } as const;
  surface.text(label.x, y, "key", { ...style, fill: sorts("position") });
  if (score) {
    surface.text(score.x + score.width, y, "score", { ...style, anchor: "end" });
    const room = weight.x + 4 - bar.x;
    const long = "e^score, as a share of the row";
    const text = textWidth(long, SMALL) <= room ? long : "share of e^score";
    surface.text(bar.x, y, text, { ...style, maxWidth: room });
  }
  const right = weight.x + weight.width;
  surface.text(right, y, "weight", { ...style, fill: sorts("weight"), anchor: "end" });
}

function drawWeight(
  surface: Surface,
  { layout, scene }: LinkScene,
  y: number,
  value: number | null,
  style: { readonly fill: string; readonly bar: string; readonly bold: boolean },
): void {
  const { bar, weight } = layout.columns;
  if (value !== null) {
    const rect = { x: bar.x, y: y - BAR / 2, width: bar.width, height: BAR };
    // The whole width is the whole row: bars of all queries can be compared.
    drawBar(surface, rect, value, 1, style.bar);
    surface.line(bar.x, y - BAR / 2, bar.x, y + BAR / 2, { stroke: scene.theme.rule });
  }
  const text = value === null ? "…" : formatWeight(value);
  surface.text(weight.x + weight.width, y, text, {
    fill: style.fill,
    size: SIZE,
    weight: style.bold ? "bold" : "normal",
    anchor: "end",
  });
}

/** Labels that several keys have: only their places tell them apart. */
function repeated(keys: readonly Position[]): ReadonlySet<string> {
  return memo(keys, "repeated labels", () => {
    const [seen, again] = [new Set<string>(), new Set<string>()];
    for (const { label } of keys) (seen.has(label) ? again : seen).add(label);
    return again;
  });
}

function drawKey(surface: Surface, link: LinkScene, key: number, top: number): void {
  const { scene, frame, data, layout } = link;
  const { theme, state, hover, layer, keys } = scene;
  const row = { x: 0, y: top, width: frame.width, height: ROW };
  if (hover?.key === key || state.key === key) surface.rect(row, { fill: theme.wash });
  if (state.key === key) surface.rect({ ...row, width: 3 }, { fill: theme.accent });
  const y = top + ROW / 2;
  const own = theme.head(data.head, layer.num_heads);
  const focus = key === data.focus;
  const { label, score } = layout.columns;
  const [name, weight] = [labelOf(keys, key), focus ? "bold" : "normal"] as const;
  const place = repeated(keys).has(name) ? indexOf(keys, key) : "";
  const group = rowGroup(scene, key, label.width);
  const beside = (place === "" ? 0 : textWidth(place, TINY) + 4) + (group?.width ?? 0);
  const room = label.width - beside;
  if (group) drawRowGroup(surface, scene, group, label.x + label.width, y);
  const style = { fill: focus ? own : labelFill(keys[key], theme), size: SIZE, weight };
  surface.text(label.x, y, name, { ...style, maxWidth: room });
  const mark = foundAt(scene, "key")?.(key);
  if (mark) {
    const width = Math.min(room, Math.max(4, textWidth(name, SIZE, "sans", weight)));
    const box = { x: label.x, y: y - SIZE / 2 - 2, width, height: SIZE + 4 };
    drawFoundFrame(surface, box, mark, theme);
  }
  if (place !== "") {
    const x = label.x + Math.min(room, textWidth(name, SIZE, "sans", weight)) + 4;
    surface.text(x, y, place, { fill: theme.muted, size: TINY });
  }
  const fill = focus ? own : theme.text;
  if (score) {
    const value = data.scores?.[key];
    const text = value === undefined ? "…" : formatScore(value);
    surface.text(score.x + score.width, y, text, { fill, size: SIZE, anchor: "end" });
  }
  const bar = focus ? own : theme.muted;
  drawWeight(surface, link, y, data.weights?.[key] ?? null, { fill, bar, bold: focus });
}

/** "6 more keys, 0.058 together ▾". */
export function moreText({ scene, data }: LinkScene, keys: readonly number[]): string {
  const name = keys.length === 1 ? "1 more key" : `${keys.length} more keys`;
  const open = onPaper(scene) ? "" : " ▾";
  if (!data.weights) return `${name}${open}`;
  let sum = 0;
  for (const key of keys) sum += data.weights[key] as number;
  return `${name}, ${formatWeight(sum)} together${open}`;
}

function drawMasked(surface: Surface, link: LinkScene, group: number, y: number): void {
  const { scene, data, layout } = link;
  const { keys, why } = data.masked[group] ?? { keys: [], why: "" };
  const { label, score, bar } = layout.columns;
  const style = { fill: scene.theme.muted, size: SIZE } as const;
  const names = keys.slice(0, 12).map((key) => labelOf(scene.keys, key));
  const few = names.length === keys.length && textWidth(names.join(", "), SIZE) <= label.width;
  const end = link.frame.width - PAD;
  if (keys.length === 0) {
    surface.text(label.x, y, why, { ...style, maxWidth: end - label.x });
    return;
  }
  const text = few
    ? names.join(", ")
    : keys.length === 1
      ? (names[0] ?? "")
      : `${keys.length} keys`;
  surface.text(label.x, y, text, { ...style, maxWidth: label.width });
  if (score && data.scores) {
    surface.text(score.x + score.width, y, formatScore(Number.NEGATIVE_INFINITY), {
      ...style,
      anchor: "end",
    });
  }
  surface.text(bar.x, y, why, { ...style, size: SMALL, maxWidth: end - bar.x });
}

function drawSink(surface: Surface, link: LinkScene, y: number): void {
  const { scene, data, layout } = link;
  const { theme, layer } = scene;
  const { label, score } = layout.columns;
  const sink = layer.sinks?.[data.head];
  const style = { fill: theme.special, size: SIZE } as const;
  surface.text(label.x, y, "sink, no value", { ...style, maxWidth: label.width });
  if (score && sink !== undefined) {
    surface.text(score.x + score.width, y, formatScore(sink), { ...style, anchor: "end" });
  }
  drawWeight(surface, link, y, data.sinkWeight, {
    fill: theme.special,
    bar: theme.special,
    bold: false,
  });
}

function drawLine(surface: Surface, link: LinkScene, line: number, top: number): void {
  const what = link.table.at(line);
  const y = top + ROW / 2;
  const { x } = link.layout.columns.label;
  const maxWidth = link.frame.width - PAD - x;
  const { theme } = link.scene;
  if (what?.kind === "key") drawKey(surface, link, what.key, top);
  else if (what?.kind === "sink") drawSink(surface, link, y);
  else if (what?.kind === "masked") drawMasked(surface, link, what.group, y);
  else if (what?.kind === "more") {
    const fill = onPaper(link.scene) ? theme.muted : theme.accent;
    surface.text(x, y, moreText(link, what.keys), { fill, size: SMALL, maxWidth });
  } else if (what?.kind === "fewer" && !onPaper(link.scene)) {
    surface.text(x, y, "only the strongest ▴", { fill: theme.accent, size: SMALL, maxWidth });
  }
}

/** The lines of the table that are in sight, from the first to the last. */
export function linesInSight({
  layout,
  table,
  scroll,
  frame,
}: LinkScene): readonly [number, number] {
  const first = Math.max(0, Math.floor((scroll - layout.tableTop) / ROW));
  const last = Math.ceil((scroll + frame.height - layout.tableTop) / ROW);
  return [first, Math.max(first, Math.min(last, layout.lines, table.count))];
}

export function drawTable(surface: Surface, link: LinkScene): void {
  surface.group("keys", () => {
    drawHeading(surface, link);
    const [first, last] = linesInSight(link);
    drawRowRules(surface, link, [first, last]);
    for (let line = first; line < last; line++) {
      drawLine(surface, link, line, link.layout.tableTop + line * ROW);
    }
  });
}
