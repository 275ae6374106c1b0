// Layout of a trace: layers as rows from the input up, positions as columns, links as paths between them.

import { formatScore, formatSigned } from "../../marks/format.js";
import type { TracePath, TraceStem } from "../../marks/trace.js";
import type { Trace, TracedLink } from "../../protocol/generated.js";
import type { Theme } from "../../styles/theme.js";
import type { Rect } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { columnsOf, LONGEST_LABEL, TOKEN_SIZE, type TraceColumns } from "./columns.js";

/** The path of a link. */
export interface LinkPath extends TracePath {
  readonly link: TracedLink;
}

/** A row: what lies between the stream before a layer and after it. */
export interface TraceRow {
  readonly layer: number;
  readonly bottom: number;
  readonly top: number;
  readonly used: boolean;
}

export interface TraceLayout extends TraceColumns {
  readonly width: number;
  readonly height: number;
  readonly rows: readonly TraceRow[];
  /** Where the paths are. */
  readonly field: Rect;
  readonly paths: readonly LinkPath[];
  readonly stems: readonly TraceStem[];
  /** What is measured, and where it stands. */
  readonly metric: { readonly text: string; readonly x: number; readonly y: number };
}

export const METRIC_SIZE = 12;
const HEAD = 30;
const ALL_ROWS = 460;
const HIGHEST = 84;
const LOWEST = 30;
/** Of a row without a link, beside one with. */
const EMPTY = 0.25;
const LEAST_EMPTY = 13;
const WIDEST_PATH = 7;
/** Between paths of several heads from the same key to the same query, beside their widths. */
const LANE = 2.5;
/** From here on a label says how far a link reaches. */
const FAR = 8;

export const sizeOf = ({ change, estimate }: TracedLink) => Math.abs(change ?? estimate);

/** A change with as many digits as it has meaning: one decimal from 1 on. */
export function formatChange(value: number): string {
  const size = Math.abs(value);
  return formatSigned(value, size >= 1 ? 1 : size >= 0.1 ? 2 : 3);
}

/** "3.3 −5.0"; an estimate is said to be one; of a link that reaches far, how far. */
export function labelOf(link: TracedLink): string {
  const { layer, head, query, key, change, estimate } = link;
  const number = change === null ? `≈ ${formatChange(estimate)}` : formatChange(change);
  const distance = query - key;
  const far =
    Math.abs(distance) < FAR ? "" : ` · ${Math.abs(distance)} ${distance > 0 ? "back" : "ahead"}`;
  return `${layer}.${head} ${number}${far}`;
}

function rowsOf(trace: Trace): readonly TraceRow[] {
  const used = new Set(trace.links.map(({ layer }) => layer));
  const parts = trace.layers.reduce((sum, { layer }) => sum + (used.has(layer) ? 1 : EMPTY), 0);
  const high = Math.max(LOWEST, Math.min(HIGHEST, ALL_ROWS / Math.max(1, parts)));
  const heights = trace.layers.map(({ layer }) =>
    used.has(layer) ? high : Math.max(LEAST_EMPTY, EMPTY * high),
  );
  let y = HEAD + heights.reduce((sum, height) => sum + height, 0);
  return trace.layers.map(({ layer }, at) => {
    const bottom = y;
    y -= heights[at] as number;
    return { layer, bottom, top: y, used: used.has(layer) };
  });
}

/** How far aside each link is drawn: those between the same two places side by side, as wide as they are. */
function lanesOf(
  links: readonly TracedLink[],
  width: (link: TracedLink) => number,
  pitch: number,
): ReadonlyMap<TracedLink, number> {
  const same = new Map<string, TracedLink[]>();
  for (const link of links) {
    const place = `${link.layer} ${link.query} ${link.key}`;
    same.set(place, [...(same.get(place) ?? []), link]);
  }
  const lanes = new Map<TracedLink, number>();
  for (const several of same.values()) {
    const all = several.reduce((sum, link) => sum + width(link) + LANE, -LANE);
    const fit = Math.min(1, (0.7 * pitch) / all);
    let at = -all / 2;
    for (const link of several) {
      lanes.set(link, fit * (at + width(link) / 2));
      at += width(link) + LANE;
    }
  }
  return lanes;
}

