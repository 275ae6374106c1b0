// The card of one head: its thumbnail enlarged, and what is known about it.

import type { Thumbnail } from "../../data/thumbnails.js";
import type { Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { beside } from "../card.js";
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

/** A head's thumbnail enlarged, with what is known about it, near `point` inside the frame. */
export function drawThumbnailCard(
  surface: Surface,
  card: ThumbnailCard,
  point: { x: number; y: number },
  frame: { width: number; height: number },
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
    x: Math.round(beside(point.x, wide, 4, frame.width - 4)),
    y: Math.round(beside(point.y, height, 4, frame.height - 4)),
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
