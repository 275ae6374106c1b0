// `composeTrace`: a trace, its title and its notes as one SVG document.

import { drawNotes, fittedNotes, LEGEND_LINE } from "../marks/legends/legend.js";
import type { Figure, Trace } from "../protocol/generated.js";
import { figureTheme } from "../styles/print.js";
import { themes } from "../styles/theme.js";
import { SvgSurface } from "../surface/svg.js";
import { wrapText } from "../surface/text.js";
import { layoutTrace } from "../views/trace/layout.js";
import { drawnTrace, drawTraceView, traceNotes, traceWords } from "../views/trace/view.js";
import { MARGIN, pixelsPer, printedSize, SIZED_MARGIN } from "./compose.js";

const TITLE_SIZE = 12;
const TITLE_LINE = 16;
const TITLE_BELOW = 8;

/** The picture, and what it says in a sentence. */
export function composeTrace(found: Trace, width: number, figure: Figure) {
  const trace = drawnTrace(found);
  const { size, title: given, legend = true } = figure;
  const margin = size ? SIZED_MARGIN : MARGIN;
  const inner = (size ? size.width * pixelsPer(size) : width) - 2 * margin;
  const heads = [...new Set(trace.links.map(({ head }) => head))].sort((a, b) => a - b);
  const theme = figureTheme(themes.light, figure, heads);
  const layout = layoutTrace(trace, inner, theme);
  const words = given === true ? `Trace of ${trace.metric}, stream ${trace.stream}` : given || "";
  const title = words ? wrapText(words, inner, TITLE_SIZE, "sans", "bold") : [];
  const top = margin + (title.length > 0 ? TITLE_LINE * title.length + TITLE_BELOW : 0);
  const notes = legend ? fittedNotes(traceNotes(trace, layout), inner) : [];
  const below = notes.length > 0 ? 6 + LEGEND_LINE * notes.length : 0;
  const all = { width: inner + 2 * margin, height: top + layout.height + below + margin };
  const surface = new SvgSurface({ ...all, scale: 2 });
  title.forEach((line, at) => {
    const style = { fill: theme.text, size: TITLE_SIZE, weight: "bold" } as const;
    surface.text(margin, margin + 8 + TITLE_LINE * at, line, style);
  });
  surface.group("trace", () => drawTraceView(surface, layout, theme), { x: margin, y: top });
  const middle = top + layout.height + 6 + LEGEND_LINE / 2;
  if (notes.length > 0) {
    const draw = () => drawNotes(surface, notes, inner, middle, theme);
    surface.group("notes", draw, { x: margin });
  }
  const said = traceWords(trace);
  const svg = surface.finish({
    title: typeof given === "string" ? given : said,
    ...(figure.transparent ? {} : { background: theme.background }),
    ...(figure.font === undefined ? {} : { font: figure.font }),
    ...printedSize(figure, all.width, all.height),
  });
  return { svg, said };
}
