// `Shell`, one widget on the page: state to frames, frames to panels, requests to the kernel.

import { effect, type ReadonlySignal, untracked } from "@preact/signals-core";
import { render, type TemplateResult } from "lit-html";
import { withoutRecord } from "../data/meta.js";
import type { BlockStore, Progress } from "../data/store.js";
import type { FigureOptions } from "../figure/compose.js";
import type { Screen } from "../protocol/generated.js";
import type { Moving } from "../scene/edited.js";
import { recordChange } from "../scene/lens.js";
import { recordScene, type Scene, withEdits, withTrace } from "../scene/scene.js";
import type { SceneMaker } from "../scene/scene-maker.js";
import type { EditTraits } from "../state/edit-traits.js";
import type { Gesture, ViewName } from "../state/interaction.js";
import { pythonCall } from "../state/python-call.js";
import { found } from "../state/search.js";
import { type State, toTraits } from "../state/selection.js";
import { readState, same, type WidgetState, writeState } from "../state/signals.js";
import { cssVariables } from "../styles/theme.js";
import { KERNEL_GONE } from "../transport/connection.js";
import { layoutViews, type ViewsLayout } from "../views/layout.js";
import { activeQuery } from "../views/neuron/data.js";
import { TITLES, titleOf } from "../views/titles.js";
import { changes } from "../views/what-if/view.js";
import { type EditKernel, TextEditor } from "./edit-text.js";
import { Files } from "./files/files.js";
import { FirstOfRanking } from "./first-of-ranking.js";
import { TabRow } from "./focus/tab-row.js";
import { Gestures } from "./gestures.js";
import { HelpBox } from "./help-box.js";
import { watchDark } from "./host-theme.js";
import { type KeyTargets, leave, pressed } from "./keys.js";
import { nextFrame } from "./next-frame.js";
import { Panel } from "./panel.js";
import { neighbours } from "./prefetch.js";
import type { Measure } from "./reading/fit-line.js";
import { measureIn } from "./reading/measure-text.js";
import { ONE_ROW, readingLine } from "./reading/reading-line.js";
import { Replay } from "./replay.js";
import { fitsBeside, type ScoreEvents, scoreBar, scoreChoice } from "./score-bar.js";
import { screenOf } from "./screen.js";
import { Finder } from "./search-bar.js";
import { statusBar } from "./status-bar.js";
import { stepBar } from "./step-bar.js";
import type { ToolbarEvents } from "./toolbar/control.js";
import { Toolbar } from "./toolbar/toolbar.js";
import { BarsMotion, memoryOf } from "./what-if/bars-motion.js";
import { barsTable } from "./what-if/bars-table.js";
import { TraceLine, type TraceWish } from "./what-if/trace-line.js";
import { WhatIfLine } from "./what-if/what-if.js";

/** Screen state goes to Python once the reader has stopped moving, not with every pixel of a scroll. */
const SETTLE_MS = 300;
/** What only a kernel can do; a saved copy has none. */
export interface Kernel extends EditKernel {
  /** Put a copy that needs no kernel in this widget's place. */
  freeze(height: number): Promise<void>;
  /** Record an input of a survey. */
  open(example: number, at: { query?: number; key?: number }): Promise<void>;
  /** Draw what is shown as a PDF. */
  pdf(): Promise<Blob>;
  /** Begin to run the model without each head, or stop; `of` as of `start_effects`. */
  effects(on: boolean, of?: "gradients"): Promise<void>;
  /** Begin to trace what the model says, or, of null, stop. */
  trace(wish: TraceWish | null): Promise<void>;
}

/**
 * One widget on the page: the toolbar, the sentence on what is selected, the panels, and what is waited for or went wrong under
 * them. Every change of state leads to one frame; a frame draws every view, then asks the kernel for what was missing.
 */
