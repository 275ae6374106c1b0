// Drawing, hits and stops of two token columns and the links between them.

import {
  drawLinks,
  easing,
  type LinkList,
  type LinkStyle,
  linkOpacity,
  linkPath,
  linkPixels,
  linkWidth,
} from "../../marks/links.js";
import { memo } from "../../marks/memo.js";
import { drawNotice } from "../../marks/notice.js";
import { rowAt, side, visibleRows } from "../../marks/text/token-axis.js";
import {
  drawStickyToken,
  drawTokens,
  stickyRect,
  type TokenColumn,
} from "../../marks/text/tokens.js";
import type { Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { contains, type Rect, type Surface } from "../../surface/surface.js";
import { TurnedSurface } from "../../surface/turned.js";
import { drawFailure } from "../shared/failure.js";
import { foundAt } from "../shared/found.js";
import { hoveredPositions, keyName, queryName, seriesError } from "../shared/series.js";
import type { Stop } from "../view.js";
import { drawCuts } from "../what-if/cuts.js";
import { struckAt } from "../what-if/struck.js";
import { drawGroups } from "./group-margins.js";
import { linkEnd, NUMBER_WIDTH } from "./layout.js";
import {
  allLinks,
  focusLinks,
  headOf,
  type LinesInput,
  loadedRows,
  pictureKey,
  SEVERAL,
} from "./links.js";
import { drawMarkers, markersOf } from "./markers.js";
import { drawNumbers, underlinesOf } from "./numbers.js";

/** How much of everything else stays visible behind what is in focus. */
const QUIET = 0.32;
/** So many links behind a focus are drawn as vectors at every hover. */
const MOST_BEHIND = 600;

/** The styles of all groups of links, of both signs where there are. */
function styles(scene: Scene, { series, signed }: LinesInput): readonly LinkStyle[] {
  const { theme } = scene;
  const named = series.map(({ layer, head, colour, name, out = false }) => {
    if (scene.together) return { colour, name: `links ${name}` };
    const dashed = out ? { dashed: true } : {};
    const where = layer === scene.state.layer ? "" : `layer ${layer} `;
    return { colour, name: `links ${where}head ${head}`, ...dashed };
  });
  if (!signed) return named;
  return [theme.positive, theme.negative].flatMap((colour, sign) =>
    named.map(({ name, ...rest }) => ({
      ...rest,
      colour,
      name: `${name} ${sign === 0 ? "adding" : "taking away"}`,
    })),
  );
}

function keptLinks(scene: Scene, input: LinesInput): LinkList {
  return memo(scene.stream, `list ${pictureKey(input)}`, () => allLinks(input));
}

/** The links of every visible query; behind what is in focus in grey. */
function drawAll(surface: Surface, scene: Scene, input: LinesInput): void {
  if (loadedRows(input) === 0) return;
  const links = keptLinks(scene, input);
  const area = input.layout.links;
  const quiet = input.focus.about !== "all";
  const key = `${quiet} ${pictureKey(input)}`;
  const { most, scale, work, file } = surface.strokes;
  const fade = quiet ? QUIET : 1;
  const drawn = quiet
    ? styles(scene, input).map(({ name }) => ({ name, colour: scene.theme.muted, fade }))
    : styles(scene, input);
  const picture = () =>
    memo(scene.stream, `picture ${scale} ${work} ${scene.theme.id} ${key}`, () =>
      linkPixels(
        area,
        links,
        drawn.map(({ colour }) => colour),
        scale,
        { work, file, fade },
      ),
    );
  // Behind a focus they are drawn anew with every hover: more than a few are one picture, which is kept.
  const limit = Math.min(most / input.pictures, quiet && !scene.drawing ? MOST_BEHIND : most);
  const draw = () => drawLinks(surface, area, links, drawn, picture, limit);
  if (quiet) surface.group("links-behind", draw);
  else draw();
}

/** Which links are named: to the pinned tokens, or of a query the strongest of all heads. */
function named({ focus }: LinesInput, links: LinkList): (link: number) => boolean {
  const aboutQuery = focus.about === "query";
  const others = aboutQuery ? focus.keys : focus.queries;
  const ends = aboutQuery ? links.key : links.query;
  if (others.length > 0) return (link) => others.includes(ends[link] as number);
  if (!aboutQuery) return () => false;
  let best = -1;
  for (let i = 0; i < links.length; i++) {
    if (ends[i] !== SEVERAL && !((links.weight[i] as number) <= (links.weight[best] ?? 0)))
      best = i;
  }
  return (link) => link === best;
}

/** The link that is named once more, on top and wider, so that it is found in its fan. */
function drawNamed(surface: Surface, scene: Scene, input: LinesInput, links: LinkList): void {
  const { layout } = input;
  const colours = styles(scene, input);
  const isNamed = named(input, links);
  const draw = () => {
    for (let i = 0; i < links.length; i++) {
      if (!isNamed(i)) continue;
      const weight = links.weight[i] as number;
      const path = linkPath(layout.links, links.from[i] as number, links.to[i] as number);
      const group = links.group[i] as number;
      const stroke = colours[group]?.colour;
      const out = headOf(input, group)?.out ?? false;
      if (!stroke) continue;
      const opacity = Math.max(0.15, linkOpacity(weight));
      const dash = out ? { dash: [5, 4] } : {};
      surface.path(path, { stroke, strokeWidth: 1.5 * linkWidth(weight) + 0.5, opacity, ...dash });
    }
  };
  surface.group("pair", draw, { clip: layout.links });
}

/** The pinned token of a column, when it was scrolled out of the window. */
function stickyRow(column: TokenColumn, pinned: number | null): number | null {
  return pinned !== null && side(column.axis, pinned) !== 0 ? pinned : null;
}

function drawColumn(
  surface: Surface,
  scene: Scene,
  input: LinesInput,
  which: "query" | "key",
): void {
  const { focus, layout } = input;
  const column = which === "query" ? layout.queries : layout.keys;
  if (column.width === 0) return;
  const pinned = input.pinned[which];
  const pins = which === "query" ? scene.state.queries : scene.state.keys;
  const hovered = hoveredPositions(scene)[which];
  const underlined = focus.about === (which === "query" ? "key" : "query");
  const { generationStep, stream } = scene;
  const marks = {
    hovered,
    pinned: pins,
    there: (which === "query" ? generationStep?.numQueries : generationStep?.numKeys) ?? null,
    prompt: (which === "query" ? stream.prompt?.queries : stream.prompt?.keys) ?? null,
    ...(underlined && !scene.drawing?.horizontal
      ? { underlines: underlinesOf(input, scene.theme) }
      : {}),
    ...(which === "key" && scene.aside.keys.length > 0 ? { aside: scene.aside } : {}),
    ...(input.groups ? { faded: (index: number) => input.groups?.[which](index) === false } : {}),
    ...(input.absent ? { absent: input.absent } : {}),
    found: foundAt(scene, which),
    struck: struckAt(scene, input.series, which),
  };
  drawTokens(surface, column, marks, scene.theme);
  const sticky = stickyRow(column, pinned);
  if (sticky === null) return;
  drawStickyToken(surface, column, sticky, linkEnd(column, sticky, sticky), scene.theme);
}

/** What runs from right to left has its queries at the right. */
export function readingSurface(
  surface: Surface,
  { drawing }: Scene,
  { layout: { body } }: LinesInput,
): Surface {
  if (!drawing?.rightToLeft) return surface;
  const mirrorAt = body.x + body.width / 2;
  return new TurnedSurface(surface, { transposed: false, mirrorAt, level: null });
}

/** Two token columns and the links between them: everything that moves with the scroll. */
export function drawLines(target: Surface, scene: Scene, input: LinesInput): void {
  const surface = readingSurface(target, scene, input);
  const { layout, focus } = input;
  const columns = () => {
    surface.group("tokens query", () => drawColumn(surface, scene, input, "query"));
    surface.group("tokens key", () => drawColumn(surface, scene, input, "key"));
    if (focus.about !== "all") {
      surface.group("numbers", () => drawNumbers(surface, scene, input));
    }
  };
  // A label may be higher than its row.
  const over = Math.max(0, (layout.queries.size - layout.queries.axis.rowHeight) / 2);
  const { y, height } = layout.body;
  const clip = { ...layout.body, y: y - over, height: height + 2 * over };
  surface.group("tokens", columns, { clip });
  drawGroups(surface, scene, input);
  drawAll(surface, scene, input);
  if (focus.about !== "all") {
    const links = focusLinks(input);
    drawLinks(surface, layout.links, links, styles(scene, input));
    drawNamed(surface, scene, input, links);
  }
  drawCuts(surface, scene, input);
  drawMarkers(surface, scene, input);
}

/** Why there are no lines: what went wrong, or that they are on their way. */
export function drawLinesState(surface: Surface, scene: Scene, input: LinesInput, area: Rect) {
  const { theme } = scene;
  const error = seriesError(scene, input.series);
  if (error !== null) drawFailure(surface, scene, area, error);
  else if (loadedRows(input) === 0) drawNotice(surface, input.layout.links, "loading", theme.muted);
}

/** Pixels from a link within which the pointer is on it, and the least weight that can be pointed at. */
const REACH = 4;
const LEAST_HIT = 0.01;

/**
 * The link under a point. Looked up in what the pins show, never in what the hover shows: a hover
 * that changed what can be hovered would flicker.
 */
function hitLink(scene: Scene, input: LinesInput, x: number, y: number): Hit | null {
  const { links: area } = input.layout;
  const links = input.focus.about === "all" ? keptLinks(scene, input) : focusLinks(input);
  const at = easing((x - area.x) / area.width);
  let best: Hit | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < links.length; i++) {
    const weight = links.weight[i] as number;
    if (weight < LEAST_HIT || links.key[i] === SEVERAL) continue;
    const from = links.from[i] as number;
    const distance = Math.abs(y - from - ((links.to[i] as number) - from) * at);
    // Of two links equally near, the stronger one is meant.
    const cost = distance - REACH * weight;
    if (distance > REACH || cost >= least) continue;
    least = cost;
    const { layer, head } = headOf(input, links.group[i] as number) ?? {};
    if (layer === undefined || head === undefined) continue;
    best = { layer, head, query: links.query[i] as number, key: links.key[i] as number };
  }
  return best;
}

