// Links between two columns of tokens, as vectors or accumulated in one picture.

import { strongestFirst } from "../data/strongest-first.js";
import { parseHex } from "../styles/colours.js";
import {
  type PathStep,
  type Pixels,
  type Rect,
  SCREEN_WORK,
  type Surface,
} from "../surface/surface.js";

/** How far a link leans towards a straight line: 0 is an S with level ends, 1 is straight. */
const LEAN = 0.3;

const POWER = 0.75;
/** Never quite opaque: what lies under a link still shows. */
const STRONGEST = 0.95;

/** Of one picture: 64 MB. A file of a finer resolution has it enlarged. */
const MOST_PIXELS = 1 << 24;

/**
 * A weight's opacity. Between linear, in which a broad head's many small weights vanish, and the
 * root, in which they bury everything: the three-quarters power. The legend shows what it does.
 */
export function linkOpacity(weight: number): number {
  return weight > 0 ? STRONGEST * Math.min(1, weight) ** POWER : 0;
}

/** CSS pixels. */
export function linkWidth(weight: number): number {
  return 0.8 + 3.2 * Math.min(1, Math.max(0, weight));
}

/** Below this weight a link changes no pixel by a visible 1/255. */
export const INVISIBLE = (1 / 255 / STRONGEST) ** (1 / POWER);

/**
 * Links between two columns as parallel arrays: tens of thousands of objects would cost more than
 * drawing them. `group` picks the colour.
 */
export class LinkList {
  length = 0;
  from = new Float32Array(256);
  to = new Float32Array(256);
  weight = new Float32Array(256);
  group = new Uint16Array(256);
  query = new Int32Array(256);
  key = new Int32Array(256);

  /** `from` and `to` are heights in pixels, at the left and at the right edge. */
  add(query: number, key: number, from: number, to: number, weight: number, group: number): void {
    const i = this.length++;
    if (i === this.from.length) this.grow();
    this.from[i] = from;
    this.to[i] = to;
    this.weight[i] = weight;
    this.group[i] = group;
    this.query[i] = query;
    this.key[i] = key;
  }

  private grow(): void {
    const size = 2 * this.from.length;
    const copy = <T extends Float32Array | Uint16Array | Int32Array>(old: T, fresh: T): T => {
      fresh.set(old);
      return fresh;
    };
    this.from = copy(this.from, new Float32Array(size));
    this.to = copy(this.to, new Float32Array(size));
    this.weight = copy(this.weight, new Float32Array(size));
    this.group = copy(this.group, new Uint16Array(size));
    this.query = copy(this.query, new Int32Array(size));
    this.key = copy(this.key, new Int32Array(size));
  }
}

/** Where between its two ends (0..1) a link is at `t` of the way across. */
export function easing(t: number): number {
  return LEAN * t + (1 - LEAN) * t * t * (3 - 2 * t);
}

function slope(t: number): number {
  return LEAN + (1 - LEAN) * 6 * t * (1 - t);
}

/** The same curve as a Bézier: with its handles at the thirds, x runs evenly and y is `easing`. */
export function linkPath({ x, width }: Rect, from: number, to: number): readonly PathStep[] {
  const reach = ((to - from) * LEAN) / 3;
  return [
    ["M", x, from],
    ["C", x + width / 3, from + reach, x + (2 * width) / 3, to - reach, x + width, to],
  ];
}

/** How the links of one group are drawn; the only one in a figure is edited as one. */
export interface LinkStyle {
  readonly name: string;
  readonly colour: string;
  /** Of all opacities; 1 where it is left out. */
  readonly fade?: number;
  /** Links that count for nothing. One picture of many has no dashes. */
  readonly dashed?: boolean;
}

