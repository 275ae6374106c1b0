// The form "trace": the links that a metric depends on over all layers, each to be pointed at and selected.

import { wordsOf } from "../../data/words.js";
import { drawCard } from "../../marks/card.js";
import { rounded } from "../../marks/format.js";
import { drawNotes, fittedNotes, LEGEND_LINE } from "../../marks/legends/legend.js";
import { drawNotice } from "../../marks/notice.js";
import { pointOf, type TraceMark, type TracePath } from "../../marks/trace.js";
import type { Trace, TracedLink } from "../../protocol/generated.js";
import { hasLegend, onPaper, recordScene, type Scene, tracedHere } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { pointer } from "../shared/series.js";
import type { Frame, Stop, View } from "../view.js";
import type { TraceBreak } from "./columns.js";
import { formatChange, type LinkPath, layoutTrace, type TraceLayout } from "./layout.js";
import {
  drawnTrace,
  drawTraceView,
  LEFT_OUT_WHY,
  labelsOf,
  leftOutWords,
  type TraceFocus,
  traceNotes,
  traceWords,
} from "./view.js";

/** How near the pointer must come to the edge of a path. */
const REACH = 5;
/** Straight pieces that a path is taken for. */
const PIECES = 24;
const MOST_STOPS = 80;
const EMPTY_HEIGHT = 160;
/** Right of the last position, for the half of its label and number. */
const EDGE = 10;

interface Drawn {
  readonly trace: Trace;
  readonly layout: TraceLayout;
  readonly notes: readonly string[];
}

/** What is drawn at a width; null where there is no link to draw. */
function drawnAt(scene: Scene, width: number): Drawn | null {
  const found = tracedHere(scene)?.trace;
  if (!found || found.links.length === 0) return null;
  const trace = drawnTrace(found);
  const layout = layoutTrace(trace, width - EDGE, scene.theme);
  const notes = hasLegend(scene) ? fittedNotes(traceNotes(trace, layout), width) : [];
  return { trace, layout, notes };
}

const heightOf = ({ layout, notes }: Drawn) =>
  Math.ceil(layout.height) + (notes.length > 0 ? 6 + LEGEND_LINE * notes.length : 0);

/** In the place of links. */
function insteadOf(scene: Scene): string {
  const found = tracedHere(scene);
  if (found?.trace) return traceWords(found.trace);
  if (found?.state === "refused") return onPaper(scene) ? found.message : "Nothing is traced.";
  if (found?.state === "running") return "running the model …";
  return scene.traced?.cannot || "Nothing is traced yet.";
}

/** Where a position of the trace is among those that are shown: words, or pieces; undefined where it is none of them. */
function shownPlace(scene: Scene, axis: "queries" | "keys", position: number): number | undefined {
  const recorded = recordScene(scene)[axis];
  if (position >= recorded.length) return undefined;
  const words = scene[axis].length === recorded.length ? null : wordsOf(recorded);
  return words ? words.numbers[position] : position;
}

/** A link as what lies under a point: its ends as they are shown, and those of the record, which a click selects. */
function hitOf(scene: Scene, { layer, head, query, key }: TracedLink): Hit {
  const ends = { query: shownPlace(scene, "queries", query), key: shownPlace(scene, "keys", key) };
  const there = <T extends object>(of: T) =>
    Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined));
  const pin = there({
    query: ends.query === undefined ? undefined : query,
    key: ends.key === undefined ? undefined : key,
  });
  return { layer, head, ...there(ends), pin, action: "choose-link" };
}

/** What is selected, and what is pointed at in whatever view. */
function focusOf(scene: Scene): TraceFocus {
  const { hover, state } = scene;
  const { layer, heads, queries, keys } = recordScene(scene).state;
  const { layer: l, head: h, query: q, key: k } = hover ?? {};
  const points = [l, h, q, k].some((each) => each !== undefined);
  const same = (wanted: number | undefined, is: number | undefined) =>
    wanted === undefined || wanted === is;
  const mark = (path: TracePath): TraceMark => {
    const { link } = path as LinkPath;
    const query = shownPlace(scene, "queries", link.query);
    const key = shownPlace(scene, "keys", link.key);
    const at = same(l, link.layer) && same(h, link.head) && same(q, query) && same(k, key);
    // A layer, or a head without its layer, is a part of the selection, not something that is pointed at.
    if (points && (h !== undefined || q !== undefined || k !== undefined) && at) return "pointed";
    const head = link.layer === layer && heads.includes(link.head);
    return head && queries.includes(link.query) && keys.includes(link.key) ? "selected" : null;
  };
  const pinned = (position: number) => {
    const [query, key] = [
      shownPlace(scene, "queries", position),
      shownPlace(scene, "keys", position),
    ];
    return (
      (query !== undefined && state.queries.includes(query)) ||
      (key !== undefined && state.keys.includes(key))
    );
  };
  return { mark, pinned };
}