export class Shell {
  private readonly bar: Toolbar;
  private readonly help: HelpBox;
  private readonly replay = document.createElement("div");
  private readonly scores = document.createElement("div");
  private readonly readingBar = document.createElement("div");
  private readonly readingRow = new TabRow(this.readingBar);
  private readonly editor: TextEditor;
  private readonly whatIf: WhatIfLine;
  private readonly trace: TraceLine;
  private readonly motion: BarsMotion;
  private readonly textMeasure: Measure;
  private readonly viewArea = document.createElement("div");
  private readonly finder: Finder;
  /** What is shown as a file. */
  readonly files: Files;
  private readonly first: FirstOfRanking;
  private readonly steps: Replay;
  private readonly gestures: Gestures;
  private readonly statusBar = document.createElement("div");
  private readonly panels = new Map<ViewName, Panel>();
  private readonly dark: ReadonlySignal<boolean>;
  private readonly resize = new ResizeObserver(([entry]) => {
    // Out of sight there is nothing to draw, and a frame would only observe again.
    if (entry && entry.contentRect.width >= 1) this.schedule();
  });
  private cancelFrame: (() => void) | null = null;
  private settle = 0;
  private painted = 0;
  /** How much of the scores the kernel has read, while it scores heads. */
  private scored: number | null = null;
  private failure: string | null = null;
  /** Why a button did nothing: said until the reader does something else. */
  private refused: string | null = null;
  private revealed: Pick<State, "query" | "key" | "stream" | "layer" | "heads"> | null = null;
  private scene: Scene | null = null;
  private layout: ViewsLayout | null = null;

  constructor(
    private readonly root: HTMLElement,
    private readonly state: WidgetState,
    private readonly maker: SceneMaker,
    private readonly onScreen: (screen: Screen) => void,
    private readonly kernel: Kernel | null,
    edits: EditTraits,
    private readonly signal: AbortSignal,
  ) {
    if (kernel) {
      this.toolbarEvents.freeze = () =>
        this.attempt(() => kernel.freeze(root.getBoundingClientRect().height));
      this.toolbarEvents.pdf = () =>
        this.attempt(async () => this.files.download(await kernel.pdf(), "pdf"));
    }
    const { python } = state.meta;
    if (python)
      this.toolbarEvents.code = () =>
        pythonCall(python, toTraits(readState(state.shared)), edits.traced.peek());
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", `Attention of ${state.meta.model}`);
    this.bar = new Toolbar(this.toolbarEvents);
    this.help = new HelpBox({
      scene: () => this.scene,
      anchor: () => this.bar.element,
      leave: () => root.focus(),
    });
    const redraw = () => this.schedule();
    this.editor = new TextEditor(kernel, signal, this.readingBar, redraw);
    this.textMeasure = measureIn(root);
    this.viewArea.className = "aw-stage";
    this.statusBar.className = "aw-foot";
    this.whatIf = new WhatIfLine(edits, state, {
      scene: () => this.scene,
      effects: kernel && ((on, of) => kernel.effects(on, of)),
      gone: () => kernel?.state.peek() === "gone",
      compare: () => this.editor.compare(),
      redraw,
    });
    this.trace = new TraceLine(edits, {
      trace: kernel && ((wish) => kernel.trace(wish)),
      gone: () => kernel?.state.peek() === "gone",
      compared: state.meta.comparison !== undefined,
      redraw,
    });
    this.motion = new BarsMotion(memoryOf(edits), {
      still: () => matchMedia("(prefers-reduced-motion: reduce)").matches,
      now: () => performance.now(),
      frame: (draw) => nextFrame(false, draw),
      draw: (moving) => this.paintBars(moving),
    });
    this.files = new Files({
      scene: () => this.scene,
      sceneOf: (other) => this.edited(maker.make(other, null, state.options.peek(), this.isDark)),
      figure: () => this.figureOptions(),
      chosen: () => state.chosen.peek(),
      store: () => this.store,
      redraw,
    });
    this.steps = new Replay(state, (change) => this.change(change), redraw);
    this.gestures = new Gestures(state, maker, {
      change: (changes) => this.change(changes),
      open: (example, at = {}) => this.open(example, at),
      redraw,
    });
    this.finder = new Finder(state, {
      scene: () => this.scene,
      jump: (at) => {
        for (const [, panel] of this.panels) panel.reveal(at);
      },
      pin: (queries) =>
        this.change(recordChange(this.maker.lens(readState(state.shared)), queries)),
      leave: () => root.focus(),
    });
    const { element } = this.finder;
    this.first = new FirstOfRanking(state, (change) => this.change(change));
    root.replaceChildren(
      this.bar.element,
      this.help.element,
      element,
      this.replay,
      this.scores,
      this.editor.element,
      this.whatIf.element,
      this.trace.element,
      this.viewArea,
      this.statusBar,
    );
    this.dark = watchDark(root, signal);
    const stop = effect(() => {
      readState(state.shared);
      state.hover.value;
      state.options.value;
      state.search.value;
      state.chosen.value;
      this.whatIf.edited;
      this.trace.traced;
      edits.cannot.value;
      this.dark.value;
      this.schedule();
    });
    const follow = effect(() => {
      if (state.chosen.value) this.first.take();
    });
    this.watch(kernel);
    this.resize.observe(root);
    const onKey = (event: KeyboardEvent) => {
      if (this.trace.pressed(event) || this.whatIf.pressed(event)) return;
      pressed(event, state, this.keyTargets);
    };
    root.addEventListener("keydown", onKey, { signal });
    signal.addEventListener("abort", () => {
      stop();
      follow();
      this.resize.disconnect();
      this.cancelFrame?.();
      clearTimeout(this.settle);
      this.steps.dispose();
      this.motion.dispose();
      this.help.dispose();
      for (const [, panel] of this.panels) panel.dispose();
      root.replaceChildren();
    });
  }

