// Which views are shown at a width, and where.

import { withoutRecord } from "../data/meta.js";
import type { Scene } from "../scene/scene.js";
import type { ViewName } from "../state/interaction.js";
import type { Rect } from "../surface/surface.js";
import { compareView } from "./compare/view.js";
import { headView } from "./head/view.js";
import { hasLens, lensView } from "./lens/view.js";
import { linesWanted, listHeight } from "./model/head-list.js";
import { modelView } from "./model/view.js";
import { neuronView } from "./neuron/view.js";
import { nextView } from "./next-token/view.js";
import { examplesView } from "./survey/view.js";
import type { View } from "./view.js";
import { changeView, hasChanges } from "./what-if/view.js";

/** A view's place: `rect` is its drawing, a heading of this height stands above it. */
export interface ViewBox {
  readonly view: View;
  readonly rect: Rect;
  readonly heading: number;
}

export interface ViewsLayout {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly ViewBox[];
}

export interface LayoutOptions {
  /** Each view as high as all of its content, and no other beside one that is asked for alone. */
  readonly whole?: boolean | undefined;
  /** Whether views have headings; they do unless it is said. */
  readonly headings?: boolean;
}

export const TITLE_HEIGHT = 26;
/** Between columns, and between rows. */
const GAP = 28;
/** Under this width everything stands in one column. */
const NARROW = 640;
/** On paper, where nothing is scrolled, one column of everything would be longer than a page. */
const NARROW_PAPER = 560;
/** From this width on: the heads, what they look at, and why, in three columns. */
const WIDE = 940;
/** Rows of the model view need so much each, besides its header and the layer that is open. */
const LAYER = 9;
const LAYERS_ROOM = 210;
const DEEP_HEIGHT = 580;
/** Of three columns the heads have this share, and a little more of a narrow page: up to so many pixels. */
const HEADS_SHARE = 0.29;
const NARROW_HEADS_SHARE = 0.32;
const HEADS_WIDTH = 380;
/** Of the explanation of one link, which has numbers to stand in one line. */
const WHY_SHARE = 0.35;
/** More compared records than this have the heads above them. */
const MOST_BESIDE = 4;
/** A text of less than this is not worth a column of its own. */
const SHORT = 260;
/** What each layer would predict under the tokens of a long text scrolls. */
const LENS = 240;
const TRACE = 640;

/** Views that say in their own first line what they are. */
const OWN_HEADING: readonly ViewName[] = ["head", "neuron"];

const clamp = (low: number, value: number, high: number) => Math.max(low, Math.min(high, value));

/** Views below one another. */
interface Column {
  readonly share: number;
  readonly views: readonly View[];
  /** As high as the columns beside it, whatever it holds. */
  readonly fills?: boolean;
}

type AddRow = (columns: readonly Column[], low: number, high: number) => void;

/** Rows of columns, each between a least and a largest height. */
function stackRows(scene: Scene, width: number, { whole = false, headings = true }: LayoutOptions) {
  const boxes: ViewBox[] = [];
  let y = 0;
  const headingOf = ({ name }: View) =>
    headings && !OWN_HEADING.includes(name) ? TITLE_HEIGHT : 0;
  const add: AddRow = (columns, low, high) => {
    const free = width - GAP * (columns.length - 1);
    const placed = columns.map((column) => {
      const w = Math.floor(free * column.share);
      const parts = column.views.map((view) => {
        const heading = headingOf(view);
        return { view, heading, natural: view.contentHeight(scene, w, high - heading) };
      });
      const gaps = GAP * (parts.length - 1);
      const natural = parts.reduce((sum, part) => sum + part.heading + part.natural, gaps);
      return { w, parts, natural, fills: column.fills && !whole };
    });
    const heights = placed.flatMap(({ natural, fills }) => (fills ? [] : [natural]));
    const most = Math.max(...heights);
    // Several below one another are as high as they are together.
    const limit = Math.max(
      high,
      ...placed.map(({ parts, natural }) => (parts.length > 1 ? natural : 0)),
    );
    const height = Math.round(whole ? most : clamp(low, most, limit));
    let x = 0;
    for (const { w, parts } of placed) {
      let top = y;
      parts.forEach(({ view, heading, natural }, n) => {
        const rest = y + height - top - heading;
        const own = n === parts.length - 1 ? rest : Math.min(rest, Math.round(natural));
        boxes.push({ view, heading, rect: { x, y: top + heading, width: w, height: own } });
        top += heading + own + GAP;
      });
      x += w + GAP;
    }
    y += height + GAP;
  };
  return { add, finish: (): ViewsLayout => ({ width, height: y - GAP, boxes }) };
}

