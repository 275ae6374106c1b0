import { signal } from "@preact/signals-core";
import { nothing, type TemplateResult } from "lit-html";
import { afterEach, expect, test, vi } from "vitest";
import {
  type EditKernel,
  type EditLineEvents,
  type EditLineGiven,
  editLine,
  TextEditor,
} from "../../../src/shell/edit-text.js";

/** What was rendered last where: there is no DOM here. */
const rendered = vi.hoisted(() => new Map<unknown, unknown>());
vi.mock("lit-html", async (original) => ({
  ...(await original<typeof import("lit-html")>()),
  render: (part: unknown, at: unknown) => rendered.set(at, part),
}));
afterEach(() => {
  rendered.clear();
  vi.unstubAllGlobals();
});

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

/** An editor on a page of no elements, a button of which can be pressed. */
function editorOf(editing: EditLineGiven["editing"]) {
  const element = () => ({ append() {}, toggleAttribute() {}, className: "" });
  vi.stubGlobal("document", { createElement: element });
  let fail: (error: Error) => void = () => {};
  const answer = new Promise<void>((_, reject) => {
    fail = reject;
  });
  const kernel: EditKernel = {
    state: signal("ready"),
    editing: signal(editing),
    edit: () => answer,
    compareBefore: () => answer,
  };
  const rooms: number[] = [];
  const reading = element() as unknown as HTMLElement;
  const room = (width = 900) => editor.room(width, (text) => 10 * text.length);
  const editor: TextEditor = new TextEditor(kernel, new AbortController().signal, reading, () =>
    rooms.push(room()),
  );
  const handlers = (part: unknown): (() => void)[] => {
    if (typeof part === "function") return [part as () => void];
    return part && typeof part === "object" && "values" in part
      ? (part as TemplateResult).values.flatMap(handlers)
      : [];
  };
  const press = (at: number) => [...rendered.values()].flatMap(handlers)[at]?.();
  return { rooms, room, press, fail: (error: Error) => fail(error) };
}

test("the sentence beside the buttons is drawn again where what is waited for takes room, and gives it back", async () => {
  const { rooms, room, press, fail } = editorOf({ ...given.editing, before: true });
  const whole = room();
  press(0);
  expect(rooms).toHaveLength(1);
  expect(rooms[0]).toBeLessThan(whole);
  fail(new Error("no model"));
  await vi.waitFor(() => expect(rooms).toHaveLength(2));
  expect(rooms[1]).toBe(whole);
});

test("a button takes so much room as its name, of which a narrow line leaves out a part", () => {
  const taken = (width: number, editing: Partial<EditLineGiven["editing"]>) =>
    width - editorOf({ ...given.editing, ...editing }).room(width);
  const named = (...words: string[]) => words.reduce((sum, word) => sum + 22 + 10 * word.length, 0);
  const before = { before: true };
  expect(taken(900, {})).toBe(named("✎ edit the text"));
  expect(taken(900, before)).toBe(named("✎ edit the text", "compare with before"));
  expect(taken(900, { ...before, comparing: true })).toBe(
    named("✎ edit the text", "back to the text now"),
  );
  expect(taken(500, before)).toBe(named("✎", "before"));
  expect(taken(500, { ...before, comparing: true })).toBe(named("✎", "back"));
});
