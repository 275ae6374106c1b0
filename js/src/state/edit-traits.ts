// `EditTraits`: the edits in force as traits, and the page's own chips, undo and redo, which outlive a record.

import { batch, signal } from "@preact/signals-core";
import type {
  EffectsOfHeads,
  Interventions,
  Metric,
  TraceOfView,
  WhatIf,
} from "../protocol/generated.js";
import type { TraitModel } from "../protocol/model.js";
import { adopt, type EditHistory, inForce, NO_EDITS } from "./edits.js";
import { same } from "./signals.js";
import { follow } from "./traits.js";

export class EditTraits {
  readonly history = signal<EditHistory>(NO_EDITS);
  readonly metric = signal<Metric>(null);
  readonly whatIf = signal<WhatIf | null>(null);
  readonly effects = signal<EffectsOfHeads | null>(null);
  /** The links that the metric depends on, as far as they are known. */
  readonly traced = signal<TraceOfView | null>(null);
  /** Why none can be found; empty where they can, null where the host knows of no traces. */
  readonly cannotTrace = signal<string | null>(null);
  /** Why nothing can be edited; empty where it can, null where the host knows of no edits. */
  readonly cannot = signal<string | null>(null);
  /** Weights that links had before they were cut, by the edit that cut them. */
  readonly was = new Map<string, number>();
  private readonly parts = signal<Interventions | null>(null);
  /** What the positions of the chips are of. */
  private about: string | null = null;

  constructor(
    private readonly model: TraitModel,
    aborted: AbortSignal,
  ) {
    follow(model, "what_if", this.whatIf, aborted);
    follow(model, "effects", this.effects, aborted);
    follow(model, "traced", this.traced, aborted);
    follow(model, "cannot_trace", this.cannotTrace, aborted);
    follow(model, "metric", this.metric, aborted);
    follow(model, "cannot_edit", this.cannot, aborted);
    follow(model, "interventions", this.parts, aborted);
    const stop = this.parts.subscribe(() => this.pull());
    aborted.addEventListener("abort", stop);
  }

  /** Take up what Python has put in force. */
  private pull(): void {
    // Both come in one message: what was refused is known before anybody hears of it.
    const refused = (this.model.get("what_if") as WhatIf | null | undefined)?.state === "refused";
    const history = this.history.peek();
    this.history.value = adopt(history, this.parts.peek() ?? [], { refused });
  }

  /** Put the chips that are on in force. */
  set(history: EditHistory | null): void {
    if (!history) return;
    batch(() => {
      this.history.value = history;
      const parts = inForce(history);
      if (same(this.parts.peek() ?? [], parts)) return;
      this.model.set("interventions", parts);
      this.model.save_changes();
    });
  }

  measure(metric: Metric): void {
    this.model.set("metric", metric);
    this.model.save_changes();
    this.metric.value = metric;
  }

  /** Of other positions what was switched off or undone means nothing: only what is in force stays. */
  fit(positions: string): void {
    if (this.about !== null && this.about !== positions) {
      const parts = this.parts.peek() ?? [];
      this.history.value = { ...NO_EDITS, chips: parts.map((part) => ({ part, on: true })) };
      this.was.clear();
    }
    this.about = positions;
  }
}
