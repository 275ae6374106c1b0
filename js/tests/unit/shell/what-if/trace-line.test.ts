import { nothing, type TemplateResult } from "lit-html";
import { expect, test } from "vitest";
import type { TraceOfView } from "../../../../src/protocol/generated.js";
import { type TraceGiven, traceLine } from "../../../../src/shell/what-if/trace-line.js";
import { attentionScene, WORDS } from "../../../support/attention-scene.js";

/** What a template would be as HTML, near enough: there is no DOM here. */
function written(part: unknown): string {
  if (part === nothing || part === null || typeof part === "function") return "";
  if (Array.isArray(part)) return part.map(written).join("");
  if (typeof part !== "object") return String(part);
  const { strings, values } = part as TemplateResult;
  return strings.map((text, at) => text + written(values[at] ?? nothing)).join("");
}

const FOUND: TraceOfView = {
  state: "done",
  message: "",
  stream: "self",
  at: "it",
  position: 8,
  threshold: 0.02,
  budget: 48,
  done: 3,
  of: 12,
  call: "view.find_trace()",
  trace: {
    metric: "log p(“purred”)",
    value: -0.7,
    stream: "self",
    labels: [...WORDS],
    layers: [{ layer: 0, num_heads: 3 }],
    starts: [8],
    links: [{ layer: 0, head: 1, query: 8, key: 2, weight: 1, estimate: -1, change: -2 }],
    together: null,
  },
};
const given: TraceGiven = {
  scene: attentionScene(),
  found: FOUND,
  cannot: "",
  live: true,
  failure: null,
};
const line = (change: Partial<TraceGiven>, found: Partial<TraceOfView> = {}) =>
  written(traceLine({ ...given, found: { ...FOUND, ...found }, ...change }, () => {}));

test("it says how far it is, and can be stopped while links are cut", () => {
  expect(line({})).toContain("trace after “it”: 1 link");
  expect(line({})).not.toContain('data-trace="stop"');
  const running = line({}, { state: "running" });
  expect(running).toContain("trace after “it”: 3 of 12 links cut");
  expect(running).toContain('data-trace="stop"');
  expect(line({}, { state: "running", trace: null })).toContain("the first runs …");
  expect(line({}, { state: "stopped" })).toContain("stopped at 3 of 12 cuts");
  expect(line({}, { at: null })).toContain("trace: 1 link");
});

test("threshold and budget are chosen among numbers that have the one in force", () => {
  const html = line({}, { threshold: 0.037, budget: 7 });
  for (const text of ["from 3.7 % of the largest", "from 2 % of the largest", "at most 7 cuts"])
    expect(html).toContain(text);
});

test("another pinned query is what it would start from", () => {
  expect(line({})).toContain(">again<");
  const scene = attentionScene({ state: { queries: [3] } });
  expect(line({ scene })).toContain(`trace from “${WORDS[3]}”`);
  expect(line({ scene: attentionScene({ state: { queries: [8] } }) })).toContain(">again<");
});

test("what was refused is an alert, a remark is none; a copy without a kernel has no buttons", () => {
  const refused = line({}, { state: "refused", message: "It has no gradient.", trace: null });
  expect(refused).toContain("no trace");
  expect(refused).toContain("role=alert>It has no gradient.");
  expect(line({ failure: "The kernel did not answer." })).toContain("The kernel did not answer.");
  const remark = line({}, { message: "links are estimates alone" });
  expect(remark).toContain("role=status>links are estimates alone");
  for (const html of [line({ live: false }), line({ cannot: "Edits are in force." })])
    expect(html).not.toContain("<select");
});
