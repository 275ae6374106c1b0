// Words below the cells of the model view: which head, what it does, and the link that is pinned.

import { withoutRecord } from "../../data/meta.js";
import { strongestOf } from "../../data/strongest-first.js";
import { labelOf } from "../../marks/text/tokens.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { ellipsize, textWidth } from "../../surface/text.js";
import { isRollout } from "../shared/measure.js";
import { sized } from "../shared/series.js";
import { drawEffect, effectOf } from "../what-if/heads.js";
import { hoveredHead } from "./card.js";
import { WORDED } from "./cells.js";
import { quietLabels } from "./head-scores.js";
import { type Grid, type LayerRow, placeRect } from "./layout.js";
import { labelText } from "./tags.js";

const SIZE = 10;

/** "it → cat": the pinned query and its pinned or strongest key in a selected head; null where nothing is pinned. */
function pinnedLink(scene: Scene, layer: number, head: number): string | null {
  const { state, queries, keys, blocks } = scene;
  const { query } = state;
  if (query === null || queries[query] === undefined || withoutRecord(scene)) return null;
  let { key } = state;
  if (key === null) {
    const row = blocks.weights(layer, head).row(query);
    if (!row) return null;
    key = strongestOf(row.keys(), sized(scene, row));
  }
  if (keys[key] === undefined) return null;
  return `${labelOf(queries, query)} → ${labelOf(keys, key)}`;
}

/** The pinned link as far as it fits: both its ends, its key, or nothing. */
function linkText(link: string, number: string, width: number): string {
  const to = link.slice(link.indexOf(" → ") + 1);
  const wishes = [`${number}${number && " "}${link}`, `${number} ${to}`.trim()];
  const fits = (text: string) => textWidth(text, SIZE, "sans", "bold") <= width;
  return wishes.find(fits) ?? ellipsize(wishes[1] as string, width, SIZE, "sans", "bold");
}

/** Below each cell of a layer what there is room for. */
export function drawCaptions(surface: Surface, scene: Scene, layout: Grid, row: LayerRow): void {
  const { caption, across } = row.cells;
  if (caption === 0) return;
  const { theme, state } = scene;
  const { board, open, abreast, numbered } = layout;
  const labels = board ? (index: number) => board.label(index) : quietLabels(scene);
  const hovered = hoveredHead(scene);
  const { layer } = row.layer;
  const own = open === row || !numbered || layout.axis === null;
  row.heads.forEach((head, place) => {
    const cell = placeRect(row, place);
    const number = abreast ? `layer ${layer}` : own ? String(head) : "";
    const selected = layer === state.layer && state.heads.includes(head);
    const strong = selected || (hovered?.row === row.row && hovered.head === head);
    const index = row.first + head;
    const effect = abreast ? null : effectOf(scene, row.row, head);
    if (effect) {
      drawEffect(surface, scene, effect, cell, caption, number);
      return;
    }
    const label = board?.isOut(index) || isRollout(scene) ? null : labels(index);
    const worded = across >= WORDED;
    const link = worded && selected && !abreast && !board;
    const pinned = link ? pinnedLink(scene, layer, head) : null;
    const word =
      label && (board ? labelText(label, across - textWidth(`${number} `, SIZE)) : label.text);
    const said = worded && !abreast && word ? `${number}${number && " "}${word}` : number;
    const room = across - 3;
    const weight = strong ? "bold" : "normal";
    const text = pinned
      ? linkText(pinned, number, room)
      : ellipsize(said, room, SIZE, "sans", weight);
    if (text === "") return;
    surface.text(cell.x + cell.width / 2, cell.y + cell.height + caption / 2 + 1, text, {
      fill: selected ? theme.head(head, row.layer.num_heads) : strong ? theme.text : theme.muted,
      size: SIZE,
      weight,
      anchor: "middle",
    });
  });
}
