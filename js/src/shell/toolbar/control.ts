// `Control`, what stands in the line above the views; `ToolbarEvents`, what it leads to.

import type { TemplateResult } from "lit-html";
import type { Scene } from "../../scene/scene.js";
import type { State } from "../../state/selection.js";

export interface ToolbarEvents {
  change(change: Partial<State>): void;
  hoverHead(head: number | null): void;
  save(format: "svg" | "png"): void;
  /** Have the kernel make a PDF; null where there is none. */
  pdf: (() => void) | null;
  /** The call that opens a view at what is shown; null where nothing is known of it. */
  code: (() => string) | null;
  /** Put a copy that needs no kernel in the widget's place; null where there is no kernel to make it. */
  freeze: (() => void) | null;
  search(): void;
  /** Show only the contexts of a survey that have a text. */
  containing(text: string): void;
  help(): void;
}

/** Where a control stands: where one looks, what is drawn of it, what comes out. */
export type Group = "where" | "what" | "out";

/**
 * One control, or several that belong together. `list.ts` has them all in their order. While the line is
 * too long, those of the lowest rank give way first: they are drawn short, then go under ⋯.
 */
export interface Control {
  /** Also its `data-control` on the page. */
  readonly name: string;
  readonly group: Group;
  /** What it is called under ⋯, and in the line where `named`. */
  readonly label?: string;
  readonly named?: boolean;
  /** Whether it does anything in what is open. What does nothing is not there. */
  shown?(scene: Scene, events: ToolbarEvents): boolean;
  draw(scene: Scene, events: ToolbarEvents, short: boolean): TemplateResult;
  /** How long it stays as it is: Infinity for always, 0 for a control that is always under ⋯. */
  rank(scene: Scene): number;
  /** The same of its short form; without one there is none. */
  readonly shortRank?: number;
  /** What its width depends on, besides its name: it is measured anew where that changes. */
  size?(scene: Scene): string;
}
