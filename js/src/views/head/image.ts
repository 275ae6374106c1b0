// Head view over an image or a sound.

import { drawCard } from "../../marks/card.js";
import { formatWeight } from "../../marks/format.js";
import {
  colourKeyWidth,
  drawColourKey,
  drawNotes,
  LEGEND_BAR,
  LEGEND_LINE,
  LEGEND_SIZE,
} from "../../marks/legends/legend.js";
import {
  drawCurve,
  drawFrequencyAxis,
  drawHeatLegend,
  drawPatchOutline,
  drawTimeAxis,
  heatPixels,
} from "../../marks/matrix/image-heat.js";
import { labelOf } from "../../marks/text/tokens.js";
import { hasLegend, type Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import type { Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { drawMediaGroups } from "../image/groups.js";
import { ownPlaces } from "../image/heat.js";
import { HEADER, TITLE } from "../image/layout.js";
import { indexIn, type MediaTile, rectIn } from "../image/media-positions.js";
import { drawOriginal } from "../image/original.js";
import {
  type ImagePlan,
  imageNotes,
  imagePlan,
  placeName,
  type Shown,
  shownIn,
} from "../image/plan.js";
import { drawStrips, stripHit, stripReveal, stripStops } from "../image/token-strips.js";
import { signEntries } from "../lines/legend.js";
import { drawFailure } from "../shared/failure.js";
import { isSigned, measureTitle, sayNumber } from "../shared/measure.js";
import { drawPairCard } from "../shared/pair-card.js";
import { isolatedHead, keyName, pointer, queryName, seriesError } from "../shared/series.js";
import type { Frame, Stop } from "../view.js";

/** Heads whose curves are filled: more would hide each other. */
const FILLED = 2;

function drawHeader(surface: Surface, scene: Scene, plan: ImagePlan, { subject }: Shown) {
  const { queries, keys, theme, stream } = scene;
  const { about, group } = subject;
  const { mediaLayout, left, width } = plan;
  const room = width - 150;
  let words = `mean over ${queries.length} queries`;
  if (mediaLayout.over === "key" && about !== null)
    words = `query ${placeName(queries, about, room)}`;
  if (mediaLayout.over === "query") {
    words =
      about === null
        ? "point at a key to see who attends to it"
        : `key ${placeName(keys, about, room)}`;
  }
  if (group.length > 1) {
    words =
      mediaLayout.over === "key"
        ? `mean of ${group.length} queries`
        : `sum of ${group.length} keys`;
  }
  const y = HEADER / 2 - 2;
  const fill = about === null ? theme.muted : theme.text;
  surface.text(left + 8, y, words, { fill, size: LEGEND_SIZE, maxWidth: width - 100 });
  const end = { fill: theme.muted, size: LEGEND_SIZE, anchor: "end", maxWidth: 90 } as const;
  surface.text(left + width - 8, y, stream.name, end);
}

/** The tiles that show one head; where heads share a tile, all of it. */
function drawTile(
  surface: Surface,
  scene: Scene,
  plan: ImagePlan,
  shown: Shown,
  tile: MediaTile,
): void {
  const { theme, media } = scene;
  const medium = media[tile.medium];
  const inside = plan.mediaLayout.places.media.get(tile.medium);
  if (!medium || !inside) return;
  const { rect } = tile;
  const weights = tile.series === null ? null : shown.over[tile.series];
  surface.image(rect, (weights ? medium.pale : medium.pixels)[theme.name], true);
  if (tile.series !== null) {
    if (weights) surface.image(rect, heatPixels(inside, weights, shown.most));
  } else {
    plan.series.forEach(({ colour }, n) => {
      const weights = shown.over[n];
      if (!weights || shown.most <= 0) return;
      const share = (frame: number) => (weights[inside.at[frame] as number] || 0) / shown.most;
      const filled = plan.series.length <= FILLED;
      if (!isSigned(scene)) {
        drawCurve(surface, rect, inside.edges, share, colour, filled);
        return;
      }
      // What is taken away is a hill as well, in the other colour.
      for (const [sign, own] of [
        [1, theme.positive],
        [-1, theme.negative],
      ] as const) {
        const height = (frame: number) => Math.max(0, sign * share(frame));
        drawCurve(surface, rect, inside.edges, height, own, filled);
      }
    });
    if (medium.seconds !== undefined) drawTimeAxis(surface, rect, medium.seconds, theme);
    if (medium.frequencies) drawFrequencyAxis(surface, rect, medium.frequencies, theme);
  }
  surface.rect(rect, { stroke: theme.rule });
  drawMarks(surface, scene, plan, shown, tile);
}

/** The asking patch itself, what is pinned, what is pointed at. */
function drawMarks(
  surface: Surface,
  scene: Scene,
  { mediaLayout }: ImagePlan,
  { subject }: Shown,
  tile: MediaTile,
) {
  const { theme, state } = scene;
  const mark = (places: typeof mediaLayout.places, index: number | null, stroke: string) => {
    const rect = index === null ? null : rectIn(places, tile, index);
    if (!rect) return;
    // Above a curve only its frame's place is marked, as high as the sound.
    if (mediaLayout.kind === "image" || rect.width >= 4) drawPatchOutline(surface, rect, stroke);
    else {
      const x = rect.x + rect.width / 2;
      surface.line(x, rect.y, x, rect.y + rect.height, { stroke, width: 1.5 });
    }
  };
  const pinned = state[mediaLayout.over];
  if (pinned !== subject.pointed) mark(mediaLayout.places, pinned, theme.muted);
  mark(mediaLayout.places, subject.pointed, mediaLayout.kind === "image" ? "#ffffff" : theme.text);
  for (const asking of subject.group) mark(ownPlaces(scene, mediaLayout), asking, ASKING);
}

/** Cyan: the one colour that the heat has not. */
const ASKING = "#2ee6e6";

function drawTitles(surface: Surface, scene: Scene, { series, tiles }: ImagePlan): void {
  if (series.length < 2) return;
  series.forEach(({ name, colour }, n) => {
    const tile = tiles.find((each) => each.series === n);
    if (!tile) return;
    const { x, width } = tile.rect;
    const middle = tile.titleTop + TITLE / 2;
    surface.rect({ x, y: middle - 4.5, width: 9, height: 9 }, { fill: colour, radius: 1.5 });
    const style = { fill: scene.theme.text, size: 12, weight: "bold" } as const;
    surface.text(x + 14, middle, name, { ...style, maxWidth: Math.max(0, width - 14) });
  });
}

function drawFooter(surface: Surface, scene: Scene, plan: ImagePlan, shown: Shown, width: number) {
  const { theme } = scene;
  const { mediaLayout, footerTop } = plan;
  const top = footerTop + 8;
  let below = top + LEGEND_LINE;
  if (mediaLayout.kind === "image") {
    const signed = isSigned(scene);
    const scale = { most: shown.most, title: measureTitle(scene), signed };
    const wished = signed ? 230 + textWidth(scale.title, LEGEND_SIZE) : 330;
    const length = Math.min(width - 8, wished);
    const left = Math.max(4, (width - length) / 2);
    if (shown.most > 0) drawHeatLegend(surface, { x: left, y: top, width: length }, scale, theme);
    below = top + LEGEND_BAR;
  } else {
    const heads = plan.series.map(({ name, head, colour }, n) => ({
      label: n === 0 ? name : String(head),
      colour,
    }));
    const entries = isSigned(scene) ? signEntries(theme) : heads;
    const scale = shown.most > 0 ? `full height ${formatWeight(shown.most)}` : "";
    const room = textWidth(scale, LEGEND_SIZE) + 20;
    const used = Math.min(width - 16, colourKeyWidth(entries) + room);
    const left = (width - used) / 2;
    const y = top + LEGEND_LINE / 2;
    drawColourKey(surface, left, y, used - room, entries, theme);
    const end = { fill: theme.muted, size: LEGEND_SIZE, anchor: "end" } as const;
    surface.text(left + used, y, scale, end);
  }
  const notes = imageNotes(scene, mediaLayout, shown.subject, shown.mostBeside);
  drawNotes(surface, notes, width, below + LEGEND_LINE / 2 - 2, theme);
}

/** The mean over all queries at the patch under the pointer, head by head. */
function drawMeanCard(surface: Surface, scene: Scene, plan: ImagePlan, shown: Shown, frame: Frame) {
  const at = pointer(scene.hover, "head");
  const { about, pointed } = shown.subject;
  if (!at || about !== null || pointed === null || plan.mediaLayout.over === "query") return;
  const rows = plan.series.slice(0, 8).flatMap(({ layer, head, name, colour }) => {
    const weight = scene.blocks.mean(layer, head)?.[pointed];
    return weight === undefined
      ? []
      : [{ label: name, colour, value: sayNumber(scene, weight), note: "" }];
  });
  const title = `all queries → “${labelOf(scene.keys, pointed)}”, mean`;
  const bounds = { x: 0, y: 0, width: frame.width, height: frame.height };
  if (rows.length > 0) drawCard(surface, { title, rows }, at, bounds, scene.theme);
}

export function drawHeadImage(surface: Surface, scene: Scene, frame: Frame): void {
  const plan = imagePlan(scene, frame);
  const shown = shownIn(scene, plan);
  const { theme } = scene;
  const { width, height } = frame;
  drawHeader(surface, scene, plan, shown);
  const alone = isolatedHead(scene);
  drawTitles(surface, scene, plan);
  for (const tile of plan.tiles) {
    surface.group(plan.mediaLayout.kind, () => drawTile(surface, scene, plan, shown, tile));
    const head = tile.series === null ? null : plan.series[tile.series]?.head;
    if (alone !== null && head !== null && head !== alone) {
      surface.rect(tile.rect, { fill: theme.background, opacity: 0.75 });
    }
  }
  drawMediaGroups(surface, scene, plan.mediaLayout, plan.tiles);
  drawStrips(surface, scene, frame, plan, shown);
  if (hasLegend(scene)) drawFooter(surface, scene, plan, shown, width);
  const error = seriesError(scene, plan.series) ?? meanError(scene, plan, shown);
  const body = { x: 0, y: HEADER, width, height: plan.stripTop - HEADER };
  if (error !== null) {
    surface.rect(body, { fill: theme.background, opacity: 0.85 });
    drawFailure(surface, scene, body, error);
  }
  drawOriginal(surface, scene, plan, width);
  drawMeanCard(surface, scene, plan, shown, frame);
  const bounds = { x: 0, y: 0, width, height };
  drawPairCard(surface, scene, "head", plan.series, bounds);
}

function meanError(scene: Scene, { series }: ImagePlan, { subject }: Shown): string | null {
  if (subject.about !== null) return null;
  for (const { layer, head } of series) {
    const error = scene.blocks.error("mean", layer, head);
    if (error !== null) return error;
  }
  return null;
}

/** What pointing at a position over a medium means; see `MediaLayout.asks`. */
function hitAt(
  scene: Scene,
  { mediaLayout, series }: ImagePlan,
  tile: MediaTile,
  index: number,
  x: number,
  y: number,
): Hit {
  const shown = tile.series === null ? undefined : series[tile.series];
  const head = shown && series.length > 1 ? { layer: shown.layer, head: shown.head } : {};
  if (mediaLayout.over === "query") return { ...head, query: index };
  const query = mediaLayout.asks ? indexIn(ownPlaces(scene, mediaLayout), tile, x, y) : null;
  if (query === null) return { ...head, key: index };
  return scene.state.query === null ? { ...head, query } : { ...head, key: index, pin: { query } };
}

export function hitHeadImage(scene: Scene, frame: Frame, x: number, y: number): Hit | null {
  const plan = imagePlan(scene, frame);
  for (const tile of plan.tiles) {
    const index = indexIn(plan.mediaLayout.places, tile, x, y);
    if (index !== null) return hitAt(scene, plan, tile, index, x, y);
  }
  return stripHit(plan, x, y);
}

/** Patches that the keyboard stops at: all of a small picture, an even choice of a large one. */
const MOST_STOPS = 64;

export function headImageStops(scene: Scene, frame: Frame): readonly Stop[] {
  const plan = imagePlan(scene, frame);
  const stops = [...stripStops(scene, plan)];
  const first = plan.tiles.filter(({ series }) => series === null || series === 0);
  for (const tile of first) {
    const inside = plan.mediaLayout.places.media.get(tile.medium);
    if (!inside) continue;
    const most = Math.max(4, Math.floor(MOST_STOPS / first.length));
    let step = 1;
    while (Math.ceil(inside.rows / step) * Math.ceil(inside.columns / step) > most) step++;
    for (let row = 0; row < inside.rows; row += step) {
      for (let column = 0; column < inside.columns; column += step) {
        const index = inside.at[row * inside.columns + column] as number;
        const rect = index < 0 ? null : rectIn(plan.mediaLayout.places, tile, index);
        if (!rect) continue;
        const at = [rect.x + rect.width / 2, rect.y + rect.height / 2] as const;
        const hit = hitAt(scene, plan, tile, index, ...at);
        const { query, key = -1 } = hit;
        const name =
          query === undefined ? keyName(scene, key) : queryName(scene, plan.series, query);
        stops.push({ ...hit, name, rect });
      }
    }
  }
  return stops;
}

export function revealInHeadImage(
  scene: Scene,
  frame: Frame,
  at: { query?: number; key?: number },
): number | null {
  return stripReveal(imagePlan(scene, frame), at);
}
