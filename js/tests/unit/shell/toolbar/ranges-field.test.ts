import type { TemplateResult } from "lit-html";
import { expect, test } from "vitest";
import type { ToolbarEvents } from "../../../../src/shell/toolbar/control.js";
import { shownLayers } from "../../../../src/shell/toolbar/shown-layers.js";
import { together } from "../../../../src/shell/toolbar/together.js";
import { attentionScene } from "../../../support/attention-scene.js";

/** What is called when something is typed in a field, the last of a template: there is no DOM here. */
function typing(part: unknown): ((event: unknown) => void)[] {
  if (typeof part === "function") return [part as (event: unknown) => void];
  if (Array.isArray(part)) return part.flatMap(typing);
  return part && typeof part === "object" && "values" in part
    ? (part as TemplateResult).values.flatMap(typing)
    : [];
}

type Drawn = Parameters<typeof together.draw>[0];

function typed(control: typeof together, scene: Drawn, value: string) {
  const changes: unknown[] = [];
  const events = { change: (change: unknown) => changes.push(change) } as unknown as ToolbarEvents;
  const marks: string[] = [];
  const target = { value, setAttribute: (_: string, mark: string) => marks.push(mark) };
  // The last one is that of the Enter key.
  typing(control.draw(scene, events, false)).at(-1)?.({ key: "Enter", target });
  return { changes, marks };
}

/** Layer 0 has four heads, layer 1 two. */
function uneven() {
  const scene = attentionScene({ numHeads: 4, state: { heads: [3, 1], together: "mean" } });
  const layers = scene.stream.layers.map((each, n) => (n === 1 ? { ...each, num_heads: 2 } : each));
  const stream = { ...scene.stream, layers };
  return { ...scene, stream, meta: { ...scene.meta, streams: [stream] } };
}

test("layers together without the selected one select the first of them, with heads that it has", () => {
  const { changes, marks } = typed(together, uneven(), "1");
  expect(changes).toEqual([{ layer: 1, heads: [1], together_layers: [1] }]);
  expect(marks).toEqual(["false"]);
});

test("all layers together are said by their numbers, an empty text is the selected one alone", () => {
  expect(typed(together, uneven(), "0-1").changes).toEqual([{ together_layers: [0, 1] }]);
  expect(typed(together, uneven(), " ").changes).toEqual([{ together_layers: null }]);
});

test("of the layers on show all of them are none in particular; what names none chooses nothing", () => {
  expect(typed(shownLayers, uneven(), "1").changes).toEqual([{ show_layers: [1] }]);
  expect(typed(shownLayers, uneven(), "0-1").changes).toEqual([{ show_layers: null }]);
  const none = typed(shownLayers, uneven(), "7");
  expect(none.changes).toEqual([]);
  expect(none.marks).toEqual(["true"]);
});
