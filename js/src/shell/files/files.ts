// `Files`: what is shown as a file, for buttons and the kernel, and as a picture for readers without widgets.

import type { BlockStore } from "../../data/store.js";
import type { FigureOptions } from "../../figure/compose.js";
import type { Chosen } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import { fromTraits, type State } from "../../state/selection.js";
import { reading, readingText } from "../reading/reading-text.js";
import {
  download,
  exportFigure,
  type SaveRequest,
  type Still,
  stillPicture,
  wholeFigure,
} from "./save.js";

/** What files are made of. */
export interface FileTargets {
  /** What was drawn last; null before anything was. */
  scene(): Scene | null;
  /** The scene of another selection. */
  sceneOf(state: State): Scene;
  figure(): FigureOptions;
  /** What was chosen for the reader: the still picture's words say so. */
  chosen(): Chosen | null;
  store(): BlockStore;
  redraw(): void;
}

export class Files {
  constructor(private readonly targets: FileTargets) {}

  private get scene(): Scene {
    const scene = this.targets.scene();
    if (!scene) throw new Error("Nothing has been drawn yet.");
    return scene;
  }

  private drawn(scene: Scene, options: FigureOptions): Promise<string> {
    return wholeFigure(scene, options, this.targets.store(), () => this.targets.redraw());
  }

  /** What is shown as a file's content; for the kernel's `save` as well as for the buttons. */
  async export({ format, width, figure, state, scale }: SaveRequest): Promise<Blob> {
    const { targets, scene: shown } = this;
    const scene = state ? targets.sceneOf(fromTraits(state)) : shown;
    // Another width is another layout, in which the reader's scroll means nothing.
    const placed = width === undefined ? targets.figure() : { width };
    const options = figure ? { ...placed, figure } : placed;
    return exportFigure(await this.drawn(scene, options), format, scale);
  }

  /** What is shown as a picture of so many bytes at most, for readers of the notebook without widgets. */
  async still(most: number): Promise<Still> {
    const { scene } = this;
    const svg = await this.drawn(scene, this.targets.figure());
    const said = readingText(reading({ ...scene, hover: null }, this.targets.chosen()));
    return { ...(await stillPicture(svg, most)), said };
  }

  async save(format: "svg" | "png"): Promise<void> {
    this.download(await this.export({ format }), format);
  }

  download(blob: Blob, ending: string): void {
    const { stream, layer } = this.scene.state;
    download(blob, `attention-${stream}-layer${layer}.${ending}`);
  }
}
