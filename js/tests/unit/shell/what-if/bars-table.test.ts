import { nothing, type TemplateResult } from "lit-html";
import { expect, test } from "vitest";
import type { WhatIf } from "../../../../src/protocol/generated.js";
import { editedOf } from "../../../../src/scene/edited.js";
import { barsTable } from "../../../../src/shell/what-if/bars-table.js";
import { attentionScene } from "../../../support/attention-scene.js";

const WHAT_IF: WhatIf = {
  state: "done",
  message: "",
  at: "it",
  position: 8,
  kind: "token",
  metric: "log p(“was”)",
  before: -0.7,
  after: -1.2,
  kl: 2,
  choices: [
    { label: "was", before: 0.497, after: 0.02 },
    { label: "lay", before: 0.125, after: 0.6 },
  ],
  method: "recomputed exactly",
  edits: [{ ablate: [[0, 1]], how: "zero", stream: null, source: null }],
};

/** What a template would be as HTML, near enough: there is no DOM here. */
function written(part: unknown): string {
  if (part === nothing || part === null) return "";
  if (Array.isArray(part)) return part.map(written).join("");
  if (typeof part !== "object") return String(part);
  const { strings, values } = part as TemplateResult;
  return strings.map((text, at) => text + written(values[at] ?? nothing)).join("");
}

test("the bars are a table for those who do not see them: each choice before and after", () => {
  const edited = editedOf(WHAT_IF.edits, WHAT_IF, null);
  const html = written(barsTable({ ...attentionScene(), edited }));
  expect(html).toContain("<caption>What it expects after “it”</caption>");
  const rows = [...html.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, row = ""]) =>
    row
      .replace(/<[^>]*>/g, " ")
      .trim()
      .split(/\s+/),
  );
  expect(rows).toEqual([
    ["choice", "before", "after"],
    ["was", "0.497", "0.020"],
    ["lay", "0.125", "0.600"],
  ]);
  expect(html).toContain('class="aw-hidden"');
  expect(barsTable(attentionScene())).toBe(nothing);
});
