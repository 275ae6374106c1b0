// Clicks and drags in a view to changes of the selection; double clicks.

import { recordChange, shownState } from "../scene/lens.js";
import type { SceneMaker } from "../scene/scene-maker.js";
import {
  chooseLink,
  click,
  compareSelected,
  drag,
  headInAllLayers,
  setLayer,
  turnText,
} from "../state/actions.js";
import type { Hit, Hover, ViewName } from "../state/interaction.js";
import type { State } from "../state/selection.js";
import { readState, type WidgetState } from "../state/signals.js";
import type { PanelEvents } from "./panel.js";

/** Two clicks within this time may be one double click. */
const DOUBLE_MS = 600;

/** What the gestures in a view lead to. */
export interface GestureTargets {
  change(changes: Partial<State>): void;
  /** Record an input of a survey. */
  open(example: number, at?: { readonly query?: number; readonly key?: number }): void;
  redraw(): void;
}

/** What the pointer does in a view, as changes of the record's selection. */
export class Gestures implements PanelEvents {
  /** The pins before the latest click, or the latest two in short succession; and when that was. */
  private pinsBefore: Pick<State, "queries" | "keys"> | null = null;
  private clicked = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly state: WidgetState,
    private readonly maker: SceneMaker,
    private readonly targets: GestureTargets,
  ) {}

  readonly click = (view: ViewName, hit: Hit, additive: boolean): void => {
    const { options } = this.state;
    const now = options.peek();
    if (hit.action === "sort-keys") {
      options.value = { ...now, keyOrder: now.keyOrder === "weight" ? "position" : "weight" };
    } else if (hit.action === "sort-dimensions") {
      const order = now.dimensionOrder === "index" ? "contribution" : "index";
      options.value = { ...now, dimensionOrder: order };
    } else if (hit.action === "all-keys") {
      options.value = { ...now, allKeys: !now.allKeys };
    } else if (hit.action === "attends-to" || hit.action === "attended-by") {
      const attendedBy = hit.action === "attended-by";
      options.value = { ...now, attendedBy };
      this.targets.change(turnText(readState(this.state.shared), attendedBy));
    } else if (hit.action === "open-example" && hit.example !== undefined) {
      this.targets.open(hit.example, hit.place);
    } else if (hit.action === "contexts-by") {
      options.value = { ...now, strongest: !now.strongest };
    } else {
      const change = this.ofModel(hit);
      if (change) this.targets.change(change);
      else this.select(view, hit, additive);
    }
  };

  /** What the numbers of layers and heads, the links of a trace, and the button of an empty comparison lead to. */
  private ofModel(hit: Hit): Partial<State> | null {
    const { action, layer, head } = hit;
    const state = readState(this.state.shared);
    const { meta } = this.state;
    if (action === "open-layer" && layer !== undefined) return setLayer(meta, state, layer);
    if (action === "head-in-all-layers" && head !== undefined)
      return headInAllLayers(meta, state, head);
    // Its ends are those of the record, whatever is shown.
    if (action === "choose-link") return chooseLink(state, hit);
    return action === "compare-selected" ? compareSelected(state) : null;
  }

  readonly drag: PanelEvents["drag"] = (_view, from, to) => {
    const lens = this.maker.lens(readState(this.state.shared));
    this.targets.change(recordChange(lens, drag(from, to)));
  };

  readonly scrolled = (): void => this.targets.redraw();

  readonly map: PanelEvents["map"] = (map) => {
    this.state.options.value = { ...this.state.options.peek(), map };
  };

  readonly doubleClicked = (): void => {
    if (this.pinsBefore) this.targets.change(this.pinsBefore);
  };

  readonly hover: PanelEvents["hover"] = (view, hit, x, y, keyboard) => {
    if (!hit) {
      this.state.hover.value = null;
      return;
    }
    const { layer, head, query, key, dimension, example, context, from, to } = hit;
    const at = { layer, head, query, key, dimension, example, context, from, to, x, y };
    const known = Object.fromEntries(Object.entries(at).filter(([, value]) => value !== undefined));
    this.state.hover.value = { source: keyboard ? "keyboard" : view, ...known } as Hover;
  };

  /** What a click in a view means for the record, whatever of it the view shows. */
  private select(view: ViewName, hit: Hit, additive: boolean): void {
    const state = readState(this.state.shared);
    // The neuron view always shows the record as it is.
    const lens = view === "neuron" ? null : this.maker.lens(state);
    // Of two records one head is shown: another takes its place.
    const adds = additive && !(view === "model" && this.state.meta.comparison);
    const now = performance.now();
    // The second click of two takes back what the first one did, and leaves what was before both.
    if (now - this.clicked > DOUBLE_MS)
      this.pinsBefore = { queries: state.queries, keys: state.keys };
    this.clicked = now;
    this.targets.change(recordChange(lens, click(shownState(lens, state), view, hit, adds)));
  }
}
