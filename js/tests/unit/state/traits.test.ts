import { signal } from "@preact/signals-core";
import { expect, test } from "vitest";
import type { TraitModel } from "../../../src/protocol/model.js";
import { follow } from "../../../src/state/traits.js";

/** A model that tells its listeners of every change, as a comm does. */
function modelOf(values: Record<string, unknown>) {
  const heard = new Map<string, Set<() => void>>();
  const model: TraitModel = {
    get: (name) => values[name],
    set: (name, value) => {
      values[name] = value;
      for (const each of heard.get(`change:${name}`) ?? []) each();
    },
    on: (event, callback) => heard.set(event, new Set(heard.get(event)).add(callback)),
    off: (event, callback) => void heard.get(event)?.delete(callback),
    save_changes: () => {},
  };
  return { model, listeners: () => [...heard.values()].reduce((sum, { size }) => sum + size, 0) };
}

test("a trait that Python alone sets is followed until the widget is gone", () => {
  const { model, listeners } = modelOf({ _editing: { run: 1 } });
  const gone = new AbortController();
  const editing = signal<{ run: number } | null>(null);
  follow(model, "_editing", editing, gone.signal);
  expect(editing.value).toEqual({ run: 1 });
  model.set("_editing", { run: 2 });
  expect(editing.value).toEqual({ run: 2 });
  // A saved page has no such trait.
  model.set("_editing", undefined);
  expect(editing.value).toBeNull();
  gone.abort();
  expect(listeners()).toBe(0);
});
