import { formatWeight } from "../../marks/format.js";
import { LEGEND_BAR, LEGEND_LINE } from "../../marks/legends/legend.js";
import { memo } from "../../marks/memo.js";
import { quoted } from "../../marks/text/tokens.js";
import { hasLegend, type Scene } from "../../scene/scene.js";
import { MEASURES, measureNotes } from "../shared/measure.js";
import { headSeries, type Series } from "../shared/series.js";
import type { Frame } from "../view.js";
import { type Aim, aimOf, largestOf, largestOver, stripWeights, weightsOver } from "./heat.js";
import { arrange, CHIP, HEADER, type StripsLayout, stripsLayout, wishedHeight } from "./layout.js";
import { type Lens, lensOf, type Tile } from "./media-positions.js";

const GAP = 8;
/** Of the room between header and legend, this much goes to the tokens when there are many. */
const STRIP_SHARE = 0.34;

/** Everything about one frame that drawing, hits and stops agree on. */
export interface ImagePlan {
  readonly lens: Lens;
  readonly series: readonly Series[];
  readonly tiles: readonly Tile[];
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

/** What the shade of a token beside the picture means. */
function shadeOf({ queries, keys, state }: Scene, { over }: Lens, aim: Aim): string {
  const weight = MEASURES[state.measure].short;
  const { about, pointed, backwards } = aim;
  const name = (list: typeof keys, index: number) => quoted(list, index, 90);
  if (backwards && pointed !== null) {
    return over === "key"
      ? `their ${weight} on ${name(keys, pointed)}`
      : `${weight} of ${name(queries, pointed)} on them`;
  }
  return about === null ? `mean ${weight} on them` : `${weight} of ${name(queries, about)} on them`;
}

/** What is to be known about the picture, a line each; how many there are depends on no hover. */
export function imageNotes(scene: Scene, lens: Lens, aim: Aim, most: number): readonly string[] {
  const { keys, options, media } = scene;
  const words: string[] = [];
  if (lens.strips.length > 0) {
    words.push(most > 0 ? `tokens: ${shadeOf(scene, lens, aim)}, up to ${formatWeight(most)}` : "");
  }
  if (options.setSinkAside && keys.length > 0) {
    words.push(`${quoted(keys, 0)} set aside: shading rescaled, numbers unchanged`);
  }
  words.push(...measureNotes(scene, undefined));
  const drawn = [...lens.places.media.keys()].flatMap((medium) => media[medium]?.note ?? []);
  return [...words, ...new Set(drawn)];
}

function footerHeight(scene: Scene, lens: Lens): number {
  if (!hasLegend(scene)) return 0;
  const none: Aim = { about: null, group: [], pointed: null, backwards: false };
  const scale = lens.kind === "image" ? LEGEND_BAR : LEGEND_LINE;
  return 8 + scale + LEGEND_LINE * imageNotes(scene, lens, none, 0).length;
}

/** What stands around a picture is at least this wide. */
const LEAST_WIDTH = 420;

/** How wide the picture will be, and what stands around it: all of the frame, but for a narrow picture. */
function contentWidth(scene: Scene, lens: Lens, width: number, free: number): number {
  const { tiles } = arrange(scene, lens, { x: 0, y: 0, width, height: free });
  const left = Math.min(...tiles.map(({ rect }) => rect.x));
  const right = Math.max(...tiles.map(({ rect }) => rect.x + rect.width));
  return Math.min(width, Math.max(LEAST_WIDTH, right - left));
}

function stripsOf(scene: Scene, lens: Lens, width: number): StripsLayout {
  return memo(scene.stream, `strips ${width}`, () => stripsLayout(scene, lens.strips, width));
}

export function imagePlan(scene: Scene, frame: Frame): ImagePlan {
  const lens = lensOf(scene);
  const { height, scroll } = frame;
  const free = Math.max(120, height - HEADER - GAP - footerHeight(scene, lens));
  const width = contentWidth(scene, lens, frame.width, free);
  const left = (frame.width - width) / 2;
  const strips = stripsOf(scene, lens, width);
  const wished = wishedHeight(scene, lens, frame.width);
  const room = Math.min(strips.height, Math.max(CHIP, free * STRIP_SHARE, free - wished));
  const { tiles, height: used } = arrange(scene, lens, {
    x: 0,
    y: HEADER,
    width: frame.width,
    height: free - room,
  });
  const stripTop = HEADER + used + GAP;
  const stripHeight = Math.min(strips.height, Math.max(room, free - used));
  const stripScroll = Math.max(0, Math.min(scroll, strips.height - stripHeight));
  const series = headSeries(scene, { isolate: false });
  return {
    lens,
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
  const lens = lensOf(scene);
  const wished = wishedHeight(scene, lens, width);
  const { strips } = imagePlan(scene, { width, height, scroll: 0 });
  const natural = HEADER + wished + GAP + strips.height + footerHeight(scene, lens);
  if (natural <= height) return Math.ceil(natural);
  const { stripHeight, footerTop } = imagePlan(scene, { width, height, scroll: 0 });
  if (strips.height > stripHeight) return Math.ceil(height + strips.height - stripHeight);
  return Math.min(height, Math.ceil(footerTop + footerHeight(scene, lens)));
}

/** The numbers of one frame: by head, over the media and beside them, and where the scales end. */
export interface Shown {
  readonly aim: Aim;
  readonly over: readonly (ArrayLike<number> | null)[];
  readonly most: number;
  /** By strip, then by head. */
  readonly beside: readonly (readonly (ArrayLike<number> | null)[])[];
  readonly mostBeside: number;
}

export function shownIn(scene: Scene, { lens, series }: ImagePlan): Shown {
  const aim = aimOf(scene, lens);
  const over = series.map((each) => weightsOver(scene, lens, each, aim.group));
  const beside = lens.strips.map((strip) =>
    series.map((each) => stripWeights(scene, lens, strip, each, aim)),
  );
  const most = largestOver(lens, over);
  const largest = largestOf(beside.flat());
  // Tokens share the picture's scale unless they have more, or tell of something else.
  const mostBeside = aim.backwards || largest === 0 ? largest : Math.max(most, largest);
  return { aim, over, most, beside, mostBeside };
}