/** Links as vectors, the weak ones first and the strong ones on top, whichever head they are of. */
function drawVectors(
  surface: Surface,
  area: Rect,
  links: LinkList,
  styles: readonly LinkStyle[],
): void {
  const order = Array.from({ length: links.length }, (_, i) => i);
  order.sort((a, b) => strongestFirst(links.weight[b] as number, links.weight[a] as number));
  const draw = () => {
    for (const i of order) {
      const weight = links.weight[i] as number;
      const { colour, fade = 1, dashed = false } = styles[links.group[i] as number] as LinkStyle;
      surface.path(linkPath(area, links.from[i] as number, links.to[i] as number), {
        stroke: colour,
        strokeWidth: linkWidth(weight),
        opacity: fade * linkOpacity(weight),
        ...(dashed ? { dash: [5, 4] } : {}),
      });
    }
  };
  const [only] = styles;
  if (styles.length === 1 && only) surface.group(only.name, draw);
  else draw();
}

/** Links per group, as indices. */
function byGroup(links: LinkList): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (let i = 0; i < links.length; i++) {
    const group = links.group[i] as number;
    const members = groups.get(group);
    if (members) members.push(i);
    else groups.set(group, [i]);
  }
  return groups;
}

/** One group's links as flat arrays in device pixels, in the order the inner loop reads them. */
interface Strokes {
  readonly colour: readonly [number, number, number];
  readonly from: Float64Array;
  readonly rise: Float64Array;
  readonly half: Float64Array;
  /** Optical depth, -ln(1 - opacity): where links cross, depths add and opacities multiply. */
  readonly depth: Float64Array;
}

/**
 * How much narrower a stroke is summed up than it is drawn, in pixels at each edge: half covered by a
 * great depth, an edge pixel comes out more than half opaque.
 */
function edgeGain(depth: number): number {
  const opacity = 1 - Math.exp(-depth);
  return depth > 1e-3 ? (1 - opacity / depth) / opacity - 0.5 : 0;
}

function strokes(
  links: LinkList,
  colours: readonly string[],
  top: number,
  scale: number,
): Strokes[] {
  const depthOf = (weight: number) => -Math.log(1 - linkOpacity(weight));
  return Array.from(byGroup(links), ([group, members]) => {
    const weights = members.map((i) => links.weight[i] as number);
    const from = Float64Array.from(members, (i) => ((links.from[i] as number) - top) * scale);
    return {
      colour: parseHex(colours[group] as string),
      from,
      rise: Float64Array.from(
        members,
        (i, n) => ((links.to[i] as number) - top) * scale - (from[n] as number),
      ),
      half: Float64Array.from(
        weights,
        (weight) => (linkWidth(weight) * scale) / 2 - edgeGain(depthOf(weight)),
      ),
      depth: Float64Array.from(weights, depthOf),
    };
  });
}

/** One column of the picture: where it lies and how wide it is, in device pixels. */
interface Slice {
  /** 0..1 across, at its middle. */
  readonly t: number;
  readonly width: number;
  /** Device pixels across all columns. */
  readonly full: number;
  readonly height: number;
}

/**
 * Add one column's strokes to `change`, which holds differences from pixel to pixel: a stroke of any
 * height costs its two ends, each spread over two pixels for a smooth edge.
 */
function addStrokes(change: Float64Array, slice: Slice, s: Strokes): void {
  const { height } = slice;
  const at = easing(slice.t);
  const steepness = slope(slice.t) / slice.full;
  const spread = Math.max(0, slice.width - 1) / 2;
  const { from, rise, half, depth } = s;
  for (let i = 0; i < from.length; i++) {
    const dy = rise[i] as number;
    const y = (from[i] as number) + dy * at;
    const tangent = Math.abs(dy * steepness);
    // Cut upright, a slanted stroke is taller than it is wide; over a wide column it also moves.
    const cut = (half[i] as number) * Math.sqrt(1 + tangent * tangent);
    const reach = cut + tangent * spread;
    const low = Math.max(0, y - reach);
    const high = Math.min(height, y + reach);
    if (high <= low) continue;
    const d = ((depth[i] as number) * cut) / reach;
    const first = low | 0;
    const last = high | 0;
    const enter = d * (low - first);
    const leave = d * (high - last);
    change[first] = (change[first] as number) + d - enter;
    change[first + 1] = (change[first + 1] as number) + enter;
    change[last] = (change[last] as number) - d + leave;
    change[last + 1] = (change[last + 1] as number) - leave;
  }
}

