// The card and the name of the head under the pointer.

import { withoutRecord } from "../../data/meta.js";
import { formatSigned, formatWeight } from "../../marks/format.js";
import { letterOf } from "../../marks/heads/badge.js";
import { drawThumbnailCard } from "../../marks/heads/thumbnail-card.js";
import type { LayerMeta } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { thumbnailShading } from "../shared/aside.js";
import { sayNumber } from "../shared/measure.js";
import { pairTitle } from "../shared/series.js";
import type { Frame } from "../view.js";
import { bothWays, effectOf } from "../what-if/heads.js";
import { isOut } from "../what-if/parts.js";
import { type Board, boardOf, chosenScores, readScore, spreadOf } from "./head-scores.js";
import { type Placed, placedHeads } from "./heads.js";

/** The head under the pointer, in whichever view. */
export function hoveredHead({ hover, state, stream }: Scene): Placed | null {
  if (hover?.head === undefined) return null;
  const number = hover.layer ?? state.layer;
  return (
    placedHeads(stream).find(({ layer, head }) => layer === number && head === hover.head) ?? null
  );
}

/** "induction 0.912 · 1st of 16", and the head's label. */
function scoreLines(scene: Scene, board: Board, head: Placed): readonly string[] {
  const { x, y } = chosenScores(scene);
  const names = scene.state.arrange === "scatter" && x !== y ? [x, y] : [x];
  const lines = names.map((name) => {
    const { title, values } = readScore(scene, name);
    const value = values?.[head.index];
    const known = value !== undefined && !Number.isNaN(value);
    const spread = spreadOf(scene, name, head.index);
    const around = spread === null ? "" : ` ± ${formatWeight(spread)}`;
    return `${title} ${known ? formatWeight(value) + around : "not defined"}`;
  });
  const rank = board.order.findIndex(({ index }) => index === head.index) + 1;
  if (lines[0]) lines[0] += ` · ${rank} of ${board.heads.length}`;
  const label = board.label(head.index);
  if (label) lines.push(`label: ${label.text} ${formatWeight(label.value)}`);
  return lines;
}

/** What is known about the head under the pointer, clear of its `cell`; `free` is where what is drawn ends. */
export function drawHeadCard(
  surface: Surface,
  scene: Scene,
  head: Placed,
  cell: Rect,
  frame: Frame,
  free = frame.height,
): void {
  const { hover, thumbnails, keys, stream } = scene;
  // A head hovered elsewhere is outlined; what it is, the other view says.
  if (hover?.source !== "model" && hover?.source !== "keyboard") return;
  const { module_path } = stream.layers[head.row] as LayerMeta;
  const top = thumbnails.top(head.layer, head.head);
  const board = boardOf(scene);
  const lines = board ? scoreLines(scene, board, head).map((text) => ({ text, muted: false })) : [];
  if (top) {
    // The labels leave room for the number, whatever they are.
    const pair = pairTitle(scene, top.query, top.key, 185);
    lines.push({
      text: `${scene.sides ? "largest change" : "top"}: ${pair} ${sayNumber(scene, top.weight)}`,
      muted: false,
    });
    if (keys.length > 1) lines.push({ text: "first position left aside", muted: true });
  }
  if (thumbnails.isSampled(head.layer))
    lines.push({ text: "sampled: a few rows, the others follow", muted: true });
  const effect = effectOf(scene, head.row, head.head);
  const both = effect && bothWays(effect);
  if (both) lines.push({ text: `effect: ${both}`, muted: false });
  if (module_path) lines.push({ text: module_path, muted: true });
  const title = `layer ${head.layer} · head ${head.head}`;
  const shading = thumbnailShading(scene);
  const thumbnail = withoutRecord(scene) ? null : thumbnails.get(head.layer, head.head);
  drawThumbnailCard(surface, { title, lines, thumbnail, shading }, cell, { ...frame, free });
}

/** What a screen reader says of a head. */
export function headName(
  scene: Scene,
  board: Board | null,
  { index, row, layer, head }: Placed,
): string {
  const { thumbnails, queries, keys, state } = scene;
  const parts = [`layer ${layer} head ${head}`];
  if (board) {
    const value = board.values[index] as number;
    if (!Number.isNaN(value)) parts.push(`${board.score.title} ${formatWeight(value)}`);
    const label = board.label(index);
    if (label) parts.push(`label ${label.text} ${formatWeight(label.value)}`);
    if (board.isOut(index)) parts.push("below the threshold");
  }
  const top = thumbnails.top(layer, head);
  if (top) {
    const [from, to] = [queries[top.query]?.label, keys[top.key]?.label];
    parts.push(
      `${scene.sides ? "largest change" : "top link"} ${from} to ${to} ${sayNumber(scene, top.weight)}`,
    );
  }
  if (thumbnails.isSampled(layer)) parts.push("thumbnail of a sample");
  const effect = effectOf(scene, row, head);
  if (effect) {
    const both = bothWays(effect);
    const sure = effect.exact ? "" : ", estimated";
    parts.push(`effect ${both ?? `${formatSigned(effect.value)}${sure}`}`);
  }
  if (isOut(scene, layer, head)) parts.push("knocked out");
  if (layer === state.layer && state.heads.includes(head)) parts.push("selected");
  const at = state.compare.findIndex(([l, h]) => l === layer && h === head);
  if (at >= 0) parts.push(`compared as ${letterOf(at)}`);
  return parts.join(", ");
}