/** What is under a point. `input.focus` must be that of the pins. */
export function hitLines(scene: Scene, input: LinesInput, x: number, y: number): Hit | null {
  const { layout } = input;
  const { body, links, queries, keys } = layout;
  if (x < body.x || x > body.x + body.width || y < body.y || y >= body.y + body.height) return null;
  for (const { rect, hit } of markersOf(scene, input)) {
    if (contains(rect, x, y)) return hit;
  }
  const token = (column: TokenColumn, pinned: number | null) => {
    const sticky = stickyRow(column, pinned);
    if (sticky === null) return rowAt(column.axis, y);
    const kept = stickyRect(column, linkEnd(column, sticky, sticky));
    return y >= kept.y && y < kept.y + kept.height ? sticky : rowAt(column.axis, y);
  };
  if (x < links.x) {
    const query = token(queries, input.pinned.query);
    return query === null ? null : { query };
  }
  if (x >= links.x + links.width) {
    const key = token(keys, input.pinned.key);
    return key === null ? null : { key };
  }
  return hitLink(scene, input, x, y);
}

/** Stops are cheap to count but not to read through; more than this many a side help nobody. */
const MOST_STOPS = 36;

function tokenStops(
  input: LinesInput,
  column: TokenColumn,
  most: number,
  make: (index: number) => Pick<Stop, "query" | "key" | "name">,
): readonly Stop[] {
  const { axis } = column;
  const atQueries = column.align === "end";
  const { numbers } = input.layout;
  const gutter = (atQueries ? numbers.query : numbers.key) * NUMBER_WIDTH;
  const x = atQueries ? column.x - gutter : column.x;
  const width = column.width + gutter;
  const [first, last] = visibleRows(axis);
  return Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i)
    .filter((index) => side(axis, index) === 0)
    .slice(0, most)
    .map((index) => {
      const y = axis.top - axis.offset + index * axis.rowHeight;
      return { rect: { x, y, width, height: axis.rowHeight }, ...make(index) };
    });
}

export function lineStops(scene: Scene, input: LinesInput, most = MOST_STOPS): readonly Stop[] {
  const { layout } = input;
  const queries = tokenStops(input, layout.queries, most, (query) => ({
    query,
    name: queryName(scene, input.series, query),
  }));
  const keys = tokenStops(input, layout.keys, most, (key) => ({ key, name: keyName(scene, key) }));
  const jumps = markersOf(scene, input).map(({ rect, hit, name }) => ({ ...hit, rect, name }));
  return [...queries, ...keys, ...jumps];
}
