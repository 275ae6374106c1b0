// Everything about one frame over media: layout, numbers, notes.

import { formatWeight } from "../../marks/format.js";
import { LEGEND_BAR, LEGEND_LINE } from "../../marks/legends/legend.js";
import { memo } from "../../marks/memo.js";
import { quoted } from "../../marks/text/tokens.js";
import { hasLegend, type Scene } from "../../scene/scene.js";
import { asideNote } from "../shared/aside.js";
import { isSigned, MEASURES, measureNotes } from "../shared/measure.js";
import { headSeries, type Series } from "../shared/series.js";
import type { Frame } from "../view.js";
import { mediaMargin } from "./groups.js";
import {
  type ImageSubject,
  imageSubject,
  largestOver,
  largestWeight,
  stripWeights,
  weightsOver,
} from "./heat.js";
import { arrange, CHIP, HEADER, type StripsLayout, stripsLayout, wishedHeight } from "./layout.js";
import { type MediaLayout, type MediaTile, mediaLayoutOf } from "./media-positions.js";

const GAP = 8;
/** Of the room between header and legend, this much goes to the tokens when there are many. */
const STRIP_SHARE = 0.34;

/** Everything about one frame that drawing, hits and stops agree on. */
export interface ImagePlan {
  readonly mediaLayout: MediaLayout;
  readonly series: readonly Series[];
  readonly tiles: readonly MediaTile[];
  readonly strips: StripsLayout;
  /** Header, tokens and legend stand under and over the picture, however wide the frame is. */
  readonly left: number;
  readonly width: number;
  /** The window over the tokens. */
  readonly stripTop: number;
  readonly stripHeight: number;
  readonly stripScroll: number;
  readonly footerTop: number;
}

/** "row 9, column 2" of a patch, the label in quotes of anything else. */
export function placeName(positions: Scene["keys"], index: number, room: number): string {
  const { row, column } = positions[index] ?? {};
  return row === undefined || column === undefined
    ? quoted(positions, index, room)
    : `row ${row}, column ${column}`;
}

/** What the shade of a token beside the picture means. */
function shadeOf(
  { queries, keys, state }: Scene,
  { over }: MediaLayout,
  subject: ImageSubject,
): string {
  const weight = MEASURES[state.measure].short;
  const { about, pointed, backwards } = subject;
  const name = (list: typeof keys, index: number) => placeName(list, index, 90);
  if (backwards && pointed !== null) {
    return over === "key"
      ? `their ${weight} on ${name(keys, pointed)}`
      : `${weight} of ${name(queries, pointed)} on them`;
  }
  return about === null ? `mean ${weight} on them` : `${weight} of ${name(queries, about)} on them`;
}

/** Of numbers with both signs what the colours are. */
const SIGNS = "orange adds to the metric, blue takes away";

/** What the colour of a patch means, as a sentence. */
function patchNote(
  { queries, keys, state }: Scene,
  { over }: MediaLayout,
  { about, group }: ImageSubject,
): string {
  const weight = MEASURES[state.measure].short;
  const signed = isSigned({ state });
  if (over === "query") {
    if (about === null) return "";
    if (signed) return SIGNS;
    const on = group.length > 1 ? `${group.length} keys` : placeName(keys, about, 90);
    return `the more colour, the more ${weight} the patch gives ${on}`;
  }
  const of =
    about === null
      ? "all queries give it on average"
      : `${group.length > 1 ? `${group.length} queries give` : `${placeName(queries, about, 90)} gives`} it`;
  if (!signed) return `the more colour on a patch, the more ${weight} ${of}`;
  const whose = group.length > 1 ? `${group.length} queries` : "all queries";
  const one =
    about === null || group.length > 1 ? `${whose}, on average` : placeName(queries, about, 90);
  return `${SIGNS}: links of ${one}`;
}

/** What is to be known about the picture, a line each; how many there are depends on no hover. */
export function imageNotes(
  scene: Scene,
  mediaLayout: MediaLayout,
  subject: ImageSubject,
  most: number,
): readonly string[] {
  const { media } = scene;
  const words: string[] = [];
  if (mediaLayout.kind === "image") words.push(patchNote(scene, mediaLayout, subject));
  if (mediaLayout.strips.length > 0) {
    words.push(
      most > 0
        ? `tokens: ${shadeOf(scene, mediaLayout, subject)}, up to ${formatWeight(most)}`
        : "",
    );
  }
  const aside = asideNote(scene);
  if (aside) words.push(aside);
  words.push(...measureNotes(scene, undefined));
  const drawn = [...mediaLayout.places.media.keys()].flatMap((medium) => media[medium]?.note ?? []);
  return [...words, ...new Set(drawn)];
}