const betweenEnds = (a: { x: number; y: number }, b: { x: number; y: number }, t: number) => ({
  x: a.x + t * (b.x - a.x),
  y: a.y + t * (b.y - a.y),
});

/** How far a point is from the middle of a path. */
function distanceTo(path: TracePath, x: number, y: number): number {
  let least = Number.POSITIVE_INFINITY;
  let before = pointOf(path, 0);
  for (let piece = 1; piece <= PIECES; piece++) {
    const next = pointOf(path, piece / PIECES);
    const [dx, dy] = [next.x - before.x, next.y - before.y];
    const along = ((x - before.x) * dx + (y - before.y) * dy) / (dx * dx + dy * dy || 1);
    const at = betweenEnds(before, next, Math.max(0, Math.min(1, along)));
    least = Math.min(least, Math.hypot(at.x - x, at.y - y));
    before = next;
  }
  return least;
}

/** The link at a point of the layout: that of the label there, else the nearest path. */
function linkAt(scene: Scene, layout: TraceLayout, x: number, y: number): TracedLink | null {
  // As they lie while nothing is pointed at: else labels would run from the pointer.
  const { mark } = focusOf({ ...scene, hover: null });
  const label = labelsOf(layout, mark).find(({ box }) => contains(box, x, y));
  if (label) return (label.path as LinkPath).link;
  let best: TracedLink | null = null;
  let least = REACH;
  for (const path of layout.paths) {
    const away = distanceTo(path, x, y) - path.width / 2;
    // Of two at the same place the larger one, which comes first and lies on top.
    if (away < least) [best, least] = [path.link, away];
  }
  return best;
}

/** The token under a point, below the links. */
function tokenAt(scene: Scene, layout: TraceLayout, x: number, y: number): Hit | null {
  const { field, columns, pitch, height } = layout;
  if (y < field.y + field.height || y > height) return null;
  const column = columns.find((each) => Math.abs(each.x - x) <= pitch / 2);
  const query = column && shownPlace(scene, "queries", column.position);
  return column && query !== undefined ? { query, pin: { query: column.position } } : null;
}

/** Below the links, where the axis leaves positions out. */
function breakRect({ field, height }: TraceLayout, { x, width }: TraceBreak): Rect {
  const top = field.y + field.height;
  return { x: x - width / 2, y: top, width, height: height - top };
}

const breakAt = (layout: TraceLayout, x: number, y: number) =>
  layout.breaks.find((each) => contains(breakRect(layout, each), x, y));

