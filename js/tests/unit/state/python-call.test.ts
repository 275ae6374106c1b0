import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { PythonCall, State } from "../../../src/protocol/generated.js";
import { pythonCall } from "../../../src/state/python-call.js";

interface Case {
  python: PythonCall;
  state: State;
  text: string;
}
// The kernel writes the same text from the same parts: tests/unit/widget/test_code.py.
const path = new URL("../../../../tests/contract/fixtures/python_calls.json", import.meta.url);
const cases = JSON.parse(readFileSync(path, "utf8")) as Case[];

test.each(cases.map((each) => [each.text, each] as const))("%s", (text, { python, state }) => {
  expect(pythonCall(python, state)).toBe(text);
});

test("a trace is found by a call of its own, where it is drawn", () => {
  const [{ python, state }] = cases as [Case];
  const traced = { call: 'view.find_trace("purred")' };
  const form = (form: State["form"]) => pythonCall(python, { ...state, form }, traced);
  expect(form("trace")).toMatch(/, form="trace"\) {2}# then view\.find_trace\("purred"\)$/);
  expect(form("matrix")).not.toContain("find_trace");
});

test("by gradients a view opens on another link: the one on show is named", () => {
  const [{ python, state }] = cases as [Case];
  const { opened } = python;
  expect(opened).toBeDefined();
  const there = { ...state, ...opened } as State;
  expect(pythonCall(python, there)).not.toContain("layer=");
  expect(pythonCall(python, { ...there, measure: "gradient" })).toContain("layer=");
});
