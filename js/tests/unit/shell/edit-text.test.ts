import { nothing, type TemplateResult } from "lit-html";
import { expect, test } from "vitest";
import { type EditLineEvents, type EditLineGiven, editLine } from "../../../src/shell/edit-text.js";

const events: EditLineEvents = {
  open: () => {},
  close: () => {},
  type: () => {},
  run: () => {},
  compare: () => {},
  key: () => {},
};
const given: EditLineGiven = {
  editing: {
    texts: [{ name: "text", text: "the cat" }],
    before: false,
    comparing: false,
    run: 0,
  },
  typed: null,
  waits: null,
  busy: false,
  failure: null,
};

/** What a template would be as HTML, near enough: there is no DOM here. */
function written(part: unknown): string {
  if (part === nothing || part === null || typeof part === "function") return "";
  if (Array.isArray(part)) return part.map(written).join("");
  if (typeof part !== "object") return String(part);
  const { strings, values } = part as TemplateResult;
  return strings.map((text, at) => text + written(values[at] ?? nothing)).join("");
}

const line = (change: Partial<EditLineGiven>) =>
  Object.values(editLine({ ...given, ...change }, events))
    .map(written)
    .join("");
/** What is read of it: the text without the tags. */
const read = (html: string) => html.replace(/<[^>]*>/g, "");
const count = (text: string, part: string) => text.split(part).length - 1;

test("closed, it is a button; the way to the record before is there once there is one", () => {
  expect(read(line({}))).toContain("✎ edit the text");
  expect(line({})).not.toContain("textarea");
  expect(read(line({}))).not.toContain("before");
  const before = { ...given.editing, before: true };
  expect(read(line({ editing: before }))).toContain("compare with before");
  const comparing = read(line({ editing: { ...before, comparing: true } }));
  expect(comparing).toContain("back to the text now");
  expect(comparing).not.toContain("compare with before");
});

test("open, it has a field for each text, with its name where there are several", () => {
  const one = line({ typed: ["the dog"] });
  expect(count(one, "<textarea")).toBe(1);
  expect(one).toContain(".value=the dog");
  expect(one).not.toContain('<span class="aw-label">');
  const texts = ["system", "user"].map((name) => ({ name, text: "" }));
  const chat = line({ editing: { ...given.editing, texts }, typed: ["be brief", "hi"] });
  expect(count(chat, "<textarea")).toBe(2);
  expect(chat).toContain('<span class="aw-label">user</span>');
});

test("what was typed stays while it is waited for, and beside what went wrong", () => {
  const waiting = line({ typed: ["the dog"], waits: "record" });
  expect(waiting).toContain("running the model …");
  expect(waiting).toContain(".value=the dog");
  expect(waiting).toContain("?readonly=true");
  expect(line({ typed: ["the dog"], waits: "record", busy: true })).toContain(
    "waiting for the kernel …",
  );
  const failed = line({ typed: [""], failure: "inputs is an empty string" });
  expect(failed).toContain('role="alert">inputs is an empty string');
  expect(failed).toContain("<textarea");
});

test("a record without its model says why in the place of a field", () => {
  const reason = "This view has a record without its model";
  const editing = { ...given.editing, texts: [], reason };
  expect(line({ editing })).toContain(`title=${reason}`);
  const opened = line({ editing, typed: [], failure: reason });
  expect(opened).toContain(`role="alert">${reason}`);
  expect(opened).not.toContain("<textarea");
  expect(opened).not.toContain("run ⏎");
});
