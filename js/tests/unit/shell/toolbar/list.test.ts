import { expect, test } from "vitest";
import type { TraceOfView } from "../../../../src/protocol/generated.js";
import { type Scene, withTrace } from "../../../../src/scene/scene.js";
import { type KeyTargets, pressed } from "../../../../src/shell/keys.js";
import type { ToolbarEvents } from "../../../../src/shell/toolbar/control.js";
import { headsText, isolate } from "../../../../src/shell/toolbar/heads.js";
import { CONTROLS, WITHOUT_RECORD } from "../../../../src/shell/toolbar/list.js";
import { save } from "../../../../src/shell/toolbar/save.js";
import { createState } from "../../../../src/state/signals.js";
import { attentionScene } from "../../../support/attention-scene.js";

const events: ToolbarEvents = {
  change: () => {},
  hoverHead: () => {},
  save: () => {},
  pdf: null,
  code: null,
  freeze: null,
  search: () => {},
  containing: () => {},
  help: () => {},
};
const shown = (scene: Scene) =>
  CONTROLS.filter((control) => control.shown?.(scene, events) ?? true).map(({ name }) => name);

test("names are unique, groups stand together in their order", () => {
  const names = CONTROLS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const groups = CONTROLS.map(({ group }) => group);
  expect(groups.filter((group, at) => group !== groups[at - 1])).toEqual(["where", "what", "out"]);
  expect(WITHOUT_RECORD.filter((control) => !CONTROLS.includes(control))).toEqual([]);
});

test("what does nothing in the open view is not there", () => {
  const scene = (view: Scene["state"]["view"]): Scene => attentionScene({ state: { view } });
  expect(shown(scene("all"))).toEqual(
    expect.arrayContaining(["form", "measure", "links", "aside", "search"]),
  );
  expect(shown(scene("head"))).toContain("form");
  expect(shown(scene("neuron"))).not.toContain("form");
  // Beside the heads stands the one that is selected; a survey's heads stand alone.
  expect(shown(scene("model"))).toEqual(
    expect.arrayContaining(["form", "measure", "links", "search"]),
  );
  const bare = scene("model");
  const survey = { inputs: 3, can_open: false } as NonNullable<Scene["meta"]["survey"]>;
  const heads = { ...bare, meta: { ...bare.meta, survey } };
  for (const name of ["form", "links", "search"]) expect(shown(heads)).not.toContain(name);
  expect(shown(scene("neuron"))).not.toContain("measure");
  for (const name of ["links", "aside", "shade"]) {
    expect(shown(scene("neuron"))).not.toContain(name);
  }
  const matrix = shown(attentionScene({ state: { form: "matrix" } }));
  expect(matrix).toContain("shade");
  expect(matrix).not.toContain("links");
  expect(shown(attentionScene({ state: { view: "model", form: "matrix" } }))).toContain("shade");
  const two = { heads: [0, 1] as [number, number] };
  expect(shown(attentionScene({ state: { view: "model", ...two } }))).toContain("together");
  expect(shown(attentionScene({ state: { view: "neuron", ...two } }))).not.toContain("together");
  expect(shown(attentionScene({ state: { heads: [1] } }))).not.toContain("together");
  const across = { heads: [1] as [number], together_layers: [0, 1] };
  expect(shown(attentionScene({ state: across }))).toContain("together");
  // It is as wide as it is drawn: with the layers as soon as heads are one.
  const size = (together: "mean" | "sum" | null) =>
    CONTROLS.find(({ name }) => name === "together")?.size?.(
      attentionScene({ state: { ...two, together } }),
    );
  expect(size("mean")).toBe(size("sum"));
  expect(size("mean")).not.toBe(size(null));
  expect(shown(attentionScene())).not.toContain("stream");
  expect(shown(attentionScene({ state: { measure: "rollout" } }))).not.toContain("heads");
});

test("the Python call is made when it is copied, not at every frame", () => {
  let made = 0;
  const code = () => `view ${++made}`;
  save.draw(attentionScene(), { ...events, code }, false);
  expect(made).toBe(0);
});

