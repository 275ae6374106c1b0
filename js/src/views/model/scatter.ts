// Model view as a scatter plot of two scores.

import type { LayerMeta } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import type { Frame, Stop, View } from "../view.js";
import { drawHeadCard, headName, hoveredHead } from "./card.js";
import { MAX_STOPS } from "./grid.js";
import { type Board, boardOf, chosenScores, readScore, scoreScaleEnd } from "./head-scores.js";
import { hidesHeads, type Placed } from "./heads.js";
import { NOTE, scoreNotes } from "./legend.js";

const LEFT = 44;
const RIGHT = 14;
const BOTTOM = 34;
const HEIGHT = 320;
const SIZE = 10;
/** How near the pointer must come. */
const REACH = 10;

interface Dot {
  readonly head: Placed;
  readonly x: number;
  readonly y: number;
}

interface Plot {
  readonly board: Board;
  readonly dots: readonly Dot[];
  readonly titles: readonly [string, string];
  readonly ends: readonly [number, number];
  readonly notes: readonly string[];
  readonly area: { x: number; y: number; width: number; height: number };
  readonly radius: number;
}

/** Each head at its two scores; heads without one of them are not there. */
function plotOf(scene: Scene, frame: { width: number; height: number }): Plot | null {
  const board = boardOf(scene);
  const other = readScore(scene, chosenScores(scene).y);
  if (!board || !other.values) return null;
  const down = other.values;
  const notes = [...scoreNotes(scene, board)];
  const missing = board.heads.filter(({ index }) =>
    Number.isNaN((board.values[index] as number) + (down[index] as number)),
  ).length;
  if (missing > 0) notes.push(`${missing} heads without one of the scores are left out`);
  const top = 4 + NOTE * notes.length + 8;
  const area = {
    x: LEFT,
    y: top,
    width: Math.max(40, frame.width - LEFT - RIGHT),
    height: Math.max(40, Math.min(frame.height, 620) - top - BOTTOM),
  };
  const ends = [board.most, scoreScaleEnd(down, other.name)] as const;
  const hidden = hidesHeads(scene);
  const dots = board.heads.flatMap((head): Dot[] => {
    if (hidden && board.isOut(head.index)) return [];
    const [a, b] = [board.values[head.index] as number, down[head.index] as number];
    if (Number.isNaN(a) || Number.isNaN(b)) return [];
    const x = area.x + (a / ends[0]) * area.width;
    return [{ head, x, y: area.y + (1 - b / ends[1]) * area.height }];
  });
  const titles = [board.score.title, other.title] as const;
  const radius = dots.length > 300 ? 2.5 : dots.length > 60 ? 3.5 : 5;
  return { board, dots, titles, ends, notes, area, radius };
}

/** A number on an axis, as short as it is exact. */
const tick = (value: number) => String(Number(value.toPrecision(2)));

function drawAxes(surface: Surface, { theme }: Scene, plot: Plot): void {
  const { area, ends, titles } = plot;
  const label = { fill: theme.muted, size: SIZE } as const;
  const low = area.y + area.height;
  for (const part of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    const x = area.x + part * area.width;
    const y = low - part * area.height;
    surface.line(x, area.y, x, low, { stroke: theme.rule });
    surface.line(area.x, y, area.x + area.width, y, { stroke: theme.rule });
    surface.text(x, low + 9, tick(part * ends[0]), { ...label, anchor: "middle" });
    surface.text(area.x - 5, y, tick(part * ends[1]), { ...label, anchor: "end" });
  }
  const title = { fill: theme.text, size: 11, weight: "bold", anchor: "middle" } as const;
  const middle = area.x + area.width / 2;
  surface.text(middle, low + 24, titles[0], { ...title, maxWidth: area.width });
  surface.text(9, area.y + area.height / 2, titles[1], {
    ...title,
    rotate: -90,
    maxWidth: area.height,
  });
}

const isSelected = ({ state }: Scene, { layer, head }: Placed) =>
  layer === state.layer && state.heads.includes(head);