/** Running sums of `change`, added to the column's depth and to its colours weighted by depth. */
function gather(change: Float64Array, colour: Strokes["colour"], column: Float64Array): void {
  const [r, g, b] = colour;
  let depth = 0;
  for (let y = 0, i = 0; i < column.length; y++, i += 4) {
    depth += change[y] as number;
    change[y] = 0;
    if (depth < 1e-4) continue;
    column[i] = (column[i] as number) + depth * r;
    column[i + 1] = (column[i + 1] as number) + depth * g;
    column[i + 2] = (column[i + 2] as number) + depth * b;
    column[i + 3] = (column[i + 3] as number) + depth;
  }
}

interface PictureOptions {
  /** Of all opacities. */
  readonly fade?: number;
  readonly work?: number;
  readonly file?: boolean;
}

/** Steps of opacity and of colour in a file: a whole figure of the finest hues is half as large again. */
const FILE_STEP = 4;

/**
 * All links summed up in one picture, made for `scale` device pixels per CSS pixel in at most `work`
 * steps, with wider columns where that is too few for the links: each group's
 * depths add up and colours mix by depth, so that the picture does not depend on an order and blends
 * into a light and a dark ground alike.
 */
export function linkPixels(
  area: Rect,
  links: LinkList,
  colours: readonly string[],
  scale: number,
  { fade = 1, work = SCREEN_WORK, file = false }: PictureOptions = {},
): Pixels {
  const finest = Math.min(scale, Math.sqrt(MOST_PIXELS / (area.width * area.height)));
  const height = Math.max(1, Math.round(area.height * finest));
  const full = Math.max(1, Math.round(area.width * finest));
  const width = Math.max(Math.min(64, full), Math.min(full, Math.floor(work / links.length)));
  const groups = strokes(links, colours, area.y, height / area.height);
  const grain = file ? FILE_STEP : 1;
  const data = new Uint8ClampedArray(4 * width * height);
  const change = new Float64Array(height + 2);
  const column = new Float64Array(4 * height);
  for (let x = 0; x < width; x++) {
    const slice = { t: (x + 0.5) / width, width: full / width, full, height };
    column.fill(0);
    for (const group of groups) {
      addStrokes(change, slice, group);
      gather(change, group.colour, column);
      change.fill(0, height);
    }
    for (let y = 0, to = 4 * x; y < height; y++, to += 4 * width) {
      const depth = column[4 * y + 3] as number;
      if (depth === 0) continue;
      const alpha = grain * Math.round((255 / grain) * fade * (1 - Math.exp(-depth)));
      if (alpha === 0) continue;
      // No finer than it can be seen at this opacity: exact hues of faint pixels bloat a figure.
      const step = (255 * grain) / alpha;
      for (let c = 0; c < 3; c++) {
        data[to + c] = Math.round((column[4 * y + c] as number) / depth / step) * step;
      }
      data[to + 3] = alpha;
    }
  }
  return { width, height, data };
}

/** In a file whose pixels these are, they are not smoothed: that would blur them. */
function drawPicture(surface: Surface, area: Rect, picture: Pixels): void {
  const { file, scale } = surface.strokes;
  const exact = Math.abs(picture.width - area.width * scale) < 1;
  surface.image(area, picture, !(file && exact));
}

/**
 * Links across `area`, clipped to it: vectors up to `limit`, one picture beyond. `picture` makes that
 * picture and may keep it.
 */
export function drawLinks(
  surface: Surface,
  area: Rect,
  links: LinkList,
  styles: readonly LinkStyle[],
  picture: () => Pixels = () => {
    const colours = styles.map(({ colour }) => colour);
    const { scale, work, file } = surface.strokes;
    return linkPixels(area, links, colours, scale, { work, file });
  },
  limit = surface.strokes.most,
): void {
  if (links.length === 0 || area.width <= 0 || area.height <= 0) return;
  const summed = links.length > limit;
  const draw = () => {
    if (summed) drawPicture(surface, area, picture());
    else drawVectors(surface, area, links, styles);
  };
  // A picture ends where its clip would, which costs the converter a layer.
  surface.group("links", draw, summed && surface.strokes.file ? {} : { clip: area });
}
