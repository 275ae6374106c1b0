// Entry of the widget: draws for a live kernel, or over the snapshot of a saved page.

import { effect, signal as traitSignal } from "@preact/signals-core";
import { BlockStore, type Fetch } from "./data/store.js";
import { decodeBase64 } from "./protocol/decode.js";
import type {
  Editing,
  Messages,
  Meta,
  SaveMessage,
  Screen,
  Snapshot,
  StillMessage,
} from "./protocol/generated.js";
import type { TraitModel } from "./protocol/model.js";
import { readMeta } from "./protocol/positions.js";
import { SceneMaker } from "./scene/scene-maker.js";
import { tendCopies } from "./shell/copy-frames.js";
import { focusedBeside } from "./shell/focus/focused.js";
import { fitFrame } from "./shell/framed-copy.js";
import { type Kernel, Shell } from "./shell/shell.js";
import { EditTraits } from "./state/edit-traits.js";
import { createState } from "./state/signals.js";
import { bindTraits, follow, readTraits } from "./state/traits.js";
import css from "./styles/widget.css";
import { Connection } from "./transport/connection.js";
import { type Invoke, invokeThrough, type Messenger } from "./transport/invoke.js";
import {
  askForPdf,
  askToFreeze,
  askToRun,
  askToShow,
  kernelFetch,
  snapshotFetch,
} from "./transport/kernel.js";

interface RenderContext {
  readonly model: Messenger;
  readonly el: HTMLElement;
  readonly signal?: AbortSignal;
}