/** Names of the dots that matter, each where it hides no other: selected ones, then the highest scores. */
function drawNames(surface: Surface, scene: Scene, { board, dots, area, radius }: Plot): void {
  const { theme } = scene;
  const by = new Map(dots.map((dot) => [dot.head.index, dot]));
  const selected = board.heads.filter((head) => isSelected(scene, head));
  const best = board.order.slice(0, 5);
  const highest = [...dots].sort((a, b) => a.y - b.y).slice(0, 3);
  const taken: { x: number; y: number; width: number }[] = [];
  for (const head of [...selected, ...best, ...highest.map((dot) => dot.head)]) {
    const dot = by.get(head.index);
    if (!dot || (board.isOut(head.index) && !isSelected(scene, head))) continue;
    const text = `${head.layer}·${head.head}`;
    const width = textWidth(text, SIZE, "sans", "bold");
    const fits = dot.x + radius + 3 + width <= area.x + area.width + RIGHT;
    const x = fits ? dot.x + radius + 3 : dot.x - radius - 3 - width;
    const clear = taken.every(
      (one) => Math.abs(one.y - dot.y) > 12 || x > one.x + one.width || one.x > x + width,
    );
    if (!clear) continue;
    taken.push({ x, y: dot.y, width });
    surface.text(x, dot.y, text, { fill: theme.text, size: SIZE, weight: "bold" });
  }
}

function drawDots(surface: Surface, scene: Scene, plot: Plot): void {
  const { theme, stream, state } = scene;
  const { dots, board, radius } = plot;
  const hovered = hoveredHead(scene);
  for (const { head, x, y } of dots) {
    if (isSelected(scene, head)) continue;
    const opacity = board.isOut(head.index) ? 0.12 : 0.55;
    surface.circle(x, y, radius, { fill: theme.accent, opacity });
  }
  for (const { head, x, y } of dots) {
    const compared = state.compare.some(([l, h]) => l === head.layer && h === head.head);
    if (compared) surface.circle(x, y, radius + 3, { stroke: theme.accent, strokeWidth: 1.5 });
    if (isSelected(scene, head)) {
      const { num_heads } = stream.layers[head.row] as LayerMeta;
      const fill = theme.head(head.head, num_heads);
      surface.circle(x, y, radius + 1.5, { fill, stroke: theme.background, strokeWidth: 1 });
    }
    if (hovered?.index === head.index) {
      surface.circle(x, y, radius + 2, { stroke: theme.text, strokeWidth: 1.5 });
    }
  }
}

/** Every head as a dot over two scores. */
export const scatterForm: Omit<View, "name"> = {
  // The plot is as high as its place; it asks for a good size.
  contentHeight: (_scene, _width, height) => Math.min(height, HEIGHT + BOTTOM),

  draw(surface, scene, frame) {
    const plot = plotOf(scene, frame);
    if (!plot) return;
    const { theme, state } = scene;
    const { area, notes, ends } = plot;
    surface.group("header", () => {
      notes.forEach((note, line) => {
        const y = 4 + (line + 0.5) * NOTE;
        const text = line === 0 ? `layer·head · ${note}` : note;
        surface.text(6, y, text, { fill: theme.muted, size: SIZE, maxWidth: frame.width - 12 });
      });
    });
    surface.group("axes", () => drawAxes(surface, scene, plot));
    surface.group("heads", () => {
      if (state.threshold !== null && state.threshold <= ends[0]) {
        const x = area.x + (state.threshold / ends[0]) * area.width;
        const style = { stroke: theme.accent, dash: [4, 3] };
        surface.line(x, area.y, x, area.y + area.height, style);
      }
      drawDots(surface, scene, plot);
      drawNames(surface, scene, plot);
    });
    const hovered = hoveredHead(scene);
    const dot = hovered && plot.dots.find(({ head }) => head.index === hovered.index);
    if (!hovered || !dot) return;
    const cell = { x: dot.x - SIZE, y: dot.y - SIZE, width: 2 * SIZE, height: 2 * SIZE };
    drawHeadCard(surface, scene, hovered, cell, frame);
  },

  hit(scene, frame, x, y) {
    const plot = plotOf(scene, frame);
    if (!plot) return null;
    let best: Dot | null = null;
    let least = REACH;
    for (const dot of plot.dots) {
      const distance = Math.hypot(dot.x - x, dot.y - y);
      if (distance < least) [best, least] = [dot, distance];
    }
    return best && { layer: best.head.layer, head: best.head.head };
  },

  stops(scene, frame: Frame) {
    const plot = plotOf(scene, frame);
    if (!plot) return [];
    const { dots, board, radius } = plot;
    const rank = new Map(board.order.map((head, place) => [head.index, place]));
    const first = (dot: Dot) =>
      isSelected(scene, dot.head) ? -1 : (rank.get(dot.head.index) ?? 0);
    const shown = [...dots].sort((a, b) => first(a) - first(b)).slice(0, MAX_STOPS);
    return shown.map(({ head, x, y }): Stop => {
      const rect = { x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius };
      const { layer } = head;
      return { layer, head: head.head, rect, name: headName(scene, board, head) };
    });
  },
};