function footerHeight(scene: Scene, mediaLayout: MediaLayout): number {
  if (!hasLegend(scene)) return 0;
  const none: ImageSubject = { about: null, group: [], pointed: null, backwards: false };
  const scale = mediaLayout.kind === "image" ? LEGEND_BAR : LEGEND_LINE;
  return 8 + scale + LEGEND_LINE * imageNotes(scene, mediaLayout, none, 0).length;
}

/** What stands around a picture is at least this wide. */
const LEAST_WIDTH = 420;

/** How wide the picture will be, and what stands around it: all of the frame, but for a narrow picture. */
function contentWidth(scene: Scene, mediaLayout: MediaLayout, width: number, free: number): number {
  const { tiles } = arrange(scene, mediaLayout, { x: 0, y: 0, width, height: free });
  const left = Math.min(...tiles.map(({ rect }) => rect.x));
  const right = Math.max(...tiles.map(({ rect }) => rect.x + rect.width));
  return Math.min(width, Math.max(LEAST_WIDTH, right - left));
}

function stripsOf(scene: Scene, mediaLayout: MediaLayout, width: number): StripsLayout {
  return memo(scene.stream, `strips ${width} ${scene.state.grouping}`, () =>
    stripsLayout(scene, mediaLayout.strips, width),
  );
}

export function imagePlan(scene: Scene, frame: Frame): ImagePlan {
  const mediaLayout = mediaLayoutOf(scene);
  const { height, scroll } = frame;
  const top = HEADER + mediaMargin(scene, mediaLayout);
  const free = Math.max(120, height - top - GAP - footerHeight(scene, mediaLayout));
  const width = contentWidth(scene, mediaLayout, frame.width, free);
  const left = (frame.width - width) / 2;
  const strips = stripsOf(scene, mediaLayout, width);
  const wished = wishedHeight(scene, mediaLayout, frame.width);
  const room = Math.min(strips.height, Math.max(CHIP, free * STRIP_SHARE, free - wished));
  const { tiles, height: used } = arrange(scene, mediaLayout, {
    x: 0,
    y: top,
    width: frame.width,
    height: free - room,
  });
  const stripTop = top + used + GAP;
  const stripHeight = Math.min(strips.height, Math.max(room, free - used));
  const stripScroll = Math.max(0, Math.min(scroll, strips.height - stripHeight));
  const series = headSeries(scene, { isolate: false });
  return {
    mediaLayout,
    series,
    tiles,
    strips,
    left,
    width,
    stripTop,
    stripHeight,
    stripScroll,
    footerTop: stripTop + stripHeight,
  };
}

/** What all would take; where that is more than there is, the frame and what the tokens scroll. */
export function headImageHeight(scene: Scene, width: number, height: number): number {
  const mediaLayout = mediaLayoutOf(scene);
  const wished = wishedHeight(scene, mediaLayout, width);
  const { strips } = imagePlan(scene, { width, height, scroll: 0 });
  const top = HEADER + mediaMargin(scene, mediaLayout);
  const natural = top + wished + GAP + strips.height + footerHeight(scene, mediaLayout);
  if (natural <= height) return Math.ceil(natural);
  const { stripHeight, footerTop } = imagePlan(scene, { width, height, scroll: 0 });
  if (strips.height > stripHeight) return Math.ceil(height + strips.height - stripHeight);
  return Math.min(height, Math.ceil(footerTop + footerHeight(scene, mediaLayout)));
}

/** The numbers of one frame: by head, over the media and beside them, and where the scales end. */
export interface Shown {
  readonly subject: ImageSubject;
  readonly over: readonly (ArrayLike<number> | null)[];
  readonly most: number;
  /** By strip, then by head. */
  readonly beside: readonly (readonly (ArrayLike<number> | null)[])[];
  readonly mostBeside: number;
}

export function shownIn(scene: Scene, { mediaLayout, series }: ImagePlan): Shown {
  const subject = imageSubject(scene, mediaLayout);
  const over = series.map((each) => weightsOver(scene, mediaLayout, each, subject.group));
  const beside = mediaLayout.strips.map((strip) =>
    series.map((each) => stripWeights(scene, mediaLayout, strip, each, subject)),
  );
  const most = largestOver(mediaLayout, over);
  const largest = largestWeight(beside.flat());
  // Tokens share the picture's scale unless they have more, or tell of something else.
  const mostBeside = subject.backwards || largest === 0 ? largest : Math.max(most, largest);
  return { subject, over, most, beside, mostBeside };
}