/** The tokens that are left out there, as far as a card has room for them. */
const LONGEST_TEXT = 60;
function textOf({ labels }: Trace, { first, count }: TraceBreak): string {
  const text = labels.slice(first, first + count).join(" ");
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1)}…` : text;
}

/** "layer 3 head 3: “it” → “cat”" */
function nameOf({ labels }: Trace, { layer, head, query, key }: TracedLink): string {
  return `layer ${layer} head ${head}: “${labels[query]}” → “${labels[key]}”`;
}

function drawBreakCard(surface: Surface, scene: Scene, { trace, layout }: Drawn, frame: Frame) {
  const at = pointer(scene.hover, "head");
  const found = at && breakAt(layout, at.x, at.y + frame.scroll);
  if (!found) return;
  const bounds = { x: 0, y: 0, width: frame.width, height: frame.height };
  const colour = scene.theme.background;
  const rows = [
    { colour, label: `“${textOf(trace, found)}”`, value: "", note: "" },
    { colour, label: LEFT_OUT_WHY, value: "", note: "" },
  ];
  drawCard(surface, { title: leftOutWords(found), rows }, at, bounds, scene.theme);
}

function drawLinkCard(surface: Surface, scene: Scene, { trace, layout }: Drawn, frame: Frame) {
  const at = pointer(scene.hover, "head");
  const link = at && linkAt(scene, layout, at.x, at.y + frame.scroll);
  if (!link) return;
  const path = layout.paths.find((each) => each.link === link);
  const row = (label: string, value: string, note = "") => {
    return { colour: path?.colour ?? scene.theme.text, label, value, note };
  };
  const { change, estimate, weight, query, key } = link;
  const distance = query - key;
  const rows = [
    ...(change === null ? [] : [row("change without it", formatChange(change))]),
    row("estimate", `≈ ${formatChange(estimate)}`, change === null ? "not cut yet" : ""),
    row("weight", rounded(weight, 3)),
    row("distance", `${Math.abs(distance)} ${distance < 0 ? "ahead" : "back"}`),
  ];
  const bounds = { x: 0, y: 0, width: frame.width, height: frame.height };
  drawCard(surface, { title: nameOf(trace, link), rows }, at, bounds, scene.theme);
}

/** The square around a link's label, or the middle of its path where that has none. */
function placeOf(layout: TraceLayout, path: LinkPath, labels: ReturnType<typeof labelsOf>): Rect {
  const label = labels.find((each) => each.path === path);
  if (label) return label.box;
  const { x, y } = pointOf(path, 0.5);
  return { x: Math.min(x - 6, layout.width - 12), y: y - 6, width: 12, height: 12 };
}

export const traceForm: Omit<View, "name"> = {
  contentHeight: (scene, width) => {
    const drawn = drawnAt(scene, width);
    return drawn ? heightOf(drawn) : EMPTY_HEIGHT;
  },

  draw(surface, scene, frame) {
    const { width, height, scroll } = frame;
    const area = { x: 0, y: 0, width, height };
    const drawn = drawnAt(scene, width);
    if (!drawn) {
      drawNotice(surface, area, insteadOf(scene), scene.theme.muted);
      return;
    }
    const { layout, notes } = drawn;
    const draw = () => {
      drawTraceView(surface, layout, scene.theme, focusOf(scene));
      const middle = layout.height + 6 + LEGEND_LINE / 2;
      if (notes.length > 0) drawNotes(surface, notes, width, middle, scene.theme);
    };
    surface.group("trace", draw, { clip: area, y: -scroll });
    drawLinkCard(surface, scene, drawn, frame);
    drawBreakCard(surface, scene, drawn, frame);
  },

  hit(scene, frame, x, y) {
    const drawn = drawnAt(scene, frame.width);
    if (!drawn) return null;
    const { layout } = drawn;
    const link = linkAt(scene, layout, x, y + frame.scroll);
    if (link) return hitOf(scene, link);
    // There is nothing to press where positions are left out, only something to be told.
    return breakAt(layout, x, y + frame.scroll) ? {} : tokenAt(scene, layout, x, y + frame.scroll);
  },

  reveal(scene, frame) {
    const drawn = drawnAt(scene, frame.width);
    const { mark } = focusOf({ ...scene, hover: null });
    const path = drawn?.layout.paths.find((each) => mark(each) === "selected");
    if (!path) return null;
    const { y } = pointOf(path, 0.5);
    const inside = y >= frame.scroll && y <= frame.scroll + frame.height;
    return inside ? null : Math.max(0, y - frame.height / 2);
  },

  stops(scene, frame) {
    const drawn = drawnAt(scene, frame.width);
    if (!drawn || onPaper(scene)) return [];
    const { trace, layout } = drawn;
    const labels = labelsOf(layout, focusOf({ ...scene, hover: null }).mark);
    const told = layout.breaks.map((each): Stop => {
      const rect = breakRect(layout, each);
      const name = `${leftOutWords(each)}: ${LEFT_OUT_WHY}`;
      return { rect: { ...rect, y: rect.y - frame.scroll }, name, onlyRead: true };
    });
    const links = layout.paths.map((path): Stop => {
      const { link } = path;
      const { x, y, width, height } = placeOf(layout, path, labels);
      const { change, estimate } = link;
      const how = change === null ? `about ${formatChange(estimate)}` : `${formatChange(change)}`;
      const name = `${nameOf(trace, link)}, ${how} without it`;
      return { ...hitOf(scene, link), rect: { x, y: y - frame.scroll, width, height }, name };
    });
    const isInSight = ({ rect }: Stop) => rect.y >= 0 && rect.y + rect.height <= frame.height;
    return [...links.filter(isInSight).slice(0, MOST_STOPS), ...told.filter(isInSight)];
  },
};
