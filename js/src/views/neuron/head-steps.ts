// Neuron view of a whole head: its steps as small matrices, in the order of the explanation.

import { formatScore, formatWeight, rounded } from "../../marks/format.js";
import { divergingShade, sequentialShade, shadedPixels } from "../../marks/matrix/shading.js";
import { memo } from "../../marks/memo.js";
import { labelFill, labelOf, quoted } from "../../marks/text/tokens.js";
import type { RecordScene } from "../../scene/scene.js";
import { parseHex } from "../../styles/colours.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import type { Frame, View } from "../view.js";
import { drawHeader, type Header, headerStops, hitHeader } from "./header.js";
import { HEADER, PAD, reasonHeight } from "./layout.js";
import { inFrame } from "./link-scene.js";
import { drawError, drawReason, reasonLines } from "./reason.js";
import { readSteps, type Step, type Steps } from "./steps.js";

const SIZE = 12;
const SMALL = 11;
const LEGEND_SIZE = 10;
const PAIR = 36;
const TITLE = 18;
const LEGEND = 18;
const GAP = 12;
/** Below this a matrix is no picture any more. */
const LEAST = 96;
const TALLEST = 340;
/** Rows are labelled where they are at least so high. */
const LABELLED = 9;

interface Grid {
  readonly columns: number;
  /** Of one matrix. */
  readonly width: number;
  readonly height: number;
  /** Room for the rows' labels at the left, 0 for none. */
  readonly labels: number;
  readonly top: number;
  readonly total: number;
}

const count = ([from, to]: readonly [number, number]) => to - from;

function gridOf(
  scene: RecordScene,
  { steps, queries, keys }: Steps,
  width: number,
  height: number,
): Grid {
  const reason = scene.layer.has_vectors ? 0 : reasonHeight(reasonLines(scene, width));
  const top = HEADER + PAIR + reason;
  const inner = Math.max(LEAST, width - 2 * PAD);
  const shape = Math.max(1, count(queries)) / Math.max(1, count(keys));
  const of = (columns: number): Grid => {
    const size = (labels: number) => (inner - labels - GAP * (columns - 1)) / columns;
    const high = (each: number) => Math.max(12, Math.min(TALLEST, each * shape));
    const widest = Array.from({ length: Math.min(32, count(queries)) }, (_, at) =>
      textWidth(labelOf(scene.queries, queries[0] + at), SMALL),
    );
    const room = Math.min(64, Math.max(0, ...widest) + 6);
    const labelled = count(queries) <= 32 && high(size(room)) / count(queries) >= LABELLED;
    const labels = labelled && size(room) >= LEAST ? room : 0;
    const each = size(labels);
    const lines = Math.ceil(steps.length / columns);
    const one = TITLE + high(each) + LEGEND;
    return {
      columns,
      width: each,
      height: high(each),
      labels,
      top,
      total: Math.floor(top + lines * one + PAD),
    };
  };
  // As many on each line: of five matrices four and one would look as if the last were another matter.
  const even = steps.map((_, index) => Math.ceil(steps.length / (index + 1)));
  const grids = [...new Set(even)]
    .sort((a, b) => a - b)
    .map(of)
    .filter((grid) => grid.width >= LEAST);
  // The fewest beside each other that fit the height; where none does, the most.
  return grids.find(({ total }) => total <= height) ?? grids.at(-1) ?? of(1);
}

interface HeadScene {
  readonly scene: RecordScene;
  readonly frame: Frame;
  readonly steps: Steps;
  readonly grid: Grid;
  readonly scroll: number;
}

function readHead(scene: RecordScene, frame: Frame): HeadScene {
  const steps = readSteps(scene);
  const grid = gridOf(scene, steps, frame.width, frame.height);
  const scroll = Math.max(0, Math.min(frame.scroll, grid.total - frame.height));
  return { scene, frame, steps, grid, scroll };
}

/** The place of a step's matrix in the content. */
function panelRect({ grid }: HeadScene, index: number): Rect {
  const { columns, width, height, labels, top } = grid;
  const [line, column] = [Math.floor(index / columns), index % columns];
  return {
    x: PAD + labels + column * (width + GAP),
    y: top + line * (TITLE + height + LEGEND) + TITLE,
    width,
    height,
  };
}

function headerOf({ scene, frame, steps }: HeadScene): Header {
  const notes = scene.state.positions === "words" ? ["pieces of words"] : [];
  const subject = { head: steps.head, query: null, weight: null, focus: -1, notes };
  return { scene, frame, subject };
}

