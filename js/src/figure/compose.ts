// `composeSvg`: the views, their titles, the caption and the legends as one SVG document.

import { drawNotes, LEGEND_LINE, LEGEND_SIZE } from "../marks/legends/legend.js";
import type { Figure } from "../protocol/generated.js";
import type { Scene } from "../scene/scene.js";
import type { ViewName } from "../state/interaction.js";
import { figureTheme } from "../styles/print.js";
import type { StrokeLimits, Surface } from "../surface/surface.js";
import { SvgSurface } from "../surface/svg.js";
import { wrapNote } from "../surface/text.js";
import { layoutViews } from "../views/layout.js";
import { agreementNote } from "../views/shared/agreement.js";
import { togetherName, togetherOf } from "../views/shared/together.js";
import { titleOf } from "../views/titles.js";
import { type FigureBox, TITLE_MIDDLE } from "./boxes.js";
import { type Caption, captionHeight, captionOf, drawCaption } from "./caption.js";
import { drawGridLegend, gridBoxes, gridLegendHeight } from "./grid.js";

export interface FigureOptions {
  /** CSS pixels, without the margin; a figure with a size of its own has its own. */
  readonly width: number;
  /** Scroll of each view in pixels, so that the figure shows the same rows. */
  readonly scroll?: Partial<Record<ViewName, number>>;
  readonly figure?: Figure;
}

export const MARGIN = 12;
/** A figure that is as wide as a column fills it. */
export const SIZED_MARGIN = 2;

/** Everything of a figure in its place, before it is drawn. */
interface FigurePlan {
  readonly scene: Scene;
  readonly figure: Figure;
  readonly width: number;
  readonly margin: number;
  readonly caption: Caption;
  /** Where the views begin and end, and what is below them. */
  readonly top: number;
  readonly bottom: number;
  readonly notes: readonly string[];
  readonly boxes: readonly FigureBox[];
}

const PER_INCH = { px: 96, pt: 72, in: 1, cm: 2.54, mm: 25.4 } as const;

/** Pixels of the layout for each unit of the print. */
export function pixelsPer({ unit, zoom }: NonNullable<Figure["size"]>): number {
  return PER_INCH.px / PER_INCH[unit] / zoom;
}

/** The scene of the figure: its colours, and what only figures choose. */
function sceneFor<S extends Scene>(scene: S, figure: Figure): S {
  const heads = figure.grid?.heads.map(([, head]) => head) ?? scene.state.heads;
  const { state } = scene;
  // What stands out is what is selected: in a figure of all heads there may be nothing.
  const unmarked = figure.marked === false && state.view === "model";
  return {
    ...scene,
    state: unmarked ? { ...state, layer: -1, heads: [] } : state,
    recorded: scene.recorded && sceneFor(scene.recorded, figure),
    theme: figureTheme(scene.theme, figure, [...new Set(heads)]),
    drawing: {
      paper: figure.whole ?? false,
      panel: false,
      axes: true,
      legend: figure.legend ?? true,
      threshold: figure.threshold ?? 0,
      horizontal: figure.layout === "horizontal",
      rightToLeft: figure.direction === "rtl",
    },
  };
}

/** Whether what is drawn is of the selected layer and heads alone. */
function hasOneLayer({ state }: Scene, { grid, marked = true }: Figure): boolean {
  return !grid && state.view !== "compare" && (state.view !== "model" || marked);
}

function boxesOf(scene: Scene, figure: Figure, width: number) {
  const { grid, title: shown } = figure;
  if (grid && scene.drawing) return gridBoxes(scene, scene.drawing, grid, width);
  const { whole } = figure;
  const titled = layoutViews(scene, width, { whole });
  // A view that is all there is needs no name, except as on the screen.
  const alone = titled.boxes.length === 1 && (whole === true || typeof shown === "string");
  const bare = shown === false || alone;
  const { boxes, height } = bare ? layoutViews(scene, width, { whole, headings: false }) : titled;
  return {
    height,
    boxes: boxes.map(
      ({ view, rect, heading }): FigureBox => ({
        id: `${view.name}-view`,
        view,
        scene,
        rect,
        title: heading > 0 ? { text: titleOf(scene, view.name) } : null,
      }),
    ),
  };
}