  /** Say what becomes of the kernel at once, and ask again for what it left unanswered. */
  private watch(kernel: Kernel | null): void {
    if (!kernel) return;
    let before = kernel.state.peek();
    const stop = effect(() => {
      const now = kernel.state.value;
      this.root.dataset.kernel = now;
      if (now === before) return;
      if (before === "gone") this.store.retry();
      before = now;
      this.renderFoot();
      // The line of edits says so, too.
      this.schedule();
    });
    this.signal.addEventListener("abort", stop);
  }

  private get store(): BlockStore {
    return this.maker.store;
  }

  /** Draw again at the next frame: numbers arrived, the page was resized, the state changed. */
  schedule(): void {
    if (this.cancelFrame || this.signal.aborted) return;
    this.cancelFrame = nextFrame(this.kernel === null, () => {
      this.cancelFrame = null;
      try {
        this.paint();
      } catch (error) {
        // What went wrong belongs where the reader looks, and the rest of the page goes on.
        this.failure = error instanceof Error ? error.message : String(error);
        this.renderFoot();
        throw error;
      }
    });
  }

  /** A scene of the record, under the edits that are in force. */
  private edited(scene: Scene): Scene {
    const { whatIf } = this;
    const [edited, traced] = untracked(() => [whatIf.edited, this.trace.traced] as const);
    return { ...withTrace(withEdits(scene, edited), traced), editable: whatIf.canEdit };
  }

  private get isDark(): boolean {
    const theme = this.state.shared.theme.peek();
    return theme === "auto" ? this.dark.peek() : theme === "dark";
  }

