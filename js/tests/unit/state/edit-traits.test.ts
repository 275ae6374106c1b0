import { expect, test } from "vitest";
import type { Intervention } from "../../../src/protocol/generated.js";
import type { TraitModel } from "../../../src/protocol/model.js";
import { EditTraits } from "../../../src/state/edit-traits.js";
import { inForce, toggle, undo } from "../../../src/state/edits.js";

const PART: Intervention = { ablate: [[3, 3]], how: "zero", stream: null, source: null };
const OTHER: Intervention = { ...PART, ablate: [[0, 1]] };

/** A model as the host has it; `tell` is Python. */
class FakeModel implements TraitModel {
  readonly listeners = new Map<string, Set<() => void>>();
  saves = 0;
  constructor(readonly values: Record<string, unknown>) {}
  get(name: string) {
    return this.values[name];
  }
  set(name: string, value: unknown) {
    this.tell({ [name]: value });
  }
  tell(values: Record<string, unknown>) {
    Object.assign(this.values, values);
    for (const name of Object.keys(values))
      for (const listener of this.listeners.get(`change:${name}`) ?? []) listener();
  }
  on(event: string, callback: () => void) {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(callback));
  }
  off(event: string, callback: () => void) {
    this.listeners.get(event)?.delete(callback);
  }
  save_changes() {
    this.saves++;
  }
}

function editsOf(values: Record<string, unknown> = {}) {
  const model = new FakeModel({ interventions: [], cannot_edit: "", metric: null, ...values });
  const gone = new AbortController();
  return { model, gone, edits: new EditTraits(model, gone.signal) };
}

test("chips that are on are the trait, saved once a change, and what stays as it was is not sent", () => {
  const { model, edits } = editsOf();
  edits.set(toggle(edits.history.peek(), PART));
  expect(model.values.interventions).toEqual([PART]);
  expect(model.saves).toBe(1);
  // One step alone is there to be undone: the page's own change does not come back as Python's.
  expect(edits.history.peek().past.length).toBe(1);
  edits.set(undo(edits.history.peek()));
  expect(model.values.interventions).toEqual([]);
  edits.set(edits.history.peek());
  expect(model.saves).toBe(2);
});

test("what Python sets is taken up, until the widget is gone", () => {
  const { model, gone, edits } = editsOf({ interventions: [PART] });
  expect(inForce(edits.history.peek())).toEqual([PART]);
  model.tell({ interventions: [PART, OTHER] });
  expect(inForce(edits.history.peek())).toEqual([PART, OTHER]);
  expect(model.saves).toBe(0);
  gone.abort();
  expect([...model.listeners.values()].every(({ size }) => size === 0)).toBe(true);
});

test("an edit that is refused stays as a chip that is off", () => {
  const { model, edits } = editsOf();
  edits.set(toggle(edits.history.peek(), PART));
  model.tell({ what_if: { state: "refused", message: "no such head" }, interventions: [] });
  expect(edits.history.peek().chips).toEqual([{ part: PART, on: false }]);
});

test("of other positions what is off or undone means nothing, and what a link weighed neither", () => {
  const { edits } = editsOf();
  edits.fit("the cat");
  edits.set(toggle(edits.history.peek(), OTHER));
  edits.set(toggle(toggle(edits.history.peek(), OTHER), PART));
  edits.was.set("a link", 0.9);
  // The record under an edit has the same positions.
  edits.fit("the cat");
  expect(edits.history.peek().chips.length).toBe(2);
  edits.fit("the big cat");
  expect(edits.history.peek()).toEqual({ chips: [{ part: PART, on: true }], past: [], future: [] });
  expect(edits.was.size).toBe(0);
});

test("what is measured is a trait of both sides, and an old kernel's view knows of no edits", () => {
  const { model, edits } = editsOf();
  edits.measure("purred");
  expect([model.values.metric, model.saves]).toEqual(["purred", 1]);
  model.tell({ metric: null });
  expect(edits.metric.peek()).toBeNull();
  expect(edits.cannot.peek()).toBe("");
  expect(editsOf({ cannot_edit: undefined }).edits.cannot.peek()).toBeNull();
});