/** A view over the whole width. */
const alone = (view: View): readonly Column[] => [{ views: [view], share: 1 }];

/** Two views side by side; the heads are as high as what is beside them. */
const beside = (first: View, second: View, share: number): readonly Column[] => [
  { views: [first], share, fills: first === modelView },
  { views: [second], share: 1 - share },
];

/** Compared records: which heads changed, and one of them in each; more than a few need all of the width. */
function addComparison(add: AddRow, width: number, count: number): void {
  if (width >= WIDE && count <= MOST_BESIDE) {
    add(beside(modelView, compareView, 0.34), 360, 560);
    return;
  }
  add(alone(modelView), 120, 300);
  add(alone(compareView), 240, count > MOST_BESIDE ? 900 : 620);
}

/** A survey's heads and the most typical inputs of the selected one, if any is. */
function addSurvey(add: AddRow, width: number, { state }: Scene): void {
  if (state.heads.length === 0) {
    add(alone(modelView), 120, 460);
    return;
  }
  if (width >= NARROW) {
    const columns = [
      { views: [modelView], share: 0.46 },
      { views: [examplesView], share: 0.54 },
    ];
    add(columns, 240, 460);
    return;
  }
  add(alone(modelView), 120, 420);
  add(alone(examplesView), 120, 420);
}

/** What the model view needs for its layers to be told apart. */
function layersHeight(scene: Scene): number {
  const { state, stream } = scene;
  const count = (state.show_layers ?? stream.layers).length;
  // A line of the list of what heads do: of a deep model the grid has none to give.
  const list = listHeight(Math.min(1, linesWanted(scene)));
  return Math.min(DEEP_HEIGHT, LAYERS_ROOM + LAYER * count) + list;
}

/** The heads over the whole width, and the list of what they do below them. */
function addModel(add: AddRow, scene: Scene): void {
  const list = listHeight(linesWanted(scene));
  add(alone(modelView), 120, Math.max(420, layersHeight(scene)) + list);
}

/** Whether the head view is a text of a few lines, which a column would leave empty. */
function isShortText(scene: Scene, width: number): boolean {
  return scene.state.form === "text" && headView.contentHeight(scene, width, SHORT) < SHORT;
}

/** How high the head view may be: a trace is read whole, with what its lines mean. */
const headHigh = ({ state }: Scene, usual: number) =>
  state.form === "trace" ? Math.max(usual, TRACE) : usual;

/** The heads at the left, what they look at in the middle, why at the right. */
function addColumns(add: AddRow, scene: Scene, width: number): void {
  const layers = layersHeight(scene);
  const most = headHigh(scene, Math.max(560, layers));
  const changed = hasChanges(scene);
  const why = [
    ...(changed ? [changeView] : []),
    ...(scene.meta.generation ? [nextView] : []),
    neuronView,
  ];
  if (isShortText(scene, 0.7 * width)) {
    const columns = [
      { views: [modelView], share: 0.3, fills: true },
      { views: [headView, ...why], share: 0.7 },
    ];
    add(columns, Math.max(380, layers), most);
    return;
  }
  // A page that is wide enough for three columns does not show heads smaller than a narrower one.
  const free = width - 2 * GAP;
  const heads = Math.max(HEADS_SHARE, Math.min(NARROW_HEADS_SHARE, HEADS_WIDTH / free));
  const columns = [
    { views: [modelView], share: heads, fills: true },
    { views: [headView], share: 1 - heads - WHY_SHARE },
    // Above the explanation of one link stands what the edits change: it scrolls, so that nothing is blank beside it.
    { views: why, share: WHY_SHARE, fills: changed },
  ];
  add(columns, Math.max(changed ? 540 : 380, layers), most);
}

