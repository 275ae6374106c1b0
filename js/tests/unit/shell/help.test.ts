import { expect, test } from "vitest";
import type { Scene } from "../../../src/scene/scene.js";
import { helpRows } from "../../../src/shell/help.js";
import { attentionScene } from "../../support/attention-scene.js";

const rows = (state: Partial<Scene["state"]>) => {
  const groups = helpRows(attentionScene({ state }));
  expect(groups.map(([name]) => name)).toEqual(["look", "choose", "compare", "save"]);
  return groups.flatMap(([, list]) => list.map(({ what }) => what));
};

test("the help says only what is on screen", () => {
  const lines = rows({});
  expect(lines).toContain("Hover a token");
  expect(lines).toContain("Click a thumbnail");
  for (const absent of ["Point at a patch", "Drag a matrix, wheel", "← → on the step slider"])
    expect(lines).not.toContain(absent);
  expect(rows({ form: "matrix" })).toContain("Drag a matrix, wheel");
  expect(rows({ form: "text" })).toContain("The strip beside a text");
  const model = rows({ view: "model" });
  expect(model).toContain("Click a thumbnail");
  expect(model).not.toContain("Hover a token");
  expect(rows({ view: "neuron" })).not.toContain("Click a thumbnail");
});
