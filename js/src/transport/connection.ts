// What is known of the kernel behind a view: whether it is there, and whether it answers.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import type { Invoke, Messenger } from "./invoke.js";

/** Busy: it has left a command unanswered for a while. Gone: what answered this view is no more. */
export type KernelState = "ready" | "busy" | "gone";

/** A kernel at work on this view answers in slices of 0.2 s. */
const BUSY_MS = 1_500;
/** The kernel's states, as Jupyter names them, after which nothing of it is left. */
const ENDED: readonly unknown[] = ["restarting", "autorestarting", "terminating", "dead"];
/** Of JupyterLab's widget manager and its like, on a view whose kernel's side is gone. */
const DISCONNECTED = ".jupyter-widgets-disconnected";

export const KERNEL_GONE =
  "The kernel of this view has stopped or was restarted: run this cell again. What was drawn before stays.";

/** What a Jupyter front end's widget manager knows of its kernel. */
interface HostKernel {
  readonly statusChanged?: {
    connect(slot: (kernel: unknown, status: unknown) => void): unknown;
    disconnect(slot: (kernel: unknown, status: unknown) => void): unknown;
  };
}

function hostKernel({ widget_manager: manager }: Messenger): HostKernel | null {
  if (typeof manager !== "object" || manager === null || !("kernel" in manager)) return null;
  return (manager.kernel as HostKernel | null | undefined) ?? null;
}

/** The kernel behind one view, by what the host says and by how long commands wait. */
export class Connection {
  private readonly current = signal<KernelState>("ready");
  private readonly late = new Set<object>();
  private lost = new AbortController();
  /** Whether the host says when the kernel is gone: as long as it does not, an answer will come. */
  readonly told: boolean;

  constructor(model: Messenger, el: HTMLElement, gone: AbortSignal) {
    const status = hostKernel(model)?.statusChanged;
    this.told = status !== undefined;
    // For good: what runs in its place knows nothing of this view.
    let ended = false;
    const onStatus = (_: unknown, now: unknown) => {
      ended ||= ENDED.includes(now);
      if (ended) this.set(true);
    };
    // Once all listeners of the event have run: one of them marks the view.
    const onLive = () =>
      queueMicrotask(() => {
        if (!gone.aborted) this.set(ended || el.closest(DISCONNECTED) !== null);
      });
    status?.connect(onStatus);
    model.on("comm_live_update", onLive);
    gone.addEventListener("abort", () => {
      status?.disconnect(onStatus);
      model.off("comm_live_update", onLive);
    });
  }

  get state(): ReadonlySignal<KernelState> {
    return this.current;
  }

  /** Commands that end when the kernel does, and tell when they wait. */
  through(invoke: Invoke): Invoke {
    return async (name, message, options) => {
      const { lost } = this;
      lost.signal.throwIfAborted();
      const waits = {};
      const timer = setTimeout(() => {
        this.late.add(waits);
        this.update();
      }, BUSY_MS);
      try {
        const signal = AbortSignal.any([options.signal, lost.signal]);
        return await invoke(name, message, { ...options, signal });
      } finally {
        clearTimeout(timer);
        this.late.delete(waits);
        this.update();
      }
    };
  }

  private set(isGone: boolean): void {
    if (isGone === this.lost.signal.aborted) return;
    if (isGone) this.lost.abort(new Error(KERNEL_GONE));
    else this.lost = new AbortController();
    this.update();
  }

  private update(): void {
    const waits = this.late.size > 0 ? "busy" : "ready";
    this.current.value = this.lost.signal.aborted ? "gone" : waits;
  }
}