/** All views of one record; a survey shows its heads already. */
function addRecord(add: AddRow, scene: Scene, width: number, whole: boolean): void {
  const { meta } = scene;
  const narrow = whole ? NARROW_PAPER : NARROW;
  const layers = layersHeight(scene);
  const wide = width >= WIDE && !meta.survey;
  if (meta.generation && !wide) add(alone(nextView), 0, 200);
  if (hasChanges(scene) && !wide) add(alone(changeView), 0, 240);
  if (meta.survey && width >= narrow) {
    add(beside(headView, neuronView, 0.48), 320, 500);
  } else if (wide) {
    addColumns(add, scene, width);
  } else if (width >= narrow && isShortText(scene, width)) {
    add(alone(headView), 60, SHORT);
    add(beside(modelView, neuronView, 0.46), Math.max(340, layers), Math.max(480, layers));
  } else if (width >= narrow) {
    const most = headHigh(scene, Math.max(480, layers));
    add(beside(modelView, headView, 0.46), Math.max(320, layers), most);
    add(alone(neuronView), 240, 460);
  } else {
    add(alone(headView), isShortText(scene, width) ? 60 : 200, headHigh(scene, 440));
    if (!meta.survey) addModel(add, scene);
    add(alone(neuronView), 320, 480);
  }
}

/** One view over the whole width; beside the heads, the one that was clicked. */
function addAlone(add: AddRow, scene: Scene, width: number, whole: boolean): void {
  const { state, meta } = scene;
  if (state.view === "model" && !whole && width < NARROW) {
    addModel(add, scene);
    add(alone(headView), isShortText(scene, width) ? 60 : 200, headHigh(scene, 440));
    return;
  }
  if (state.view === "model" && !whole) {
    const columns = [
      { views: [modelView], share: 0.48 },
      { views: [headView], share: 0.52 },
    ];
    add(columns, 320, Math.max(620, layersHeight(scene)));
    return;
  }
  if (meta.generation) add(alone(nextView), 0, 200);
  if (hasChanges(scene) && !whole) add(alone(changeView), 0, 240);
  const only = { model: modelView, head: headView, neuron: neuronView, compare: compareView };
  const view = only[state.view as keyof typeof only];
  const text = view === headView && state.form === "text";
  add(alone(view), text ? 80 : view === compareView ? 120 : 200, 620);
}

/**
 * Where each view goes at a width. Pure, and used by the screen, the figure and the headless export
 * alike: this is what makes them agree.
 */
export function layoutViews(scene: Scene, width: number, options: LayoutOptions = {}): ViewsLayout {
  const { add, finish } = stackRows(scene, width, options);
  const { meta, state } = scene;
  if (meta.survey) {
    addSurvey(add, width, scene);
    if (withoutRecord(scene) || state.view === "model") return finish();
  }
  if (scene.sides && (state.view === "all" || (state.view === "model" && !options.whole))) {
    addComparison(add, width, scene.sides.length);
  } else if (state.view === "all") {
    addRecord(add, scene, width, options.whole ?? false);
    if (hasLens(scene)) add(alone(lensView), 0, LENS);
    if (state.compare.length > 0) add(alone(compareView), 200, 460);
  } else {
    addAlone(add, scene, width, options.whole ?? false);
    // A figure of one view is that view.
    if (state.view === "head" && !options.whole && hasLens(scene)) add(alone(lensView), 0, LENS);
  }
  return finish();
}
