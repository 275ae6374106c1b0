import { nothing, type TemplateResult } from "lit-html";
import { expect, test } from "vitest";
import { statusBar } from "../../../src/shell/status-bar.js";
import { attentionScene } from "../../support/attention-scene.js";

const given = {
  failure: null,
  busy: false,
  rounded: false,
  progress: null,
  compare: null,
  retry: null,
  stop: () => {},
  resume: () => {},
};

/** What a template would be as HTML, near enough: there is no DOM here. */
function written(part: unknown): string {
  if (part === nothing || part === null || typeof part === "function") return "";
  if (Array.isArray(part)) return part.map(written).join("");
  if (typeof part !== "object") return String(part);
  const { strings, values } = part as TemplateResult;
  return strings.map((text, at) => text + written(values[at] ?? nothing)).join("");
}

test("how the weights of half precision vectors are computed stands under the views", () => {
  const precision = "weights in float32 from bfloat16 vectors";
  const line = written(statusBar(attentionScene({ layer: { precision } }), given));
  expect(line).toMatch(
    new RegExp(`<div class="aw-line">\\s*<span class="aw-precision"[^>]*>${precision}</span>`),
  );
  expect(written(statusBar(attentionScene(), given))).not.toContain("aw-precision");
});

test("a measure of gradients that was not compared with exact effects offers it where there is a model", () => {
  const scene = attentionScene({ state: { measure: "gradient" } });
  const graded = { ...scene, stream: { ...scene.stream, metric: "log p(“was”)" } };
  const without = written(statusBar(graded, given));
  expect(without).toContain("not compared with exact effects<");
  expect(without).not.toContain("<button");
  const compare = () => {};
  const offered = written(statusBar(graded, { ...given, compare }));
  expect(offered).toContain("not compared with exact effects yet<");
  expect(offered).toMatch(/<button[^>]*title="Run the model once without each of its 6 heads"/);
  expect(written(statusBar(scene, { ...given, compare }))).not.toContain("exact effects");
});
