// Keyboard shortcuts of the widget.

import type { Scene } from "../scene/scene.js";
import { compareSelected, letGo, stepHead, stepLayer, stepRank } from "../state/actions.js";
import type { Gesture } from "../state/interaction.js";
import type { State } from "../state/selection.js";
import { readState, type WidgetState } from "../state/signals.js";
import { boardOf, rankedRefs } from "../views/model/head-scores.js";
import { focusedBeside } from "./focus/focused.js";
import { drawsPinned } from "./toolbar/drawn.js";

const GESTURES: Readonly<Record<string, Gesture>> = {
  "+": { kind: "zoom", factor: 2 },
  "=": { kind: "zoom", factor: 2 },
  "-": { kind: "zoom", factor: 0.5 },
  "0": { kind: "fit" },
};

/** What keys lead to. */
export interface KeyTargets {
  change(changes: Partial<State>): void;
  help(): void;
  readonly helpOpen: boolean;
  /** Open the search; absent where there is no text to search. */
  readonly search: (() => void) | null;
  /** Zoom a map; whether there was one. */
  onMap(gesture: Gesture): boolean;
  /** Give the focus back to what the widget stands in. */
  leave(): void;
  /** Stop what takes long; whether there was anything. */
  stop(): boolean;
  /** Back to what was selected before a ranking showed its first head; whether there was anything. */
  back(): boolean;
  readonly scene: Scene | null;
}

/** The head beside the selected one, as they stand. */
function sideways({ meta }: WidgetState, state: State, scene: Scene | null, step: number) {
  const board = state.arrange === "rank" && scene ? boardOf(scene) : null;
  return board ? stepRank(state, rankedRefs(board), step) : stepHead(meta, state, step);
}

function changeFor(key: string, all: WidgetState, scene: Scene | null): Partial<State> | null {
  const { meta, shared } = all;
  const state = readState(shared);
  switch (key.length === 1 ? key.toLowerCase() : key) {
    case "ArrowUp":
      return stepLayer(meta, state, -1);
    case "ArrowDown":
      return stepLayer(meta, state, 1);
    case "ArrowLeft":
      return sideways(all, state, scene, -1);
    case "ArrowRight":
      return sideways(all, state, scene, 1);
    case "Escape":
      return letGo(state);
    case "c":
      // Where there is no place for them heads would be pinned unseen.
      return meta.comparison || !drawsPinned({ state }) ? {} : compareSelected(state);
    default:
      return null;
  }
}

/** Give the focus to the nearest thing around the widget that can have it: the cell, in a notebook. */
export function leave(root: HTMLElement): void {
  const around = root.parentElement?.closest<HTMLElement>("[tabindex]");
  const focused = focusedBeside(root);
  if (around) around.focus({ preventScroll: true });
  else if (focused instanceof HTMLElement) focused.blur();
}

/** Answer a key that was pressed anywhere in the widget. */
export function pressed(event: KeyboardEvent, state: WidgetState, targets: KeyTargets): void {
  const { key } = event;
  const { search } = targets;
  const control = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
  if (control && key.toLowerCase() === "f" && search) {
    event.preventDefault();
    search();
    return;
  }
  // A select and a slider answer to the same keys in its own way.
  const { tagName } = event.target as HTMLElement;
  if (/^(SELECT|INPUT|TEXTAREA)$/.test(tagName) || event.altKey || event.ctrlKey || event.metaKey)
    return;
  if (key === "?") targets.help();
  if (key.toLowerCase() === "b" && targets.back()) {
    event.preventDefault();
    return;
  }
  if (key === "/" && search) {
    event.preventDefault();
    search();
    return;
  }
  const gesture = GESTURES[key];
  if (gesture && targets.onMap(gesture)) event.preventDefault();
  if (key === "Escape" && targets.helpOpen) {
    targets.help();
    return;
  }
  // What takes long stops first: pins are let go by the next press.
  if (key === "Escape" && targets.stop()) return;
  const change = changeFor(key, state, targets.scene);
  if (!change) return;
  event.preventDefault();
  if (key === "Escape" && Object.keys(change).length === 0) {
    targets.leave();
    return;
  }
  targets.change(change);
}