  private paint(): void {
    const width = Math.floor(this.viewArea.clientWidth);
    if (width === 0) {
      // Out of sight for this frame at least: JupyterLab lays nothing out while it changes its theme.
      // Observed anew, the root is reported once it has a size, even if that is the size it had.
      this.resize.unobserve(this.root);
      this.resize.observe(this.root);
      return;
    }
    const { shared, hover, options, search } = this.state;
    const state = readState(shared);
    // Of the frame before: this one has asked for nothing yet.
    this.scored = this.store.progress("heads")?.part ?? null;
    this.store.begin();
    const hovered = hover.peek();
    const made = this.edited(this.maker.make(state, hovered, options.peek(), this.isDark));
    const sought = <S extends Scene>(of: S): S => ({ ...of, found: found(search.peek(), of) });
    const scene = { ...sought(made), recorded: made.recorded && sought(made.recorded) };
    if (this.root.dataset.theme !== scene.theme.name) {
      this.root.dataset.theme = scene.theme.name;
      for (const [name, value] of Object.entries(cssVariables(scene.theme))) {
        this.root.style.setProperty(name, value);
      }
    }
    // A theme that is not the host's brings its own ground: text on the host's could not be read.
    this.root.toggleAttribute("data-ground", (scene.theme.name === "dark") !== this.dark.peek());
    this.scene = scene;
    this.failure = null;
    this.bar.render(scene, width);
    this.help.render(scene);
    this.finder.render(scene);
    render(stepBar(scene, this.steps.playing, this.steps.events), this.replay);
    render(scoreBar(recordScene(scene), this.scoreEvents), this.scores);
    render(this.reading(scene, width), this.readingBar);
    this.readingRow.update();
    this.whatIf.render(scene);
    this.trace.render(scene);
    const scored = this.whatIf.granted(scene);
    if (scored) this.change(scored);
    this.arrange(scene, layoutViews(scene, width));
    const model = this.panels.get("model");
    if (model) render(scoreChoice(recordScene(scene), this.scoreEvents), model.aside);
    const moving = this.motion.next(changes(scene));
    for (const [name, panel] of this.panels) if (name !== "change") panel.paint(scene);
    this.paintBars(moving);
    this.reveal(scene);
    this.maker.end(scene);
    this.renderFoot();
    this.first.look(scene);
    this.store.flush();
    if (this.store.pending === 0) this.store.prefetch(neighbours(scene, this.store.read));
    this.root.dataset.painted = String(++this.painted);
    this.root.dataset.pending = String(this.store.pending);
    this.root.dataset.missing = String(this.store.missingBlocks);
    this.root.dataset.blank = String(scene.thumbnails.blank);
    this.reportScreen(width);
  }

  /** The bars of what edits change, where they are on their way, and their table. */
  private paintBars(moving: Moving | null): void {
    const { scene } = this;
    const panel = this.panels.get("change");
    if (!panel || !scene) return;
    panel.paint(moving ? { ...scene, moving } : scene);
    render(barsTable(scene), panel.aside);
  }

  private arrange(scene: Scene, layout: ViewsLayout): void {
    const shown = new Set(layout.boxes.map(({ view }) => view.name));
    for (const [name, panel] of this.panels) {
      if (shown.has(name)) continue;
      panel.dispose();
      this.panels.delete(name);
    }
    for (const [at, { view, rect, heading }] of layout.boxes.entries()) {
      let panel = this.panels.get(view.name);
      if (!panel) {
        panel = new Panel(view, TITLES[view.name], this.gestures);
        this.panels.set(view.name, panel);
        // Where it stands on the page is also when Tab comes to it.
        this.viewArea.insertBefore(panel.element, this.viewArea.children[at] ?? null);
      }
      panel.place(rect, heading);
      panel.title = titleOf(scene, view.name, fitsBeside(scene, this.textMeasure, rect.width));
    }
    this.viewArea.style.height = `${layout.height}px`;
    this.layout = layout;
  }

  /** What was chosen elsewhere may lie outside the frame; what the reader just clicked never does. */
  private reveal(scene: Scene): void {
    const { state } = scene;
    const { query, key, stream, layer, heads } = state;
    const before = this.revealed;
    this.revealed = { query, key, stream, layer, heads };
    if (before && same(before, this.revealed)) return;
    const [head = 0] = heads;
    if (layer !== before?.layer || head !== before.heads[0]) {
      this.panels.get("model")?.reveal({ layer, head });
    }
    const at: { query?: number; key?: number } = {};
    if (query !== null && query !== before?.query) at.query = query;
    if (key !== null && key !== before?.key) at.key = key;
    // On opening, all views are at the query that the neuron view is about.
    if (!before && query === null && key === null) at.query = activeQuery(scene).query;
    if (at.query === undefined && at.key === undefined) return;
    for (const [, panel] of this.panels) panel.reveal(at);
  }

  private change(changes: Partial<State>): void {
    this.refused = null;
    writeState(this.state.shared, changes);
  }

  private readonly toolbarEvents: ToolbarEvents = {
    change: (change) => this.change(change),
    hoverHead: (head) => {
      const layer = this.state.shared.layer.peek();
      this.state.hover.value = head === null ? null : { source: "toolbar", layer, head };
    },
    save: (format) => this.attempt(() => this.files.save(format)),
    pdf: null,
    code: null,
    freeze: null,
    search: () => this.finder.toggle(),
    containing: (containing) => {
      const { options } = this.state;
      options.value = { ...options.peek(), containing };
    },
    help: () => this.help.toggle(),
  };