function planOf(shown: Scene, options: FigureOptions): FigurePlan {
  const { figure = {} } = options;
  const { size, title, legend = true } = figure;
  const margin = size ? SIZED_MARGIN : MARGIN;
  const width = size ? size.width * pixelsPer(size) - 2 * margin : options.width;
  const scene = sceneFor(shown, figure);
  const caption = captionOf(scene, title ?? false, !hasOneLayer(scene, figure), width);
  const top = margin + captionHeight(caption);
  const { boxes, height } = boxesOf(scene, figure, width);
  const said = [agreementNote(scene) ?? [], figure.notes ?? []].flat();
  const notes = legend ? said.flatMap((note) => wrapNote(note, width, LEGEND_SIZE)) : [];
  return { scene, figure, width, margin, caption, top, bottom: top + height, notes, boxes };
}

function heightOf({ figure, scene, bottom, notes, margin }: FigurePlan): number {
  const legend = figure.grid && figure.legend !== false ? gridLegendHeight(scene) : 0;
  return bottom + legend + LEGEND_LINE * notes.length + margin;
}

function drawBox(surface: Surface, plan: FigurePlan, box: FigureBox, scroll: number): void {
  const { view, rect, scene, title, id } = box;
  const { width, height } = rect;
  const x = rect.x + plan.margin;
  const y = rect.y + plan.top;
  if (title) {
    const { colour, text } = title;
    const middle = y - (colour ? 10 : TITLE_MIDDLE);
    const style = { fill: scene.theme.text, size: 12, weight: "bold" } as const;
    if (colour) {
      surface.rect({ x, y: middle - 4.5, width: 9, height: 9 }, { fill: colour, radius: 1.5 });
    }
    surface.text(x + (colour ? 14 : 0), middle, text, style);
  }
  surface.group(id, () => view.draw(surface, scene, { width, height, scroll }), {
    clip: { x, y, width, height },
    x,
    y,
  });
}

function drawFigure(surface: Surface, plan: FigurePlan, scroll: FigureOptions["scroll"]): void {
  const { boxes, caption, scene, figure, width, margin, bottom, notes } = plan;
  if (caption.length > 0) {
    surface.group("caption", () => drawCaption(surface, caption), { x: margin, y: margin });
  }
  for (const box of boxes) {
    drawBox(surface, plan, box, figure.whole ? 0 : (scroll?.[box.view.name] ?? 0));
  }
  let y = bottom;
  const { grid } = figure;
  if (grid && figure.legend !== false) {
    const draw = () => drawGridLegend(surface, scene, grid, width, bottom);
    surface.group("legends", draw, { x: margin });
    y += gridLegendHeight(scene);
  }
  if (notes.length > 0) {
    const draw = () => drawNotes(surface, notes, width, y + LEGEND_LINE / 2, scene.theme);
    surface.group("notes", draw, { x: margin });
  }
}

/** The printed size, as SVG and what reads it understand it. */
export function printedSize({ size }: Figure, width: number, height: number) {
  if (!size) return {};
  const per = pixelsPer(size);
  const said = (pixels: number) => `${Math.round((pixels / per) * 1000) / 1000}${size.unit}`;
  return { printed: { width: said(width), height: said(height) } };
}

/** Columns × links of a picture in a file, which nobody waits for as for a frame. */
const FILE_WORK = 30_000_000;

/** When links are one picture in a file that is made for a resolution; null where that is as in every SVG. */
function strokesOf({ raster_links, grid }: Figure): StrokeLimits | null {
  if (!raster_links) return null;
  const { scale, most } = raster_links;
  return { most: most / (grid?.heads.length ?? 1), scale, work: FILE_WORK, file: true };
}

/** What is shown, as a standalone SVG document. */
export function composeSvg(shown: Scene, options: FigureOptions): string {
  const plan = planOf(shown, options);
  const { scene, figure, margin } = plan;
  const width = plan.width + 2 * margin;
  const height = heightOf(plan);
  const strokes = strokesOf(figure);
  const surface = new SvgSurface({ width, height, scale: 2, ...(strokes ? { strokes } : {}) });
  drawFigure(surface, plan, options.scroll);
  const { state, stream, meta } = shown;
  const together = togetherOf(shown);
  const heads = together ? togetherName(together) : `heads ${state.heads.join(", ")}`;
  const place = together?.layers ? heads : `layer ${state.layer}, ${heads}`;
  const usual = `${meta.model}, ${stream.name}, ${place}`;
  return surface.finish({
    title: typeof figure.title === "string" ? figure.title : usual,
    ...(figure.transparent ? {} : { background: scene.theme.background }),
    ...(figure.font === undefined ? {} : { font: figure.font }),
    ...printedSize(figure, width, height),
  });
}
