// Neuron view: query × key by dimension, to score, softmax and output.

import { formatScore, formatWeight } from "../../marks/format.js";
import { drawNotice } from "../../marks/notice.js";
import { equationText } from "../../marks/text/equation.js";
import { drawParagraph } from "../../marks/text/paragraph.js";
import { type RecordScene, recordScene, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { showsWords } from "../shared/measure.js";
import type { Frame, Stop, View } from "../view.js";
import { focusTerms } from "./data.js";
import { drawDetail, sortDimensionsRect } from "./detail.js";
import { drawTitle, otherHeads } from "./heads.js";
import { CELL, HEADING, PAD, ROW, STRIP, TITLE } from "./layout.js";
import { drawDimensionMark, drawHeadings, drawQueryStrip, drawRows } from "./rows.js";
import {
  contentHeight,
  dimensionAt,
  firstRow,
  keyRowAt,
  type Neuron,
  REASON_SIZE,
  readNeuronScene,
  reasonOf,
  rowTop,
} from "./scene.js";

const MAX_ROW_STOPS = 75;

/** Of the two headings that keys can be sorted by, the one not in use: clicking it changes over. */
function sortKeysRect({ scene, layout, frame }: Neuron): Rect {
  const { label, weight } = layout.columns;
  const column = scene.options.keyOrder === "weight" ? label : weight;
  const width = Math.min(column.width, 64, frame.width - column.x);
  return { x: column.x, y: layout.headerHeight - HEADING, width, height: HEADING };
}

function queryStripRect({ layout, stripSpans }: Neuron): Rect | null {
  const span = stripSpans[0];
  const y = TITLE + (STRIP - CELL) / 2;
  return span && layout.detail ? { x: span.x, y, width: span.width, height: CELL } : null;
}

function drawReason(surface: Surface, neuron: Neuron): void {
  const { scene, frame } = neuron;
  const at = { x: frame.width / 2, y: TITLE + 14, width: frame.width - 6 * PAD, leading: 16 };
  const style = { fill: scene.theme.text, size: REASON_SIZE, anchor: "middle" } as const;
  drawParagraph(surface, at, reasonOf(scene), style);
}

function drawError(surface: Surface, neuron: Neuron, error: string): void {
  const { frame, scene, layout } = neuron;
  const at = {
    x: PAD,
    y: layout.headerHeight + 14,
    width: frame.width - 2 * PAD,
    leading: 16,
  };
  drawParagraph(surface, at, error, { fill: scene.theme.danger, size: REASON_SIZE });
}

function hitDetail(neuron: Neuron, x: number, y: number): Hit | null {
  const { layout, data } = neuron;
  const { contributions, result } = layout.detail ?? {};
  if (contributions) {
    if (contains(sortDimensionsRect(contributions.head), x, y))
      return { action: "sort-dimensions" };
    if (contains(contributions.bars, x, y)) {
      const dimension = dimensionAt(neuron, contributions.bars, x);
      return dimension === null ? null : { dimension };
    }
  }
  if (result && contains(result.output, x, y)) return { query: data.query };
  if (result && contains(result.value, x, y) && data.focus >= 0) return { key: data.focus };
  return null;
}

function hitHeader(neuron: Neuron, x: number, y: number): Hit | null {
  if (contains(sortKeysRect(neuron), x, y)) return { action: "sort-keys" };
  const choice = otherHeads(neuron).find(({ rect }) => contains(rect, x, y));
  if (choice) return { action: "choose-head", head: choice.head };
  const strip = queryStripRect(neuron);
  if (!strip || !contains(strip, x, y)) return null;
  const dimension = dimensionAt(neuron, strip, x);
  return { query: neuron.data.query, ...(dimension === null ? {} : { dimension }) };
}

function keyName(neuron: Neuron, key: number): string {
  const { scene, data } = neuron;
  const parts = [`key ${key} "${scene.keys[key]?.label ?? ""}"`];
  const [score, weight] = [data.scores?.[key], data.weights?.[key]];
  if (score !== undefined) parts.push(`score ${formatScore(score)}`);
  if (weight !== undefined) parts.push(`weight ${formatWeight(weight)}`);
  if (scene.state.key === key) parts.push("pinned");
  return parts.join(", ");
}

function rowStops(neuron: Neuron): readonly Stop[] {
  const { layout, data, frame, sticky } = neuron;
  const { headerHeight, rowsBottom } = layout;
  const stops: Stop[] = [];
  for (let row = firstRow(neuron); row < data.listed.length; row++) {
    const y = rowTop(neuron, row);
    if (y + ROW > rowsBottom || stops.length >= MAX_ROW_STOPS) break;
    // Cut off by the heading, or under the pinned key's row.
    if (y < headerHeight || keyRowAt(neuron, y + ROW / 2) !== row) continue;
    const key = data.listed[row] as number;
    const rect = { x: 0, y, width: frame.width, height: ROW };
    stops.push({ key, rect, name: keyName(neuron, key) });
  }
  if (sticky !== null) {
    const key = data.listed[sticky] as number;
    const rect = { x: 0, y: rowTop(neuron, sticky), width: frame.width, height: ROW };
    stops.push({ key, rect, name: keyName(neuron, key) });
  }
  return stops;
}

/** Query × key, element by element, to score, mask, softmax and value: why is this weight what it is? */
const apart: View<RecordScene> = {
  name: "neuron",
  contentHeight,

  draw(surface, scene, frame) {
    const neuron = readNeuronScene(scene, frame);
    const { data, layout } = neuron;
    surface.group("query", () => {
      drawTitle(surface, neuron);
      if (scene.layer.has_vectors) drawQueryStrip(surface, neuron);
      else drawReason(surface, neuron);
      drawHeadings(surface, neuron);
    });
    if (data.error !== null) {
      drawError(surface, neuron, data.error);
      return;
    }
    drawRows(surface, neuron);
    drawDimensionMark(surface, neuron);
    const { detail } = layout;
    if (detail) drawDetail(surface, neuron, detail);
  },

  hit(scene, frame: Frame, x, y) {
    const neuron = readNeuronScene(scene, frame);
    const { layout, data, stripSpans } = neuron;
    if (x < 0 || x >= frame.width || y < 0 || y >= frame.height) return null;
    if (y < layout.headerHeight) return hitHeader(neuron, x, y);
    if (data.error !== null) return null;
    const row = keyRowAt(neuron, y);
    if (row === null) return hitDetail(neuron, x, y);
    const key = data.listed[row] as number;
    for (const span of stripSpans) {
      const dimension = dimensionAt(neuron, span, x);
      if (dimension !== null) return { key, dimension };
    }
    return { key };
  },

  stops(scene, frame) {
    const neuron = readNeuronScene(scene, frame);
    const { data, layout } = neuron;
    if (data.error !== null) return [];
    const { keyOrder, dimensionOrder } = scene.options;
    const other = keyOrder === "weight" ? "position" : "weight";
    const stops: Stop[] = [
      { action: "sort-keys", rect: sortKeysRect(neuron), name: `sort keys by ${other}` },
      ...otherHeads(neuron).map(({ head, rect }) => ({
        action: "choose-head" as const,
        head,
        rect,
        name: `take head ${head} apart instead`,
      })),
      ...rowStops(neuron),
    ];
    const { detail } = layout;
    if (detail?.contributions) {
      const next = dimensionOrder === "index" ? "contribution" : "index";
      const rect = sortDimensionsRect(detail.contributions.head);
      stops.push({ action: "sort-dimensions", rect, name: `sort dimensions by ${next}` });
    }
    if (detail && data.focus >= 0) {
      const name = `${keyName(neuron, data.focus)}: ${equationText(focusTerms(scene, data))}`;
      stops.push({ key: data.focus, rect: detail.equation, name });
    }
    return stops;
  },
};

const NO_WORDS =
  "Words are merged from pieces: they have weights but no query, key or value vectors. Show pieces to see why a weight is what it is.";
const NOTICE_HEIGHT = 120;

/** A measure of another kind is nothing that softmax gave: the weight of the record is taken apart. */
function drawnRecord(scene: Scene): RecordScene {
  const record = recordScene(scene);
  return scene.drawing ? { ...record, drawing: scene.drawing } : record;
}

/** What takes a weight apart, or says why it cannot. */
export const neuronView: View = {
  name: "neuron",
  contentHeight: (scene, width, height) =>
    showsWords(scene) ? NOTICE_HEIGHT : apart.contentHeight(drawnRecord(scene), width, height),
  draw(surface, scene, frame) {
    if (!showsWords(scene)) return apart.draw(surface, drawnRecord(scene), frame);
    const all = { x: 0, y: 0, width: frame.width, height: frame.height };
    drawNotice(surface, all, NO_WORDS, scene.theme.muted);
  },
  hit: (scene, frame, x, y) =>
    showsWords(scene) ? null : apart.hit(drawnRecord(scene), frame, x, y),
  stops: (scene, frame) => (showsWords(scene) ? [] : apart.stops(drawnRecord(scene), frame)),
};
