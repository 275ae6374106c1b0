// Head view in figures: queries above, keys below, links between.

import { LEGEND_SIZE } from "../../marks/legends/legend.js";
import { LABEL_PAD, widestLabel } from "../../marks/text/tokens.js";
import type { Position } from "../../protocol/generated.js";
import { groupFilter } from "../../scene/groups.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { TurnedSurface } from "../../surface/turned.js";
import { linesLayout, MAX_LABEL, NUMBER_WIDTH } from "../lines/layout.js";
import { drawLines, drawLinesState } from "../lines/lines.js";
import type { LinesInput } from "../lines/links.js";
import { focusOf, headSeries } from "../shared/series.js";
import type { Frame } from "../view.js";
import { drawFooter, headTitle, LABEL_SIZE, linesFooterHeight, NUMBERED_HEADS } from "./lines.js";

/** Room for the name above the queries and the one below the keys. */
const NAME = 20;
const SIDE = 4;
/** From one token to the next, at most: with labels that stand upright, and with level ones. */
const PITCH = { upright: 26, level: 64 } as const;
const SHORTEST = 90;
const LONGEST = 220;
const SHARE = 0.34;

interface HorizontalPlan {
  readonly input: LinesInput;
  /** Width of a token where labels are level, null where they stand upright. */
  readonly level: number | null;
  /** From the upper edge to where the keys and their numbers end. */
  readonly bottom: number;
}

/** The lines' usual layout, to be transposed: its x is the figure's y. */
function planOf(scene: Scene, width: number): HorizontalPlan {
  const { queries, keys, state, drawing } = scene;
  const free = width - 2 * SIDE;
  const count = Math.max(1, queries.length, keys.length);
  const widest = Math.max(widestLabel(queries, LABEL_SIZE), widestLabel(keys, LABEL_SIZE)) + 8;
  const level = widest <= free / count;
  const pitch = Math.min(free / count, level ? Math.max(PITCH.level, widest) : PITCH.upright);
  const label = (positions: readonly Position[]) =>
    level
      ? LABEL_SIZE + LABEL_PAD + 4
      : Math.min(MAX_LABEL, Math.ceil(widestLabel(positions, LABEL_SIZE)) + LABEL_PAD + 6);
  const focus = focusOf(scene);
  const wish = state.heads.length <= NUMBERED_HEADS ? state.heads.length : 1;
  const widths = {
    query: label(queries),
    key: label(keys),
    numbers: {
      query: focus.about === "key" ? wish : 0,
      key: focus.about === "query" ? wish : 0,
    },
  };
  const links = Math.max(SHORTEST, Math.min(LONGEST, SHARE * width));
  const beside = (widths.numbers.query + widths.numbers.key) * NUMBER_WIDTH;
  const height = links + widths.query + widths.key + beside;
  const across = count * pitch;
  const layout = linesLayout({
    rect: { x: NAME, y: (width - across) / 2, width: height, height: across },
    queries,
    keys,
    rowHeight: pitch,
    scroll: 0,
    numbers: 0,
    labelSize: LABEL_SIZE,
    widths,
  });
  return {
    level: level ? pitch - 3 : null,
    bottom: NAME + height,
    input: {
      layout,
      series: headSeries(scene, { isolate: false }),
      pinned: { query: state.query, key: state.key },
      aside: scene.aside,
      thinning: state,
      full: false,
      focus,
      pictures: 1,
      groups: groupFilter(scene),
      drawing,
    },
  };
}

export function horizontalHeight(scene: Scene, width: number): number {
  return Math.ceil(planOf(scene, width).bottom + NAME + linesFooterHeight(scene, width));
}

/** The queries above, side by side, the keys below them: figures only, nothing here is pointed at. */
export function drawHorizontal(surface: Surface, scene: Scene, { width }: Frame): void {
  const { input, level, bottom } = planOf(scene, width);
  const { drawing, theme } = scene;
  const rightToLeft = drawing?.rightToLeft ?? false;
  const mirrorAt = rightToLeft ? width / 2 : null;
  const turned = new TurnedSurface(surface, { transposed: true, mirrorAt, level });
  // Mirrored here already.
  const upright = drawing ? { ...scene, drawing: { ...drawing, rightToLeft: false } } : scene;
  const { queries, keys } = input.layout;
  const style = {
    fill: theme.muted,
    size: LEGEND_SIZE,
    anchor: rightToLeft ? "end" : "start",
  } as const;
  const [left, right] = [queries.axis.top, width - queries.axis.top];
  const x = rightToLeft ? right : left;
  const named = drawing?.axes ?? true;
  if (named) surface.text(x, NAME / 2 - 2, headTitle(scene, queries, "query"), style);
  drawLines(turned, upright, input);
  const area = { x: left, y: NAME, width: right - left, height: bottom - NAME };
  drawLinesState(surface, scene, input, area);
  if (named) surface.text(x, bottom + NAME / 2, headTitle(scene, keys, "key"), style);
  drawFooter(surface, scene, width, bottom + NAME, input);
}
