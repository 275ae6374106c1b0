import { withoutRecord } from "../data/meta.js";
import type { Scene } from "../scene/scene.js";
import type { Rect } from "../surface/surface.js";
import { compareView } from "./compare/view.js";
import { headView } from "./head/view.js";
import { modelView } from "./model/view.js";
import { neuronView } from "./neuron/view.js";
import { nextView } from "./next-token/view.js";
import { examplesView } from "./survey/view.js";
import type { View } from "./view.js";

/** A view's place: `rect` is its drawing, the title stands above it. */
export interface ViewBox {
  readonly view: View;
  readonly rect: Rect;
}

export interface ViewsLayout {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly ViewBox[];
}

export const TITLE_HEIGHT = 26;
const GAP = 20;
/** Under this width everything stands in one column. */
const NARROW = 640;
const WIDE = 1080;
/** From so many layers on the model view needs this height at least. */
const DEEP = 48;
const DEEP_HEIGHT = 580;

const clamp = (low: number, value: number, high: number) => Math.max(low, Math.min(high, value));

interface Column {
  readonly view: View;
  readonly share: number;
}

type AddRow = (columns: readonly Column[], low: number, high: number) => void;

/** Two records: which heads changed, and one of them in both. */
function compared(row: AddRow, width: number): void {
  if (width >= WIDE) {
    const columns = [
      { view: modelView, share: 0.34 },
      { view: compareView, share: 0.66 },
    ];
    row(columns, 320, 500);
    return;
  }
  row([{ view: modelView, share: 1 }], 120, 300);
  row([{ view: compareView, share: 1 }], 240, 620);
}

/**
 * Where each view goes at a width. Pure, and used by the screen, the figure and the headless export
 * alike: this is what makes them agree. With `whole`, each is as high as all of its content.
 */
export function layoutViews(scene: Scene, width: number, whole = false): ViewsLayout {
  const boxes: ViewBox[] = [];
  let y = 0;
  const row = (columns: readonly Column[], low: number, high: number) => {
    const free = width - GAP * (columns.length - 1);
    const widths = columns.map(({ share }) => Math.floor(free * share));
    const natural = columns.map(({ view }, i) =>
      view.contentHeight(scene, widths[i] as number, high),
    );
    const most = Math.max(...natural);
    const height = Math.round(whole ? most : clamp(low, most, high));
    let x = 0;
    columns.forEach(({ view }, i) => {
      const w = widths[i] as number;
      boxes.push({ view, rect: { x, y: y + TITLE_HEIGHT, width: w, height } });
      x += w + GAP;
    });
    y += TITLE_HEIGHT + height + GAP;
  };

  // The layers of a deep model are lower than words, and still there are many of them.
  const { state, stream } = scene;
  const deep = (state.show_layers ?? stream.layers).length > DEEP ? DEEP_HEIGHT : 0;
  const only = { model: modelView, head: headView, neuron: neuronView, compare: compareView };
  const { view, compare } = scene.state;
  if (scene.meta.generation) row([{ view: nextView, share: 1 }], 0, 200);
  if (scene.meta.survey) {
    const heads = [
      { view: modelView, share: 0.46 },
      { view: examplesView, share: 0.54 },
    ];
    if (width >= NARROW) row(heads, 240, 460);
    else for (const { view: one } of heads) row([{ view: one, share: 1 }], 120, 420);
    if (withoutRecord(scene)) return { width, height: y - GAP, boxes };
  }
  if (view === "model" && scene.meta.survey) return { width, height: y - GAP, boxes };
  if (view !== "all") {
    row([{ view: only[view], share: 1 }], 240, 620);
  } else if (scene.sides) {
    compared(row, width);
  } else {
    if (scene.meta.survey && width >= NARROW) {
      row(
        [
          { view: headView, share: 0.46 },
          { view: neuronView, share: 0.54 },
        ],
        320,
        500,
      );
    } else if (width >= WIDE) {
      row(
        [
          { view: modelView, share: 0.31 },
          { view: headView, share: 0.32 },
          { view: neuronView, share: 0.37 },
        ],
        320,
        Math.max(500, deep),
      );
    } else if (width >= NARROW) {
      row(
        [
          { view: modelView, share: 0.46 },
          { view: headView, share: 0.54 },
        ],
        240,
        Math.max(430, deep),
      );
      row([{ view: neuronView, share: 1 }], 320, 460);
    } else {
      if (!scene.meta.survey) row([{ view: modelView, share: 1 }], 120, Math.max(380, deep));
      row([{ view: headView, share: 1 }], 200, 420);
      row([{ view: neuronView, share: 1 }], 320, 480);
    }
    if (compare.length > 0) row([{ view: compareView, share: 1 }], 200, 460);
  }
  return { width, height: y - GAP, boxes };
}