  private get scoreEvents(): ScoreEvents {
    const { kernel } = this;
    const { comparison } = this.state.meta;
    return {
      progress: this.scored,
      effects: this.whatIf.canEdit ? (as) => this.whatIf.scoreByEffects(as) : null,
      canRank: kernel !== null && !withoutRecord(this.maker) && comparison === undefined,
      change: (change) => this.change(change),
      rank: (change) => this.first.rank(change),
    };
  }

  private reading(scene: Scene, width: number): TemplateResult {
    const { first, state, textMeasure: measure } = this;
    const rows = width < ONE_ROW ? 2 : 1;
    const room = { width: this.editor.room(width, measure), rows, measure } as const;
    return readingLine(scene, state.chosen.peek(), room, {
      change: (change) => this.change(change),
      back: first.canGoBack ? () => first.back() : null,
    });
  }

  /** Where the pointer is, else in the first view that has a map. */
  private onMap(gesture: Gesture): boolean {
    const panels = [...this.panels.values()];
    return (
      panels.some((panel) => panel.gesture(gesture)) ||
      panels.some((panel) => panel.gesture(gesture, true))
    );
  }

  private get keyTargets(): KeyTargets {
    return {
      change: (changes) => this.change(changes),
      help: () => this.toolbarEvents.help(),
      helpOpen: this.help.open,
      leave: () => leave(this.root),
      search: withoutRecord(this.maker) ? null : () => this.finder.open(),
      onMap: (gesture) => this.onMap(gesture),
      stop: () => this.store.stop(),
      back: () => this.first.back(),
      scene: this.scene,
    };
  }

  private figureOptions(): FigureOptions {
    const scroll = Object.fromEntries(
      Array.from(this.panels, ([name, panel]) => [name, panel.scroll]),
    );
    return { width: this.layout?.width ?? this.viewArea.clientWidth, scroll };
  }

  private reportScreen(width: number): void {
    clearTimeout(this.settle);
    this.settle = window.setTimeout(() => {
      // Nobody is there to be told, and the host would complain at every try.
      if (this.kernel?.state.peek() === "gone") return;
      const about = { width, dark: this.isDark };
      this.onScreen(screenOf(this.root, this.panels, this.state.options.peek(), about));
    }, SETTLE_MS);
  }

  /** Have the kernel record an input of the survey; its attention then takes this widget's place. */
  private open(example: number, at: { readonly query?: number; readonly key?: number }): void {
    const { kernel, maker } = this;
    if (maker.meta.survey?.example === example) {
      if (at.query !== undefined && at.key !== undefined)
        this.change({ query: at.query, key: at.key });
      return;
    }
    if (!kernel || !maker.meta.survey?.can_open) return;
    this.root.dataset.opening = "";
    this.attempt(() => kernel.open(example, at).finally(() => delete this.root.dataset.opening));
  }

  /** What a button does that may fail; why it did is said under the views. */
  private attempt(action: () => Promise<void>): void {
    this.refused = null;
    action().catch((error: unknown) => {
      if (this.signal.aborted) return;
      this.refused = error instanceof Error ? error.message : String(error);
      this.renderFoot();
    });
  }

  /** How far scores are is said beside their name, until they are stopped. */
  private get stoppedScores(): Progress | null {
    const scores = this.store.progress("heads");
    return scores?.stopped ? scores : null;
  }

  private renderFoot(): void {
    const kernel = this.kernel?.state.peek() ?? null;
    const gone = kernel === "gone" ? KERNEL_GONE : null;
    const failure = gone ?? this.failure ?? this.refused ?? this.store.failed;
    // A saved copy will not hold more the next time, nor will a kernel that is gone answer.
    const retry = kernel && !gone ? () => this.store.retry() : null;
    const given = {
      failure,
      busy: kernel === "busy",
      rounded: this.store.rounded,
      progress: this.store.progress("blocks", "thumbnails") ?? this.stoppedScores,
      compare: this.whatIf.canEdit ? () => this.whatIf.compareGradients() : null,
      retry,
      stop: () => this.store.stop(),
      resume: () => this.store.resume(),
    };
    render(statusBar(this.scene, given), this.statusBar);
  }
}
