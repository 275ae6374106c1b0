// The help as a box over the views: opened and closed, and kept under its button.

import { nothing, render } from "lit-html";
import type { Scene } from "../scene/scene.js";
import { help } from "./help.js";
import { followPage } from "./toolbar/menu.js";

export class HelpBox {
  readonly element = document.createElement("div");
  private shown: AbortController | null = null;

  constructor(
    private readonly events: {
      scene(): Scene | null;
      /** What it stands under. */
      anchor(): Element;
      /** The keys are the widget's again. */
      leave(): void;
    },
  ) {}

  get open(): boolean {
    return this.shown !== null;
  }

  toggle(): void {
    if (this.shown) this.close();
    else this.show();
  }

  /** Draw what the help says of what is on screen now. */
  render(scene: Scene): void {
    render(this.shown ? help(scene, () => this.close()) : nothing, this.element);
  }

  dispose(): void {
    this.shown?.abort();
  }

  private show(): void {
    const scene = this.events.scene();
    if (!scene) return;
    this.shown = new AbortController();
    this.render(scene);
    const box = this.element.querySelector<HTMLElement>(".aw-help");
    if (!box) return;
    box.showPopover();
    followPage(box, this.events.anchor(), this.shown.signal);
    box.querySelector<HTMLElement>(".aw-close")?.focus();
  }

  private close(): void {
    this.shown?.abort();
    this.shown = null;
    render(nothing, this.element);
    this.events.leave();
  }
}
