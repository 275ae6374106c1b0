// `WhatIfLine`: edits by click and key, what becomes of them, and the effects of all heads.

import { nothing, render } from "lit-html";
import { EFFECT } from "../../protocol/constants.js";
import type { Intervention, Meta } from "../../protocol/generated.js";
import { type Edited, editedOf } from "../../scene/edited.js";
import { recordScene, type Scene } from "../../scene/scene.js";
import { setScore } from "../../state/actions.js";
import type { EditTraits } from "../../state/edit-traits.js";
import {
  clear,
  groupOut,
  headsOut,
  inForce,
  linkOut,
  partKey,
  redo,
  remove,
  toggle,
  tokenOut,
  undo,
} from "../../state/edits.js";
import type { State } from "../../state/selection.js";
import { readState, type WidgetState } from "../../state/signals.js";
import { hasEffects } from "../../views/what-if/heads.js";
import { TabRow } from "../focus/tab-row.js";
import type { EffectAs } from "../score-bar.js";
import { type Offer, type WhatIfEvents, type WhatIfGiven, whatIfLine } from "./line.js";

export interface WhatIfTargets {
  scene(): Scene | null;
  /** Begin or stop working out the effects of all heads, `of` as of `start_effects`; null without a kernel. */
  readonly effects: ((on: boolean, of?: "gradients") => Promise<void>) | null;
  /** Whether the kernel is gone, and with it the model. */
  gone(): boolean;
  /** Show the record before the edits beside the one under them; whether there is one. */
  compare(): boolean;
  redraw(): void;
}

/** What is selected, as edits: with a link pinned it is meant first, and its heads are not. */
export function offersOf({ meta, shared }: WidgetState): readonly Offer[] {
  const state = readState(shared);
  const link = linkOut(meta, state);
  const heads = link ? null : headsOut(meta, state);
  const offer = (name: Offer["name"], part: Intervention | null, key: string): readonly Offer[] =>
    part ? [{ name, part, key }] : [];
  return [
    ...offer("link", link, "X"),
    ...offer("heads", heads, "X"),
    ...offer("token", tokenOut(meta, state), "Shift X"),
    ...offer("group", groupOut(meta, state), ""),
  ];
}

/**
 * Whether the reader can edit here, or could if the model were here: then `cannot` says why not. Of two records
 * side by side neither can be edited, nor can one of a survey's; null where nobody can edit anything.
 */
export function canBeEdited(
  meta: Pick<Meta, "survey" | "comparison">,
  cannot: string | null,
): boolean {
  if (cannot === null) return false;
  return cannot !== "" || (!meta.survey && !meta.comparison);
}

/** Beside what is said of it under the views. */
const STOPPED = "The kernel has stopped: no model to run.";

/** Fields that have an undo of their own. */
const TYPED = /^(INPUT|TEXTAREA)$/;

export class WhatIfLine {
  readonly element = document.createElement("div");
  private readonly row = new TabRow(this.element);
  private failure: string | null = null;
  /** What heads are scored by effects as, once any are known. */
  private wish: EffectAs | null = null;

  constructor(
    private readonly edits: EditTraits,
    private readonly state: WidgetState,
    private readonly targets: WhatIfTargets,
  ) {
    this.element.className = "aw-what-if";
    const { query_positions, key_positions } = state.meta.streams[0] ?? {};
    const { positions, comparison } = state.meta;
    const labels = (at: number | undefined) => (positions[at ?? 0] ?? []).map(({ label }) => label);
    // Two records have axes of their own, and are left again.
    if (!comparison) edits.fit(JSON.stringify([labels(query_positions), labels(key_positions)]));
  }

  /** What is in force in what is drawn; reading it subscribes to all of it. */
  get edited(): Edited | null {
    const { history, whatIf, effects, metric, was } = this.edits;
    const asked = metric.value !== null;
    return editedOf(inForce(history.value), whatIf.value, effects.value, { was, asked });
  }

  private get isThere(): boolean {
    const { history, whatIf } = this.edits;
    const refused = whatIf.peek()?.state === "refused";
    const edited = history.peek().chips.length > 0 || refused;
    return edited || canBeEdited(this.state.meta, this.cannot);
  }

  /** Why nothing can be edited; empty where it can, null where there is nobody to do it. */
  private get cannot(): string | null {
    const { effects, gone } = this.targets;
    if (effects === null) return null;
    return gone() ? STOPPED : this.edits.cannot.peek();
  }

