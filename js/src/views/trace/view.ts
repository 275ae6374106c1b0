// The trace view: layout and marks of a trace put together, and what is said of it in words.

import { formatScore } from "../../marks/format.js";
import {
  drawStems,
  drawTrace,
  type MarkOf,
  type PlacedLabel,
  placeLabels,
} from "../../marks/trace.js";
import type { Trace } from "../../protocol/generated.js";
import type { Theme } from "../../styles/theme.js";
import type { Surface } from "../../surface/surface.js";
import {
  LONGEST_LABEL,
  NUMBER_SIZE,
  TOKEN_SIZE,
  type TraceBreak,
  type TraceColumn,
} from "./columns.js";
import { formatChange, METRIC_SIZE, sizeOf, type TraceLayout } from "./layout.js";

/** Half of a blank in the lines of the layers, which says that the axis is broken there. */
const BLANK = 5;
/** What "…" between two positions needs on each side. */
const DOTS = 12;

function drawRows(surface: Surface, layout: TraceLayout, theme: Theme): void {
  const { rows, width, field, breaks, pitch } = layout;
  const half = Math.min(BLANK, pitch / 4);
  const ends = [field.x, ...breaks.flatMap(({ x }) => [x - half, x + half]), width];
  const lines = [...rows.map(({ bottom }) => bottom), rows.at(-1)?.top ?? field.y];
  for (const y of lines) {
    for (let at = 0; at < ends.length; at += 2) {
      const [from, to] = [ends[at] as number, ends[at + 1] as number];
      surface.line(from, y, to, y, { stroke: theme.rule, width: 1 });
    }
  }
  for (const { layer, bottom, top, used } of rows) {
    const style = { fill: used ? theme.text : theme.muted, size: 11 };
    surface.text(0, (bottom + top) / 2, `layer ${layer}`, style);
  }
}

/** What stands out of a trace. */
export interface TraceFocus {
  readonly mark: MarkOf;
  readonly pinned: (position: number) => boolean;
}

const NO_FOCUS: TraceFocus = { mark: () => null, pinned: () => false };

function drawLabel(
  surface: Surface,
  column: TraceColumn,
  layout: TraceLayout,
  theme: Theme,
  { pinned }: TraceFocus,
): void {
  const { x, label, start, position } = column;
  const input = layout.field.y + layout.field.height;
  const weight = start ? "bold" : "normal";
  const fill = pinned(position) ? theme.accent : theme.text;
  const style = { fill, size: TOKEN_SIZE, weight } as const;
  if (layout.turned) {
    const turned = { anchor: "end", rotate: -90, maxWidth: LONGEST_LABEL } as const;
    surface.text(x, input + 7, label, { ...style, ...turned });
  } else {
    const maxWidth = layout.pitch - 4;
    surface.text(x, input + 13, label, { ...style, anchor: "middle", maxWidth });
  }
}

function drawPositions(
  surface: Surface,
  layout: TraceLayout,
  theme: Theme,
  focus: TraceFocus,
): void {
  const { columns, breaks, field, height } = layout;
  const input = field.y + field.height;
  surface.text(0, input + 13, "input", { fill: theme.muted, size: 11 });
  for (const column of columns) {
    if (column.labelled) drawLabel(surface, column, layout, theme, focus);
  }
  if (breaks.length === 0) return;
  const small = { fill: theme.muted, size: NUMBER_SIZE, anchor: "middle" } as const;
  for (const { x, position, numbered } of columns) {
    if (numbered) surface.text(x, height - 8, String(position), small);
  }
  for (const { x, text, numbered } of breaks) {
    if (!numbered) continue;
    const free = !columns.some((each) => each.labelled && Math.abs(each.x - x) < DOTS);
    if (free) surface.text(x, input + 11, "…", { ...small, size: 12 });
    surface.text(x, height - 8, text, small);
  }
}

/** Labels of paths; those of what stands out come first, for the room. */
export function labelsOf({ paths, field }: TraceLayout, mark: MarkOf): readonly PlacedLabel[] {
  const first = paths.filter((path) => mark(path) !== null);
  return placeLabels([...first, ...paths.filter((path) => !first.includes(path))], field);
}

