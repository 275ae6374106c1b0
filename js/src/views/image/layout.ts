// Where images, sounds and the tokens beside them are placed.

import { FREQUENCY_ROOM } from "../../marks/matrix/image-heat.js";
import type { Scene } from "../../scene/scene.js";
import type { Rect } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { groupLabels } from "../shared/groups.js";
import { CHIP_GROUP_SIZE, type ChipGroup } from "./groups.js";
import type { MediaLayout, MediaTile, TokenStrip } from "./media-positions.js";

export const HEADER = 24;
export const TITLE = 20;
export const AXIS = 18;
const GAP = 10;
const INNER_GAP = 3;
/** Wider or higher than this a picture says no more. */
const TALLEST = 460;
const SOUND = { least: 70, most: 170 } as const;

interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Arranged {
  readonly tiles: readonly MediaTile[];
  readonly height: number;
}

interface MediaGrid extends Size {
  readonly columns: number;
  /** Columns of pictures within one head's block. */
  readonly inner: number;
}

/** How to make the pictures of `count` heads largest: columns of heads, and of media within each. */
function plan(count: number, media: number, picture: Size, room: Size, title: number): MediaGrid {
  let best: MediaGrid = { columns: 1, inner: 1, width: 0, height: 0 };
  for (let inner = 1; inner <= media; inner++) {
    const down = Math.ceil(media / inner);
    for (let columns = 1; columns <= count; columns++) {
      const rows = Math.ceil(count / columns);
      const wide = (room.width - (columns - 1) * GAP) / columns - (inner - 1) * INNER_GAP;
      const tall = (room.height - (rows - 1) * GAP) / rows - title - (down - 1) * INNER_GAP;
      const scale = Math.min(wide / inner / picture.width, tall / down / picture.height);
      const width = Math.max(1, scale * picture.width);
      if (width > best.width) {
        best = { columns, inner, width, height: Math.max(1, scale * picture.height) };
      }
    }
  }
  return best;
}

/** One picture for each head and medium, as large as the room allows, in the middle. */
function pictures(scene: Scene, mediaLayout: MediaLayout, room: Rect): Arranged {
  const count = scene.state.heads.length;
  const media = [...mediaLayout.places.media.keys()];
  const sizes = media.map((medium) => scene.media[medium] ?? { width: 1, height: 1 });
  // Beside each other all have the place of the widest and the highest.
  const most = {
    width: Math.max(...sizes.map(({ width }) => width)),
    height: Math.max(...sizes.map(({ height }) => height)),
  };
  const title = count > 1 ? TITLE : 0;
  const { columns, inner, width, height } = plan(count, media.length, most, room, title);
  const scale = width / most.width;
  const down = Math.ceil(media.length / inner);
  const block = {
    width: inner * width + (inner - 1) * INNER_GAP,
    height: title + down * height + (down - 1) * INNER_GAP,
  };
  const left = room.x + (room.width - columns * block.width - (columns - 1) * GAP) / 2;
  const tiles = scene.state.heads.flatMap((_, series) => {
    const x = left + (series % columns) * (block.width + GAP);
    const y = room.y + Math.floor(series / columns) * (block.height + GAP);
    return media.map((medium, n): MediaTile => {
      const size = sizes[n] as Size;
      const rect = {
        x: Math.round(x + (n % inner) * (width + INNER_GAP)),
        y: Math.round(y + title + Math.floor(n / inner) * (height + INNER_GAP)),
        width: Math.round(size.width * scale),
        height: Math.round(size.height * scale),
      };
      return { medium, series, rect, titleTop: y };
    });
  });
  const rows = Math.ceil(count / columns);
  return { tiles, height: rows * block.height + (rows - 1) * GAP };
}

