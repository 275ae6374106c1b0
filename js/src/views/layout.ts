// Which views are shown at a width, and where.

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

/** Rows of views below one another, each between a least and a largest height. */
function stackRows(scene: Scene, width: number, whole: boolean) {
  const boxes: ViewBox[] = [];
  let y = 0;
  const add: AddRow = (columns, low, high) => {
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
  return { add, finish: (): ViewsLayout => ({ width, height: y - GAP, boxes }) };
}

/** A view over the whole width. */
const alone = (view: View): readonly Column[] => [{ view, share: 1 }];

/** Two views side by side, the second somewhat wider. */
const pair = (first: View, second: View): readonly Column[] => [
  { view: first, share: 0.46 },
  { view: second, share: 0.54 },
];

/** Two records: which heads changed, and one of them in both. */
function addComparison(add: AddRow, width: number): void {
  if (width >= WIDE) {
    const columns = [
      { view: modelView, share: 0.34 },
      { view: compareView, share: 0.66 },
    ];
    add(columns, 320, 500);
    return;
  }
  add(alone(modelView), 120, 300);
  add(alone(compareView), 240, 620);
}

/** A survey's heads and the most typical inputs of the selected one, if any is. */
function addSurvey(add: AddRow, width: number, { state }: Scene): void {
  if (state.heads.length === 0) {
    add(alone(modelView), 120, 460);
    return;
  }
  if (width >= NARROW) {
    add(pair(modelView, examplesView), 240, 460);
    return;
  }
  add(alone(modelView), 120, 420);
  add(alone(examplesView), 120, 420);
}

/** All views of one record; a survey shows its heads already. */
function addRecord(add: AddRow, { meta, state, stream }: Scene, width: number): void {
  // The layers of a deep model are lower than words, and still there are many of them.
  const deep = (state.show_layers ?? stream.layers).length > DEEP ? DEEP_HEIGHT : 0;
  if (meta.survey && width >= NARROW) {
    add(pair(headView, neuronView), 320, 500);
  } else if (width >= WIDE) {
    const columns = [
      { view: modelView, share: 0.31 },
      { view: headView, share: 0.32 },
      { view: neuronView, share: 0.37 },
    ];
    add(columns, 320, Math.max(500, deep));
  } else if (width >= NARROW) {
    add(pair(modelView, headView), 240, Math.max(430, deep));
    add(alone(neuronView), 320, 460);
  } else {
    if (!meta.survey) add(alone(modelView), 120, Math.max(380, deep));
    add(alone(headView), 200, 420);
    add(alone(neuronView), 320, 480);
  }
  if (state.compare.length > 0) add(alone(compareView), 200, 460);
}

/**
 * Where each view goes at a width. Pure, and used by the screen, the figure and the headless export
 * alike: this is what makes them agree. With `whole`, each is as high as all of its content.
 */
export function layoutViews(scene: Scene, width: number, whole = false): ViewsLayout {
  const { add, finish } = stackRows(scene, width, whole);
  const { meta, state } = scene;
  if (meta.generation) add(alone(nextView), 0, 200);
  if (meta.survey) {
    addSurvey(add, width, scene);
    if (withoutRecord(scene) || state.view === "model") return finish();
  }
  const only = { model: modelView, head: headView, neuron: neuronView, compare: compareView };
  if (state.view !== "all") add(alone(only[state.view]), 240, 620);
  else if (scene.sides) addComparison(add, width);
  else addRecord(add, scene, width);
  return finish();
}