/** Draw a trace at the origin. */
export function drawTraceView(
  surface: Surface,
  layout: TraceLayout,
  theme: Theme,
  focus: TraceFocus = NO_FOCUS,
): void {
  drawRows(surface, layout, theme);
  surface.group("positions", () => drawPositions(surface, layout, theme, focus));
  surface.group("residual", () => drawStems(surface, layout.stems, theme));
  const labels = labelsOf(layout, focus.mark);
  surface.group("links", () => drawTrace(surface, layout.paths, labels, theme, focus.mark));
  const { text, x, y } = layout.metric;
  surface.text(x, y, text, { fill: theme.text, size: METRIC_SIZE, weight: "bold" });
  const top = layout.rows.at(-1)?.top ?? layout.field.y;
  for (const column of layout.columns.filter(({ start }) => start)) {
    surface.path(
      [["M", column.x - 4, top - 2], ["L", column.x + 4, top - 2], ["L", column.x, top - 9], ["Z"]],
      { fill: theme.text },
    );
  }
}

/** More paths than these lie over each other until none can be followed. */
const MOST_DRAWN = 30;

/** A trace with those of its links that are drawn, the largest; it still says how many there are. */
export function drawnTrace(trace: Trace): Trace {
  if (trace.links.length <= MOST_DRAWN) return trace;
  const largest = [...trace.links].sort((a, b) => sizeOf(b) - sizeOf(a)).slice(0, MOST_DRAWN);
  return { ...trace, count: countOf(trace), links: largest };
}

/** How many links there are, drawn or not. */
export const countOf = ({ links, count }: Trace) => count ?? links.length;

/** What the reader of the figure has to know, a line each. */
export function traceNotes(trace: Trace, layout: TraceLayout): readonly string[] {
  const { links, metric, together } = trace;
  const count = countOf(trace);
  const read = `Path: from the key, below a layer, to the query, above it; layer.head, and the change of ${metric} when the link is cut.`;
  const estimates = links.some(({ change }) => change === null);
  const notes = [read];
  if (estimates)
    notes.push(
      "Solid: the model was run without the link. Dashed: an estimate (≈), −weight × gradient.",
    );
  if (together) {
    const { traced, every } = together;
    // Of changes in opposite directions neither is a part of the other.
    const share = traced * every > 0 ? ` (${Math.round((100 * traced) / every)} %)` : "";
    const cut = count === 1 ? "This link cut" : `All ${count} cut at once`;
    const without = `without any link of ${trace.stream}`;
    notes.push(`${cut}: ${formatChange(traced)}; ${without}: ${formatChange(every)}${share}.`);
  }
  if (count > links.length) notes.push(`Drawn: the ${links.length} largest of ${count} links.`);
  const short = layout.breaks.some(({ text, numbered }) => numbered && text.startsWith("+"));
  if (layout.breaks.length > 0)
    notes.push(`Below: numbers of positions${short ? "; + so many are left out" : ""}.`);
  return notes;
}

/** "positions 1 to 43 are left out" */
export function leftOutWords({ first, count }: TraceBreak): string {
  return count === 1
    ? `position ${first} is left out`
    : `positions ${first} to ${first + count - 1} are left out`;
}

/** Why they are: they have a column where a link begins or ends. */
export const LEFT_OUT_WHY = "no link of this trace begins or ends there";

/** What a trace says: which link the metric depends on most, and how much; labels are cut to so many characters. */
export function traceSentence(trace: Trace, longest = Number.POSITIVE_INFINITY) {
  const { links, labels, metric, value } = trace;
  const [first] = links;
  const said = `${metric} = ${formatScore(value)}`;
  if (first === undefined) return { link: said, number: ": no link that it depends on was found." };
  const { layer, head, query, key, change, estimate } = first;
  const named = (position: number) => {
    const label = labels[position] ?? "";
    return `“${label.length > longest ? `${label.slice(0, longest - 1)}…` : label}”`;
  };
  const how = change === null ? `about ${formatChange(estimate)}` : formatChange(change);
  return {
    link: `${said} depends most on ${layer}.${head}, ${named(query)} → ${named(key)}`,
    number: `: ${how} without it.`,
  };
}

/** The trace in a sentence, for readers who do not see it. */
export function traceWords(trace: Trace): string {
  const { link, number } = traceSentence(trace);
  const count = trace.links.length > 0 ? ` ${countOf(trace)} links are traced.` : "";
  return link + number + count;
}