function sounds(scene: Scene, mediaLayout: MediaLayout, room: Rect): Arranged {
  const media = [...mediaLayout.places.media.keys()];
  const left = media.some((medium) => scene.media[medium]?.frequencies) ? FREQUENCY_ROOM : 8;
  const free = room.height / media.length - AXIS;
  const height = Math.max(40, Math.min(SOUND.most, free));
  const tiles = media.map((medium, n): MediaTile => {
    const y = room.y + n * (height + AXIS);
    return {
      medium,
      series: null,
      titleTop: y,
      rect: { x: room.x + left, y, width: room.width - left - 8, height },
    };
  });
  return { tiles, height: media.length * (height + AXIS) };
}

export function arrange(scene: Scene, mediaLayout: MediaLayout, room: Rect): Arranged {
  return mediaLayout.kind === "image"
    ? pictures(scene, mediaLayout, room)
    : sounds(scene, mediaLayout, room);
}

/** The room that the media would take if there were enough. */
export function wishedHeight(scene: Scene, mediaLayout: MediaLayout, width: number): number {
  const room = { x: 0, y: 0, width, height: TALLEST };
  return arrange(scene, mediaLayout, room).height;
}

export const CHIP = 20;
const CHIP_PAD = 5;
export const CHIP_SIZE = 12;
const CHIP_GAP = 2;
const MOST_CHIP = 140;

export interface TokenChip {
  readonly strip: number;
  readonly index: number;
  readonly rect: Rect;
}

export interface StripsLayout {
  readonly chips: readonly TokenChip[];
  /** The word in front of each list. */
  readonly names: readonly { readonly text: string; readonly x: number; readonly y: number }[];
  /** Before the tokens of each group its name, and lines under them. */
  readonly groups: readonly ChipGroup[];
  readonly height: number;
}

/** A group's name takes so much more than its letters. */
const NAME_PAD = 6;

/** Tokens in running order, line by line; each list starts on a line of its own. */
export function stripsLayout(
  scene: Scene,
  strips: readonly TokenStrip[],
  width: number,
): StripsLayout {
  const chips: TokenChip[] = [];
  const names: { text: string; x: number; y: number }[] = [];
  const groups: (ChipGroup & { rules: Rect[] })[] = [];
  let y = 0;
  for (const [strip, { axis, indices }] of strips.entries()) {
    const text = strips.length > 1 ? (axis === "query" ? "queries" : "keys") : "tokens";
    names.push({ text, x: 8, y });
    const left = 8 + textWidth(text, CHIP_SIZE - 1) + 8;
    const positions = axis === "query" ? scene.queries : scene.keys;
    const labels = groupLabels(scene, axis === "query" ? "queries" : "keys");
    let x = left;
    let group = "";
    for (const index of indices) {
      const next = labels?.(index) ?? "";
      const begins = next !== group && next !== "";
      group = next;
      const name = begins
        ? Math.ceil(textWidth(next, CHIP_GROUP_SIZE, "sans", "bold")) + 2 * NAME_PAD
        : 0;
      const label = positions[index]?.label ?? "";
      const own = Math.min(MOST_CHIP, textWidth(label, CHIP_SIZE)) + 2 * CHIP_PAD;
      if (x + name + own > width - 4 && x > left) {
        x = left;
        y += CHIP;
      }
      if (begins) groups.push({ text: next, x: x + NAME_PAD, y, rules: [] });
      x += name;
      if (group !== "") underline(groups.at(-1)?.rules ?? [], { x, y: y + CHIP - 2, width: own });
      chips.push({ strip, index, rect: { x, y, width: own, height: CHIP - 2 } });
      x += own + CHIP_GAP;
    }
    y += CHIP;
  }
  return { chips, names, groups, height: y };
}

const RULE = 1.5;

/** The line under a run of tokens goes on under the next one, or begins anew on a new line. */
function underline(rules: Rect[], { x, y, width }: Omit<Rect, "height">): void {
  const last = rules.at(-1);
  if (last?.y === y) rules[rules.length - 1] = { ...last, width: x + width - last.x };
  else rules.push({ x, y, width, height: RULE });
}