  /** Whether the model can be run under an edit. */
  get canEdit(): boolean {
    return this.cannot === "";
  }

  render(scene: Scene): void {
    const { history, metric } = this.edits;
    const shown = this.isThere;
    this.element.hidden = !shown;
    const given: WhatIfGiven = {
      scene: recordScene(scene),
      history: history.peek(),
      offers: this.canEdit ? offersOf(this.state) : [],
      cannot: this.cannot ?? "",
      live: this.targets.effects !== null,
      asked: metric.peek() !== null,
      failure: this.failure,
    };
    render(shown ? whatIfLine(given, this.events) : nothing, this.element);
    this.row.update();
  }

  private change(history: ReturnType<typeof undo>): void {
    this.failure = null;
    if (this.canEdit) this.edits.set(history);
    else this.failure = this.cannot;
    this.targets.redraw();
  }

  /** An edit of one link knows what it weighed, if that was on the page. */
  private remember(part: Intervention): void {
    const scene = this.targets.scene();
    if (!scene || !("cut" in part) || part.heads?.length !== 1) return;
    const { query, key } = part.cut;
    const [layer, head] = part.heads[0] as readonly [number, number];
    if (typeof query !== "number" || typeof key !== "number" || this.edits.was.has(partKey(part)))
      return;
    const weight = recordScene(scene).blocks.weights(layer, head).row(query)?.[key];
    if (weight !== undefined) this.edits.was.set(partKey(part), weight);
  }

  private readonly events: WhatIfEvents = {
    toggle: (part) => {
      this.remember(part);
      this.change(toggle(this.edits.history.peek(), part));
    },
    remove: (part) => this.change(remove(this.edits.history.peek(), part)),
    undo: () => this.change(undo(this.edits.history.peek())),
    redo: () => this.change(redo(this.edits.history.peek())),
    clear: () => this.change(clear(this.edits.history.peek())),
    effects: (on) => this.run(on),
    measure: (choice) => this.edits.measure(choice),
  };

  private run(on: boolean, of?: "gradients"): void {
    this.failure = null;
    if (!on) this.wish = null;
    this.targets.effects?.(on, of).catch((error: unknown) => {
      this.failure = error instanceof Error ? error.message : String(error);
      this.wish = null;
      this.targets.redraw();
    });
  }

  /** Work out effects on what the record has the gradients of. */
  compareGradients(): void {
    this.run(true, "gradients");
  }

  /** Work out effects, and score heads by them as soon as there are any. */
  scoreByEffects(as: EffectAs): void {
    this.wish = as;
    this.events.effects(true);
  }

  /** What that changes of the selection, once; null while there is nothing to score by. */
  granted(scene: Scene): Partial<State> | null {
    const { wish } = this;
    if (!wish || !hasEffects(recordScene(scene))) return null;
    this.wish = null;
    return wish === "score" ? setScore(EFFECT, scene.state.score) : { other_score: EFFECT };
  }

  /** Escape while effects are worked out stops them; whether they were. */
  stop(): boolean {
    if (this.edits.effects.peek()?.state !== "running" || !this.targets.effects) return false;
    this.events.effects(false);
    return true;
  }

  /** Answer a key; whether it was one of the edits'. */
  pressed(event: KeyboardEvent): boolean {
    const done = this.answer(event);
    if (done) event.preventDefault();
    return done;
  }

  private answer(event: KeyboardEvent): boolean {
    const { ctrlKey, metaKey, altKey, shiftKey } = event;
    const key = event.key.toLowerCase();
    if (TYPED.test((event.target as HTMLElement).tagName) || altKey || !this.isThere) return false;
    if (ctrlKey || metaKey) {
      const { past, future } = this.edits.history.peek();
      if (key !== "z" || (shiftKey ? future : past).length === 0) return false;
      this.events[shiftKey ? "redo" : "undo"]();
      return true;
    }
    // With edits in force it is what they changed that is compared.
    const edited = inForce(this.edits.history.peek()).length > 0;
    if (key === "c" && !shiftKey && edited && this.targets.effects) return this.targets.compare();
    if (key === "escape") return this.stop();
    if (key !== "x") return false;
    const wanted = shiftKey ? ["token"] : ["link", "heads"];
    const offer = offersOf(this.state).find(({ name }) => wanted.includes(name));
    if (!offer) return false;
    this.events.toggle(offer.part);
    return true;
  }
}
