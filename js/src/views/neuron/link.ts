// Neuron view of one link: q, k, product, score, softmax, value and output, in this order.

import { formatScore, formatWeight } from "../../marks/format.js";
import { equationText } from "../../marks/text/equation.js";
import type { RecordScene, Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect } from "../../surface/surface.js";
import type { Frame, Stop, View } from "../view.js";
import { focusTerms } from "./data.js";
import { directionStops, drawDirections } from "./direction-rows.js";
import { drawHeader, headerStops, hitHeader } from "./header.js";
import { HEADER, ROW } from "./layout.js";
import {
  dimensionAt,
  headerOf,
  inFrame,
  type LinkScene,
  layoutOf,
  lineAt,
  readLink,
} from "./link-scene.js";
import { drawError, drawReason } from "./reason.js";
import {
  cellOf,
  drawBars,
  drawEquation,
  drawLinkVectors,
  drawResult,
  orderRect,
} from "./strips.js";
import { drawTable, linesInSight, moreText, sortRect } from "./table.js";

const MAX_ROW_STOPS = 60;

/** What lies in the strips and bars: dimensions, and what each is of. */
function hitStrips(link: LinkScene, x: number, y: number): Hit | null {
  const { layout, data, dims, order } = link;
  const { query, key, product, bars, value, output } = layout;
  const at = (line: Rect | null, sorted: Int32Array | null): { dimension: number } | null => {
    if (!line || !contains(line, x, y)) return null;
    const dimension = dimensionAt(line, x, dims, sorted);
    return dimension === null ? null : { dimension };
  };
  const ordering = orderRect(link);
  if (ordering && contains(ordering, x, y)) return { action: "sort-dimensions" };
  for (const line of [query, key, product]) {
    const hit = at(line && cellOf(line), null);
    if (hit) return hit;
  }
  const bar = at(bars, order);
  if (bar) return bar;
  if (output && contains(output, x, y)) return { query: data.query };
  return value && data.focus >= 0 && contains(value, x, y) ? { key: data.focus } : null;
}

function keyName({ scene, data }: LinkScene, key: number): string {
  const parts = [`key ${key} "${scene.keys[key]?.label ?? ""}"`];
  const [score, weight] = [data.scores?.[key], data.weights?.[key]];
  if (score !== undefined) parts.push(`score ${formatScore(score)}`);
  if (weight !== undefined) parts.push(`weight ${formatWeight(weight)}`);
  if (scene.state.key === key) parts.push("pinned");
  return parts.join(", ");
}

function rowStops(link: LinkScene): readonly Stop[] {
  const { layout, frame, table } = link;
  const [first, last] = linesInSight(link);
  const stops: Stop[] = [];
  for (let line = first; line < last && stops.length < MAX_ROW_STOPS; line++) {
    const what = table.at(line);
    const rect = { x: 0, y: layout.tableTop + line * ROW, width: frame.width, height: ROW };
    if (what?.kind === "key") stops.push({ key: what.key, rect, name: keyName(link, what.key) });
    else if (what?.kind === "more") {
      stops.push({ action: "all-keys", rect, name: `show all keys: ${moreText(link, what.keys)}` });
    } else if (what?.kind === "fewer") {
      stops.push({ action: "all-keys", rect, name: "show only the strongest keys" });
    }
  }
  return stops;
}

/** All the height there is; what the pointer is on does not count, or the panel would jump. */
function contentHeight(scene: Scene, width: number, height: number): number {
  // Nor does the step of a generation: the last query sees as many keys as any.
  const { generationStep, state, queries } = scene;
  const query = generationStep ? queries.length - 1 : state.query;
  const still = { ...scene, state: { ...state, query } } as RecordScene;
  return layoutOf(still, width, height).height;
}

/** Query × key, dimension by dimension, to score, mask, softmax and value: why is this weight what it is? */
export const linkView: View<RecordScene> = {
  name: "neuron",
  contentHeight,

  draw(surface, scene, frame) {
    const link = readLink(scene, frame);
    const { data } = link;
    const all = { x: 0, y: 0, width: frame.width, height: frame.height };
    surface.group(
      "explanation",
      () => {
        drawHeader(surface, headerOf(link));
        if (data.error !== null) {
          drawError(surface, scene, frame, data.error);
          return;
        }
        const { reason } = link.layout;
        const middle = frame.width / 2;
        if (reason) drawReason(surface, scene, frame, { x: middle, y: reason.y + 8 }, "middle");
        drawLinkVectors(surface, link);
        drawBars(surface, link);
        drawDirections(surface, link);
        drawEquation(surface, link);
        drawTable(surface, link);
        drawResult(surface, link);
      },
      { clip: all, y: -link.scroll },
    );
  },

  hit(scene, frame: Frame, x, y) {
    if (x < 0 || x >= frame.width || y < 0 || y >= frame.height) return null;
    const link = readLink(scene, frame);
    const at = y + link.scroll;
    if (at < HEADER) return hitHeader(headerOf(link), x, at);
    if (link.data.error !== null) return null;
    if (contains(sortRect(link), x, at)) return { action: "sort-keys" };
    const line = lineAt(link, at);
    if (line?.kind === "key") return { key: line.key };
    if (line?.kind === "more" || line?.kind === "fewer") return { action: "all-keys" };
    return line ? null : hitStrips(link, x, at);
  },

  stops(scene, frame) {
    const link = readLink(scene, frame);
    const { data, layout } = link;
    const header = headerStops(headerOf(link));
    if (data.error !== null) return inFrame(link, header);
    const { keyOrder, dimensionOrder } = scene.options;
    const other = keyOrder === "weight" ? "position" : "weight";
    const stops: Stop[] = [
      ...header,
      { action: "sort-keys", rect: sortRect(link), name: `sort keys by ${other}` },
      ...rowStops(link),
    ];
    const bars = orderRect(link);
    if (bars) {
      const next = dimensionOrder === "index" ? "size" : "place";
      stops.push({ action: "sort-dimensions", rect: bars, name: `order the products by ${next}` });
    }
    if (layout.equation && data.focus >= 0) {
      const name = `${keyName(link, data.focus)}: ${equationText(focusTerms(scene, data))}`;
      stops.push({ key: data.focus, rect: layout.equation, name });
    }
    return inFrame(link, [...stops, ...directionStops(link)]);
  },
};
