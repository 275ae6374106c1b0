// The card of one head: its thumbnail enlarged, and what is known about it.

import type { Thumbnail } from "../../data/thumbnails.js";
import type { Rect, Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { type ThumbnailShading, thumbnailPixels } from "./thumbnails.js";

export interface ThumbnailCard {
  readonly title: string;
  /** Lines under the picture: what matters, then what is only good to know. */
  readonly lines: readonly { readonly text: string; readonly muted: boolean }[];
  /** Null where there is none to enlarge. */
  readonly thumbnail: Thumbnail | null;
  readonly shading: ThumbnailShading;
}

const PADDING = 10;
const LINE = 16;
const ENLARGED = 96;
const SIZE = 11;
/** A frame smaller than this keeps its grid visible: the card comes without the picture. */
const SMALL = 360;

/** Whole pixels per thumbnail entry, about 96 pixels in all. */
function enlargedSize({ rows, columns }: Thumbnail): { width: number; height: number } {
  const longest = Math.max(rows, columns);
  const pixel = longest > ENLARGED ? ENLARGED / longest : Math.round(ENLARGED / longest);
  return { width: columns * pixel, height: rows * pixel };
}

/** Between a card and the cell that it speaks of, at least. */
const CLEAR = 10;

interface CardFrame {
  readonly width: number;
  readonly height: number;
  /** What is drawn ends here: below is room of its own. */
  readonly free: number;
}

/**
 * Where a card covers least of what one compares: in the room below what is drawn; else in the corner
 * that is furthest from the cell.
 */
export function cardPlace(
  { width, height }: { readonly width: number; readonly height: number },
  cell: Rect,
  frame: CardFrame,
): { readonly x: number; readonly y: number } {
  const [left, right] = [4, Math.max(4, frame.width - 4 - width)];
  const [top, bottom] = [4, Math.max(4, frame.height - 4 - height)];
  const middle = { x: cell.x + cell.width / 2, y: cell.y + cell.height / 2 };
  if (frame.free + CLEAR + height <= frame.height - 4) {
    const x = Math.max(left, Math.min(right, middle.x - width / 2));
    return { x: Math.round(x), y: Math.round(Math.max(frame.free + CLEAR, 4)) };
  }
  const gap = (low: number, size: number, from: number, length: number) =>
    Math.max(from - (low + size), low - (from + length));
  let best = { x: left, y: top, clear: Number.NEGATIVE_INFINITY };
  for (const y of [bottom, top]) {
    for (const x of [right, left]) {
      // The larger of the two gaps keeps them apart.
      const clear = Math.max(
        gap(x, width, cell.x, cell.width),
        gap(y, height, cell.y, cell.height),
      );
      if (clear > best.clear) best = { x, y, clear };
    }
  }
  return { x: Math.round(best.x), y: Math.round(best.y) };
}

/** A head's thumbnail enlarged, with what is known about it, inside the frame and clear of `cell`. */
export function drawThumbnailCard(
  surface: Surface,
  card: ThumbnailCard,
  cell: Rect,
  frame: CardFrame,
): void {
  const { theme } = card.shading;
  const thumbnail = Math.min(frame.width, frame.height) < SMALL ? null : card.thumbnail;
  const enlarged = thumbnail ? enlargedSize(thumbnail) : { width: 0, height: 0 };
  const widest = Math.max(
    enlarged.width,
    textWidth(card.title, 12, "sans", "bold"),
    ...card.lines.map(({ text }) => textWidth(text, SIZE)),
  );
  const width = Math.ceil(Math.min(widest + 1, 260, frame.width - 8 - 2 * PADDING));
  const picture = thumbnail ? enlarged.height + 8 : 0;
  const height = 2 * PADDING + LINE + picture + card.lines.length * LINE - 4;
  const wide = width + 2 * PADDING;
  const box = {
    ...cardPlace({ width: wide, height }, cell, frame),
    width: wide,
    height,
  };
  surface.group("card", () => {
    surface.rect(box, { fill: theme.raised, stroke: theme.rule, radius: 4 });
    const x = box.x + PADDING;
    let y = box.y + PADDING + 6;
    const text = { fill: theme.text, size: SIZE, maxWidth: width } as const;
    surface.text(x, y, card.title, { ...text, size: 12, weight: "bold" });
    y += LINE - 4;
    if (thumbnail) {
      const rect = { x, y, ...enlarged };
      surface.image(rect, thumbnailPixels(thumbnail, card.shading), false);
      surface.rect(rect, { stroke: theme.rule });
      y += picture;
    }
    y += 6;
    for (const line of card.lines) {
      surface.text(x, y, line.text, { ...text, fill: line.muted ? theme.muted : theme.text });
      y += LINE;
    }
  });
}
