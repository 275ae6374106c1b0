import { type Layout, layoutViews } from "../shell/layout.js";
import { numSteps } from "../state/stage.js";
import type { Surface } from "../surface/surface.js";
import { SvgSurface } from "../surface/svg.js";
import { textWidth } from "../surface/text.js";
import { measureTitle, showsWords } from "../views/measure.js";
import type { Scene, View } from "../views/view.js";

export interface FigureOptions {
  /** CSS pixels, without the margin. */
  readonly width: number;
  /** Scroll of each view in pixels, so that the figure shows the same rows. */
  readonly scroll?: Partial<Record<View["name"], number>>;
  readonly transparent?: boolean;
}

const MARGIN = 12;
const CAPTION = 24;

export const TITLES: Readonly<Record<View["name"], string>> = {
  model: "Model view",
  head: "Head view",
  neuron: "Neuron view",
  compare: "Compare",
  next: "Next token",
};

/** A view's name, and how far the generation has come that is shown. */
export function titleOf({ state, meta }: Scene, view: View["name"]): string {
  if (view !== "next" || state.step === null) return TITLES[view];
  return `${TITLES[view]} · step ${state.step + 1} of ${numSteps(meta)}`;
}

/** The one line above a figure: which model, stream, layer and heads, each head in its colour. */
function drawCaption(surface: Surface, scene: Scene): void {
  const { theme, state, layer } = scene;
  const size = 12;
  const gap = 7;
  let x = 0;
  const say = (text: string, fill: string, weight: "normal" | "bold" = "normal") => {
    surface.text(x, 8, text, { fill, size, weight });
    x += textWidth(text, size, "sans", weight) + gap;
  };
  say(scene.meta.model, theme.text, "bold");
  for (const part of [scene.stream.name, `layer ${state.layer}`]) {
    say("·", theme.muted);
    say(part, theme.muted);
  }
  say("·", theme.muted);
  if (state.measure !== "weights") {
    say(measureTitle(scene), theme.muted);
    say("·", theme.muted);
  }
  if (showsWords(scene)) {
    say("words", theme.muted);
    say("·", theme.muted);
  }
  if (state.measure === "rollout") {
    say("all heads together", theme.muted);
    return;
  }
  say(state.heads.length === 1 ? "head" : "heads", theme.muted);
  const shown = state.heads.slice(0, 16);
  for (const head of shown) {
    surface.rect(
      { x, y: 4, width: 8, height: 8 },
      { fill: theme.head(head, layer.num_heads), radius: 1 },
    );
    x += 11;
    say(String(head), theme.text);
  }
  if (shown.length < state.heads.length)
    say(`and ${state.heads.length - shown.length} more`, theme.muted);
}

export function drawFigure(
  surface: Surface,
  scene: Scene,
  layout: Layout,
  options: FigureOptions,
): void {
  surface.group("caption", () => drawCaption(surface, scene), { x: MARGIN, y: MARGIN });
  for (const { view, rect } of layout.boxes) {
    const { x, y, width, height } = rect;
    const left = x + MARGIN;
    const top = y + MARGIN + CAPTION;
    surface.text(left, top - 14, titleOf(scene, view.name), {
      fill: scene.theme.text,
      size: 12,
      weight: "bold",
    });
    const scroll = options.scroll?.[view.name] ?? 0;
    surface.group(`${view.name}-view`, () => view.draw(surface, scene, { width, height, scroll }), {
      clip: { x: left, y: top, width, height },
      x: left,
      y: top,
    });
  }
}

/** What is shown, as a standalone SVG document. */
export function composeSvg(scene: Scene, options: FigureOptions): string {
  const layout = layoutViews(scene, options.width);
  const surface = new SvgSurface({
    width: layout.width + 2 * MARGIN,
    height: layout.height + 2 * MARGIN + CAPTION,
    scale: 2,
  });
  drawFigure(surface, scene, layout, options);
  const { state, stream, meta } = scene;
  const title = `${meta.model}, ${stream.name}, layer ${state.layer}, heads ${state.heads.join(", ")}`;
  return surface.finish(
    options.transparent ? { title } : { title, background: scene.theme.background },
  );
}