test("layers are chosen by ranges where there are many", () => {
  expect(shown(attentionScene({ numLayers: 12 }))).not.toContain("shown-layers");
  expect(shown(attentionScene({ numLayers: 13 }))).toContain("shown-layers");
  const some = attentionScene({ state: { show_layers: [1] } });
  expect(shown(some)).toContain("shown-layers");
});

test("selected heads are said in a few words", () => {
  const text = (heads: readonly number[]) =>
    headsText(attentionScene({ numHeads: 12, state: { heads: [...heads] as [number] } }));
  expect(text([3])).toBe("3");
  expect(text([7, 0, 3])).toBe("0, 3, 7");
  expect(text([0, 1, 2, 3])).toBe("4 of 12");
  expect(text(Array.from({ length: 12 }, (_, head) => head))).toBe("all 12");
});

test("a double click shows a head alone, and all of them from there", () => {
  const scene = (heads: readonly number[]) =>
    attentionScene({ state: { heads: [...heads] as [number] } });
  expect(isolate(scene([0, 2]), 2)).toEqual([2]);
  expect(isolate(scene([0]), 2)).toEqual([2]);
  expect(isolate(scene([2]), 2)).toEqual([0, 1, 2]);
});

test("in the form of a trace there is no measure by itself, and nothing taken together", () => {
  const two = { heads: [0, 1] as [number, number], form: "trace" as const };
  expect(shown(attentionScene({ state: { view: "head", ...two } }))).not.toContain("measure");
  // All heads beside it have one.
  expect(shown(attentionScene({ state: two }))).toContain("measure");
  expect(shown(attentionScene({ state: two }))).not.toContain("together");
});

test("over a trace by itself there is nothing that would change no pixel of it", () => {
  const groupings = [{ name: "own", groups: [{ name: "a", queries: [[0, 2]], keys: [[0, 2]] }] }];
  const sceneOf = (state: object) => {
    const scene = attentionScene({ state: { grouping: "own", ...state } });
    return { ...scene, stream: { ...scene.stream, groupings } } as unknown as Scene;
  };
  const names = ["aside", "groups", "grouping"];
  expect(shown(sceneOf({ view: "head", form: "lines" }))).toEqual(expect.arrayContaining(names));
  const trace = shown(sceneOf({ view: "head", form: "trace" }));
  for (const name of [...names, "links", "measure"]) expect(trace).not.toContain(name);
  // The scores beside it are without what is set aside.
  expect(shown(sceneOf({ view: "all", form: "trace" }))).toContain("aside");
});

test("heads are pinned side by side only where there is a place for them", () => {
  for (const [view, there] of [
    ["all", true],
    ["compare", true],
    ["head", false],
    ["model", false],
    ["neuron", false],
  ] as const) {
    const scene = attentionScene({ state: { view } });
    expect(shown(scene).includes("compare")).toBe(there);
    let changed: object = {};
    const targets = { scene, change: (change: object) => (changed = change) };
    const event = { key: "c", target: { tagName: "DIV" }, preventDefault: () => {} };
    const state = createState(scene.meta, scene.state);
    pressed(event as unknown as KeyboardEvent, state, targets as unknown as KeyTargets);
    expect(changed).toEqual(there ? { compare: [[0, 0]] } : {});
  }
});

test("a trace is offered where one can be found or is known, and else says why not", () => {
  const forms = CONTROLS.find(({ name }) => name === "form");
  const button = (scene: Scene) => {
    const part = forms?.draw(scene, events, false) as unknown as { values: unknown[] };
    const buttons = part.values.flat() as { values: unknown[] }[];
    return buttons.find(({ values }) => values?.[0] === "trace")?.values;
  };
  const scene = attentionScene();
  const found = { trace: {}, stream: scene.stream.name } as unknown as TraceOfView;
  const cannot = "This is a saved copy.";
  expect(button(withTrace(scene, { found: null, cannot: "" }))).toContain(false);
  expect(button(withTrace(scene, { found: null, cannot }))).toEqual(
    expect.arrayContaining([cannot, true]),
  );
  expect(button(withTrace(scene, { found, cannot }))).not.toContain(cannot);
});
