import { expect, test } from "vitest";
import type { Scene } from "../../../src/scene/scene.js";
import { helpRows } from "../../../src/shell/help.js";
import { attentionScene } from "../../support/attention-scene.js";

const rowsOf = (scene: Scene) => {
  const groups = helpRows(scene);
  // Where heads can neither be pinned nor scored nothing is compared.
  const names = ["look", "choose", ...(groups.length > 3 ? ["compare"] : []), "save"];
  expect(groups.map(([name]) => name)).toEqual(names);
  return groups.flatMap(([, list]) => list.map(({ what }) => what));
};
const rows = (state: Partial<Scene["state"]>) => rowsOf(attentionScene({ state }));

test("the help says only what is on screen", () => {
  const lines = rows({});
  expect(lines).toContain("Hover a token");
  expect(lines).toContain("Click a thumbnail");
  for (const absent of ["Point at a patch", "Drag a matrix, wheel", "← → on the step slider"])
    expect(lines).not.toContain(absent);
  expect(rows({ form: "matrix" })).toContain("Drag a matrix, wheel");
  expect(rows({ form: "text" })).toContain("The strip beside a text");
  // Beside all heads stands the one that was clicked.
  const beside = ["Click a thumbnail", "Hover a token", "Click a token", "links", "aside"];
  expect(rows({ view: "model" })).toEqual(expect.arrayContaining(beside));
  expect(rows({ view: "model", form: "matrix" })).toContain("Drag a matrix, wheel");
  const neuron = rows({ view: "neuron" });
  expect(neuron).toContain("Hover a token");
  for (const absent of ["Click a thumbnail", "aside", "links", "score: …", "Drag over tokens"])
    expect(neuron).not.toContain(absent);
  expect(rows({ view: "head" })).not.toContain("Click a thumbnail");
});

test("edits are in the help where the model can be run under them", () => {
  const scene = attentionScene();
  const names = helpRows({ ...scene, editable: true }).map(([name]) => name);
  expect(names).toEqual(["look", "choose", "compare", "what if", "save"]);
});

test("of a survey the help says what its heads and inputs answer to, and of tokens where there are any", () => {
  const survey = (view: Scene["state"]["view"], more: { example?: number; can_open?: boolean }) => {
    const scene = attentionScene({ state: { view } });
    const told = { inputs: 3, can_open: true, ...more } as NonNullable<Scene["meta"]["survey"]>;
    return rowsOf({ ...scene, meta: { ...scene.meta, survey: told } });
  };
  const heads = ["Click a thumbnail", "Click an input", "↑ ↓, ← →", "score: …", "save ▾"];
  const ofTokens = ["Hover a token", "Click a token", "links", "/, Ctrl F"];
  const bare = survey("all", {});
  expect(bare).toEqual(expect.arrayContaining([...heads, "Hover a head"]));
  for (const absent of [...ofTokens, "aside", "C", "B", "Hover a thumbnail"])
    expect(bare).not.toContain(absent);
  expect(survey("all", { can_open: false })).not.toContain("Click an input");
  const open = survey("all", { example: 1 });
  expect(open).toEqual(expect.arrayContaining([...heads, ...ofTokens, "Hover a thumbnail"]));
  expect(open).not.toContain("Hover a head");
  // Its heads are on show whatever else is; alone, there is no text beside them.
  expect(survey("head", { example: 1 })).toContain("Click a thumbnail");
  for (const absent of ofTokens) expect(survey("model", { example: 1 })).not.toContain(absent);
});