function numberAt({ queries, keys, query, key }: Steps, { matrix }: Step): number | null {
  const [row, column] = [query - queries[0], key - keys[0]];
  if (!matrix || row < 0 || column < 0 || row >= matrix.rows || column >= matrix.columns)
    return null;
  return matrix.row(row)[column] ?? null;
}

function sayNumber({ kind }: Step, value: number | null): string {
  if (value === null) return "…";
  return kind === "score" ? formatScore(value) : formatWeight(value);
}

/** The numbers of the pair in question, one step after the other. */
function pairText(steps: Steps): string {
  return steps.steps
    .map((step) => `${step.short} ${sayNumber(step, numberAt(steps, step))}`)
    .join(" · ");
}

/** "queries 236–363 of 2,000, keys 236–363 of 2,000"; empty where all are shown. */
function windowText({ queries: all, keys }: RecordScene, { queries, keys: shown }: Steps): string {
  const part = (name: string, [from, to]: readonly [number, number], of: number) =>
    to - from < of ? [`${name} ${from}–${to - 1} of ${of.toLocaleString("en")}`] : [];
  const parts = [...part("queries", queries, all.length), ...part("keys", shown, keys.length)];
  return parts.length > 0 ? `${parts.join(", ")}, around what is pinned` : "";
}

function drawPair(surface: Surface, head: HeadScene): void {
  const { scene, steps, frame } = head;
  const { theme, queries, keys } = scene;
  const right = frame.width - PAD;
  const y = HEADER + 8;
  const style = { fill: theme.text, size: SIZE, weight: "bold" } as const;
  const width = (text: string) => textWidth(text, SIZE, "sans", "bold");
  // Each label by itself: text in another direction stays where it belongs.
  const room = 0.3 * (right - PAD);
  const [from, to] = [
    quoted(queries, steps.query, room),
    steps.key < 0 ? "" : quoted(keys, steps.key, room),
  ];
  surface.text(PAD, y, from, { ...style, maxWidth: room + 12 });
  surface.text(PAD + width(from) + 4, y, "→", { ...style, fill: theme.muted });
  const at = PAD + width(from) + 20;
  surface.text(at, y, to, { ...style, maxWidth: room + 12 });
  const note = windowText(scene, steps) || "query ↓  key →";
  const left = at + width(to) + 12;
  const muted = { fill: theme.muted, size: SMALL } as const;
  if (right - left > 40) {
    surface.text(right, y, note, { ...muted, anchor: "end", maxWidth: right - left });
  }
  const numbers = { fill: theme.text, size: SMALL, maxWidth: right - PAD } as const;
  surface.text(PAD, y + 17, pairText(steps), numbers);
}

/** What the colours of a step mean. */
function legendText(
  { scoreEnd, valueEnd, steps }: Steps,
  index: number,
  room: number,
  whole: boolean,
): string {
  const step = steps[index];
  if (!step?.matrix) return "loading …";
  const fitting = (...texts: readonly string[]) =>
    texts.find((text) => textWidth(text, LEGEND_SIZE) <= room) ?? texts.at(-1) ?? "";
  if (step.kind === "weight") {
    // Of a window only part of each row is in sight.
    return whole ? fitting("0 to 1, a row adds up to 1", "a row adds up to 1") : "0 to 1";
  }
  if (step.kind === "value") return `0 to ${rounded(valueEnd ?? 0)}`;
  const end = `±${rounded(scoreEnd ?? 0)}`;
  if (index === 0) return end;
  if (!step.masked) return fitting(`${end}, the scale of 1`, end);
  return fitting(`${end}, the scale of 1; grey: masked`, `${end}, grey: masked`, end);
}

function drawStepMatrix(
  surface: Surface,
  { scene, steps }: HeadScene,
  step: Step,
  rect: Rect,
): void {
  const { theme } = scene;
  const { matrix } = step;
  const { scoreEnd, valueEnd } = steps;
  const end = step.kind === "score" ? scoreEnd : step.kind === "value" ? valueEnd : 1;
  if (!matrix || end === null) {
    surface.rect(rect, { fill: theme.wash });
    return;
  }
  const signed = step.kind === "score";
  const colouring = {
    name: step.kind,
    shade: signed ? divergingShade(end) : sequentialShade(end > 0 ? end : 1),
    table: signed ? theme.diverging : theme.sequential,
  };
  const name = `step ${step.kind} ${end} ${theme.id}`;
  const pixels = memo(matrix, name, () => shadedPixels(matrix, colouring, parseHex(theme.rule)));
  surface.image(rect, pixels, false);
}