function bytesOf(value: unknown): Uint8Array {
  if (!ArrayBuffer.isView(value)) throw new Error("The widget's pictures did not arrive.");
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/**
 * JupyterLab takes single keys (C copies a cell, X cuts it) before they reach an output, unless the
 * focused element itself says otherwise. Shift-Enter, outside of a text of several lines, and keys with Ctrl, Alt or Cmd
 * stay its own.
 */
function keepShortcuts(root: HTMLElement, signal: AbortSignal): void {
  const mark = (event: KeyboardEvent) => {
    const { target } = event;
    if (!(target instanceof HTMLElement) || !root.contains(target)) return;
    // Looking for text is the widget's own, too, and so is taking back an edit of the model.
    const finds = (event.ctrlKey || event.metaKey) && /^[fz]$/i.test(event.key);
    const modified = (event.ctrlKey || event.metaKey || event.altKey) && !finds;
    target.toggleAttribute(
      "data-lm-suppress-shortcuts",
      !modified &&
        (target instanceof HTMLTextAreaElement || !(event.shiftKey && event.key === "Enter")),
    );
  };
  // The window's capturing listeners come before the document's, where JupyterLab's stands.
  window.addEventListener("keydown", mark, { signal, capture: true });
}

/** Draw into `el` until the signal aborts: the same for a live kernel and a saved copy. */
function mount(
  el: HTMLElement,
  model: TraitModel,
  fetch: Fetch,
  kernel: Kernel | null,
  edits: EditTraits,
  signal: AbortSignal,
): Shell {
  const style = document.createElement("style");
  style.textContent = css;
  const root = document.createElement("div");
  root.className = "attnwidget";
  // A click anywhere in the widget makes its keys work.
  root.tabIndex = -1;
  keepShortcuts(root, signal);
  el.replaceChildren(style, root);
  signal.addEventListener("abort", () => el.replaceChildren());

  const meta = readMeta(model.get("meta") as Meta);
  const store = new BlockStore(fetch, () => shell.schedule());
  signal.addEventListener("abort", () => store.dispose());
  const state = createState(meta, readTraits(model));
  follow(model, "chosen", state.chosen, signal);
  bindTraits(model, state.shared, signal);
  const media = bytesOf(model.get("media"));
  const maker = new SceneMaker(meta, bytesOf(model.get("overview")), store, media);
  const report = (screen: Screen) => {
    if (JSON.stringify(model.get("_screen")) === JSON.stringify(screen)) return;
    model.set("_screen", screen);
    model.save_changes();
  };
  const shell = new Shell(root, state, maker, report, kernel, edits, signal);
  return shell;
}

/** Python asked for a figure of what is on screen. */
async function answerSave(
  shell: Shell,
  message: SaveMessage,
  invoke: Invoke,
  signal: AbortSignal,
): Promise<void> {
  const { token } = message;
  try {
    const bytes = await (await shell.files.export(message)).arrayBuffer();
    await invoke("saved", { token }, { buffers: [new DataView(bytes)], signal });
  } catch (error) {
    if (signal.aborted) return;
    const text = error instanceof Error ? error.message : String(error);
    const message: Messages["saved"] = { token, error: text };
    await invoke("saved", message, { signal }).catch((reason: unknown) => {
      // The file is not written, and nobody is there to be told.
      if (!signal.aborted) console.debug("attnwidget could not say why no figure came:", reason);
    });
  }
}

/** Python asked for the still picture that stands in the notebook. */
async function answerStill(
  shell: Shell,
  { most }: StillMessage,
  invoke: Invoke,
  signal: AbortSignal,
): Promise<void> {
  try {
    const { png, ...about } = await shell.files.still(most);
    const buffers = [new DataView(png.buffer, png.byteOffset, png.byteLength)];
    const message: Messages["still_drawn"] = about;
    await invoke("still_drawn", message, { buffers, signal });
  } catch (error) {
    // Nobody waits for it: the notebook has the picture before, or none.
    if (!signal.aborted) console.debug("attnwidget made no still picture:", error);
  }
}

/** Keep a place as high as it is while what stands in it is replaced, so that the page does not jump. */
function holdHeight(el: HTMLElement): void {
  el.style.minHeight = `${el.getBoundingClientRect().height}px`;
  setTimeout(() => {
    el.style.minHeight = "";
  }, 300);
}

/** Where the reader goes on by the keyboard when what had the focus was replaced. */
function focusOn(el: HTMLElement, edit?: string): void {
  const target =
    ((edit && el.querySelector<HTMLElement>(`[data-edit="${CSS.escape(edit)}"]`)) ||
      el.querySelector<HTMLElement>(".aw-edit-button")) ??
    el.querySelector(".attnwidget");
  (target as HTMLElement | null)?.focus({ preventScroll: true });
}

function render({ model, el, signal }: RenderContext): () => void {
  // Frozen copies bring a script for this, which not every host runs.
  tendCopies();
  let controller = new AbortController();
  // Undo and redo lead from one record to another: what they know outlives each.
  const whole = new AbortController();
  const end = () => {
    controller.abort();
    whole.abort();
  };
  signal?.addEventListener("abort", end);
  const edits = new EditTraits(model, whole.signal);
  const start = () => {
    controller.abort();
    controller = new AbortController();
    const { signal: inner } = controller;
    const connection = new Connection(model, el, inner);
    const invoke = connection.through(invokeThrough(model));
    const editing = traitSignal<Editing | null>(null);
    follow(model, "_editing", editing, inner);
    const kernel: Kernel = {
      state: connection.state,
      freeze: (height) => askToFreeze(invoke, height, inner),
      open: (example, at) => askToShow(invoke, "open_example", { example, ...at }, inner),
      pdf: () => askForPdf(invoke, inner),
      editing,
      edit: (texts) => askToShow(invoke, "edit_text", { texts }, inner),
      effects: (on, of) =>
        on
          ? askToRun(invoke, "start_effects", { how: "zero", ...(of ? { of } : {}) }, inner)
          : askToRun(invoke, "stop_effects", {}, inner),
      trace: (wish) =>
        wish
          ? askToRun(invoke, "start_trace", wish, inner)
          : askToRun(invoke, "stop_trace", {}, inner),
      compareBefore: (on) => askToShow(invoke, "compare_before", { on }, inner),
    };
    try {
      const shell = mount(el, model, kernelFetch(invoke, inner, connection), kernel, edits, inner);
      const onMessage = (message: SaveMessage | StillMessage) => {
        if (message?.kind === "save") void answerSave(shell, message, invoke, inner);
        if (message?.kind === "still") void answerStill(shell, message, invoke, inner);
      };
      const onRecord = () => {
        const before = focusedBeside(el);
        const focused = el.contains(before);
        holdHeight(el);
        start();
        if (focused) focusOn(el, (before as HTMLElement).dataset.edit);
      };
      model.on("msg:custom", onMessage);
      // Another record: everything read from the one before is gone with it.
      model.on("change:meta", onRecord);
      const run = kernel.editing.peek()?.run;
      const stop = effect(() => {
        // Also one of which nothing but its numbers is different.
        if (kernel.editing.value?.run !== run) queueMicrotask(() => inner.aborted || onRecord());
      });
      inner.addEventListener("abort", () => {
        stop();
        model.off("msg:custom", onMessage);
        model.off("change:meta", onRecord);
      });
    } catch (error) {
      el.textContent = `attnwidget could not draw: ${error instanceof Error ? error.message : String(error)}`;
      throw error;
    }
  };
  start();
  return end;
}

/** A stand-in for a widget model, over a snapshot: what a saved page draws from. */
class SnapshotModel implements TraitModel {
  private readonly values: Map<string, unknown>;

  constructor(snapshot: Snapshot) {
    const { state, meta, overview, media = "", chosen = null } = snapshot;
    const { what_if = null, effects = null, traced = null } = snapshot;
    const edits = { what_if, effects, traced, interventions: what_if?.edits ?? [] };
    const bytes = { overview: decodeBase64(overview), media: decodeBase64(media) };
    const rest = { meta, chosen, ...bytes, ...edits, _screen: null };
    this.values = new Map<string, unknown>(Object.entries({ ...state, ...rest }));
  }

  get(name: string): unknown {
    return this.values.get(name);
  }

  set(name: string, value: unknown): void {
    this.values.set(name, value);
  }

  // Nothing but the widget itself ever changes a snapshot's traits: there is nobody to tell.
  on(): void {}
  off(): void {}
  save_changes(): void {}
}

/** Draw a saved copy, with no kernel behind it. Returns what takes it off the page again. */
function mountSnapshot(el: HTMLElement, snapshot: Snapshot): () => void {
  const controller = new AbortController();
  const { signal } = controller;
  const model = new SnapshotModel(snapshot);
  mount(el, model, snapshotFetch(snapshot), null, new EditTraits(model, signal), signal);
  fitFrame(controller.signal);
  return () => controller.abort();
}

// A saved page runs this module inline, where nobody can import from it.
dispatchEvent(new CustomEvent("attnwidget", { detail: { mountSnapshot } }));

export default () => ({ render });