function pathsOf(
  trace: Trace,
  rows: readonly TraceRow[],
  { columns, pitch }: TraceColumns,
  theme: Theme,
): readonly LinkPath[] {
  const x = new Map(columns.map((column) => [column.position, column.x]));
  const row = new Map(rows.map((one) => [one.layer, one]));
  const heads = new Map(trace.layers.map(({ layer, num_heads }) => [layer, num_heads]));
  const largest = Math.max(...trace.links.map(sizeOf), Number.MIN_VALUE);
  const width = (link: TracedLink) => 1.2 + (WIDEST_PATH - 1.2) * (sizeOf(link) / largest);
  const lanes = lanesOf(trace.links, width, pitch);
  return trace.links.flatMap((link): readonly LinkPath[] => {
    const { layer, head, key, query, change } = link;
    const [place, from, to] = [row.get(layer), x.get(key), x.get(query)];
    if (place === undefined || from === undefined || to === undefined) return [];
    const aside = lanes.get(link) ?? 0;
    // Of a path to the right the left one is the upper one, to the left the right one.
    const down = from === to ? 0 : Math.sign(to - from) * aside;
    return [
      {
        link,
        from: { x: from + aside, y: place.bottom },
        to: { x: to + aside, y: place.top },
        colour: theme.head(head, heads.get(layer) ?? 1),
        width: width(link),
        drop: 1.3 * down,
        dashed: change === null,
        label: labelOf(link),
      },
    ];
  });
}

/** Each position from the input up to where it is read last: by the metric, or as a link's key; a query ends above it. */
function stemsOf(
  trace: Trace,
  rows: readonly TraceRow[],
  { columns }: TraceColumns,
): readonly TraceStem[] {
  const input = rows[0]?.bottom ?? HEAD;
  const output = rows.at(-1)?.top ?? HEAD;
  const row = new Map(rows.map((one) => [one.layer, one]));
  return columns.flatMap(({ x, position, start }): readonly TraceStem[] => {
    const ends = trace.links.flatMap((link) => {
      const place = row.get(link.layer);
      if (place === undefined) return [];
      return [
        ...(link.key === position ? [place.bottom] : []),
        ...(link.query === position ? [place.top] : []),
      ];
    });
    const top = start ? output : Math.min(input, ...ends);
    return top < input ? [{ x, bottom: input, top }] : [];
  });
}

export function layoutTrace(trace: Trace, width: number, theme: Theme): TraceLayout {
  const names = trace.layers.map(({ layer }) => textWidth(`layer ${layer}`, TOKEN_SIZE));
  const left = Math.max(textWidth("input", TOKEN_SIZE), ...names) + 12;
  const placed = columnsOf(trace, left, width - left);
  const rows = rowsOf(trace);
  const bottom = rows[0]?.bottom ?? HEAD;
  const widest = Math.max(
    0,
    ...placed.columns.map(({ label }) => textWidth(label, TOKEN_SIZE, "sans", "bold")),
  );
  const below = placed.turned ? Math.min(widest, LONGEST_LABEL) + 10 : 22;
  const numbered = placed.breaks.length > 0 ? 16 : 0;
  const text = `${trace.metric} = ${formatScore(trace.value)}`;
  const long = textWidth(text, METRIC_SIZE, "sans", "bold");
  const at = placed.columns.filter(({ start }) => start).at(-1)?.x ?? width;
  // Over the column where it is read, and inside.
  const x = Math.max(0, Math.min(at - long / 2, width - long));
  return {
    ...placed,
    width,
    height: bottom + below + numbered,
    rows,
    field: { x: left, y: HEAD, width: width - left, height: bottom - HEAD },
    paths: pathsOf(trace, rows, placed, theme),
    stems: stemsOf(trace, rows, placed),
    metric: { text, x, y: 9 },
  };
}