/** The pair in question, in every step. */
function drawMark(surface: Surface, { scene, steps }: HeadScene, rect: Rect): void {
  const { queries, keys, query, key } = steps;
  const [rows, columns] = [count(queries), count(keys)];
  const [row, column] = [query - queries[0], key - keys[0]];
  const [high, wide] = [rect.height / rows, rect.width / columns];
  const stroke = scene.theme.accent;
  const inside = row >= 0 && row < rows;
  if (inside) {
    const y = rect.y + row * high;
    surface.rect({ ...rect, y, height: high }, { stroke, opacity: 0.45 });
  }
  if (!inside || column < 0 || column >= columns) return;
  const size = { width: Math.max(5, wide), height: Math.max(5, high) };
  const x = rect.x + (column + 0.5) * wide - size.width / 2;
  const y = rect.y + (row + 0.5) * high - size.height / 2;
  surface.rect({ x, y, ...size }, { stroke, strokeWidth: 1.5 });
}

function drawLabels(surface: Surface, { scene, steps, grid }: HeadScene, rect: Rect): void {
  const { queries, query } = steps;
  const high = rect.height / count(queries);
  for (let at = 0; at < count(queries); at++) {
    const index = queries[0] + at;
    surface.text(rect.x - 4, rect.y + (at + 0.5) * high, labelOf(scene.queries, index), {
      fill: index === query ? scene.theme.accent : labelFill(scene.queries[index], scene.theme),
      size: Math.min(SMALL, high),
      anchor: "end",
      maxWidth: grid.labels - 4,
    });
  }
}

function drawStep(surface: Surface, head: HeadScene, index: number): void {
  const { scene, steps, grid } = head;
  const { theme } = scene;
  const step = steps.steps[index] as Step;
  const rect = panelRect(head, index);
  const y = rect.y - TITLE / 2;
  const style = { fill: theme.text, size: SMALL, weight: "bold", maxWidth: rect.width } as const;
  surface.text(rect.x, y, `${index + 1}  ${step.title}`, style);
  drawStepMatrix(surface, head, step, rect);
  surface.rect(rect, { stroke: theme.rule });
  drawMark(surface, head, rect);
  if (grid.labels > 0 && index % grid.columns === 0) drawLabels(surface, head, rect);
  const legend = { fill: theme.muted, size: LEGEND_SIZE, maxWidth: rect.width } as const;
  surface.text(
    rect.x,
    rect.y + rect.height + 8,
    legendText(steps, index, rect.width, windowText(scene, steps) === ""),
    legend,
  );
}

/** All links of a head at once: a matrix for each step from query × key to weight × value. */
export const headStepsView: View<RecordScene> = {
  name: "neuron",
  contentHeight: (scene, width, height) =>
    gridOf(scene, readSteps({ ...scene, hover: null }), width, height).total,

  draw(surface, scene, frame) {
    const head = readHead(scene, frame);
    const { steps, scroll } = head;
    const clip = { x: 0, y: 0, width: frame.width, height: frame.height };
    surface.group(
      "steps",
      () => {
        drawHeader(surface, headerOf(head));
        if (steps.error !== null) {
          drawError(surface, scene, frame, steps.error);
          return;
        }
        drawPair(surface, head);
        if (!scene.layer.has_vectors) {
          drawReason(surface, scene, frame, { x: PAD, y: HEADER + PAIR + 6 }, "start");
        }
        for (let index = 0; index < steps.steps.length; index++) drawStep(surface, head, index);
      },
      { clip, y: -scroll },
    );
  },

  hit(scene, frame, x, y) {
    if (x < 0 || x >= frame.width || y < 0 || y >= frame.height) return null;
    const head = readHead(scene, frame);
    const at = y + head.scroll;
    if (at < HEADER) return hitHeader(headerOf(head), x, at);
    if (head.steps.error !== null) return null;
    const { queries, keys } = head.steps;
    for (let index = 0; index < head.steps.steps.length; index++) {
      const rect = panelRect(head, index);
      if (!contains(rect, x, at)) continue;
      const row = Math.floor(((at - rect.y) / rect.height) * count(queries));
      const column = Math.floor(((x - rect.x) / rect.width) * count(keys));
      return { query: queries[0] + row, key: keys[0] + column };
    }
    return null;
  },

  stops(scene, frame) {
    const head = readHead(scene, frame);
    const { steps } = head;
    const header = headerStops(headerOf(head));
    const { query, key } = steps;
    const rect = { x: 0, y: HEADER, width: frame.width, height: PAIR };
    const name = `query "${labelOf(scene.queries, query)}", key "${labelOf(scene.keys, key)}": ${pairText(steps)}`;
    const pair = steps.error === null && key >= 0 ? [{ query, key, rect, name }] : [];
    return inFrame(head, [...header, ...pair]);
  },
};
