import { nothing, type TemplateResult } from "lit-html";
import { expect, test } from "vitest";
import type {
  EffectsOfHeads,
  Intervention,
  Meta,
  WhatIf,
} from "../../../../src/protocol/generated.js";
import { editedOf } from "../../../../src/scene/edited.js";
import {
  type WhatIfEvents,
  type WhatIfGiven,
  whatIfLine,
} from "../../../../src/shell/what-if/line.js";
import { canBeEdited, offersOf } from "../../../../src/shell/what-if/what-if.js";
import { inForce, NO_EDITS, toggle } from "../../../../src/state/edits.js";
import { createState, writeState } from "../../../../src/state/signals.js";
import { attentionScene } from "../../../support/attention-scene.js";

const events: WhatIfEvents = {
  toggle: () => {},
  remove: () => {},
  undo: () => {},
  redo: () => {},
  clear: () => {},
  effects: () => {},
  measure: () => {},
};
const PART: Intervention = { ablate: [[1, 2]], how: "zero", stream: null, source: null };
const DONE: WhatIf = {
  state: "done",
  message: "",
  at: "it",
  position: 8,
  kind: "token",
  metric: "log p(“was”)",
  before: -0.7,
  after: -3.9,
  kl: 1,
  choices: [{ label: "was", before: 0.497, after: 0.02 }],
  method: "recomputed exactly",
  edits: [PART],
};
const EFFECTS: EffectsOfHeads = {
  state: "running",
  message: "",
  metric: "log p(“was”)",
  how: "zero",
  at: "it",
  position: 8,
  streams: {},
  done: 5,
  of: 6,
};

/** What a template would be as HTML, near enough: there is no DOM here. */
function written(part: unknown): string {
  if (part === nothing || part === null || typeof part === "function") return "";
  if (Array.isArray(part)) return part.map(written).join("");
  if (typeof part !== "object") return String(part);
  const { strings, values } = part as TemplateResult;
  return strings.map((text, at) => text + written(values[at] ?? nothing)).join("");
}
const read = (html: string) => html.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ");

const scene = attentionScene();
const state = createState(scene.meta, scene.state);
const given: WhatIfGiven = {
  scene,
  history: NO_EDITS,
  offers: offersOf(state),
  cannot: "",
  live: true,
  asked: false,
  failure: null,
};
function line(
  change: Partial<WhatIfGiven>,
  whatIf: WhatIf | null = null,
  effects: EffectsOfHeads | null = null,
) {
  const { history = NO_EDITS } = change;
  const edited = editedOf(inForce(history), whatIf, effects);
  return written(whatIfLine({ ...given, ...change, scene: { ...scene, edited } }, events));
}

test("what is selected can be taken away: the heads, or what is pinned before them", () => {
  const names = () => offersOf(state).map(({ name }) => name);
  expect(names()).toEqual(["heads"]);
  expect(read(line({}))).toContain("✂ without head 0·0");
  expect(read(line({}))).not.toContain("undo");
  writeState(state.shared, { query: 8, key: 2 });
  expect(names()).toEqual(["link", "token"]);
  const pinned = read(line({ offers: offersOf(state) }));
  expect(pinned).toContain("✂ without “it” → “cat” in head 0·0");
  expect(pinned).toContain("hide “cat”");
  writeState(state.shared, { query: null, key: null });
});

test("a chip is pressed while it is in force, and there are ways back", () => {
  const on = toggle(NO_EDITS, PART);
  const html = line({ history: on }, DONE);
  expect(html).toMatch(/aria-pressed=true[^>]*>\s*− 1·2/);
  expect(read(html)).toContain("Without head 1·2 the model no longer expects “was”:");
  expect(read(html)).toContain("recomputed exactly");
  for (const name of ["undo", "clear"]) expect(html).toContain(`data-edit=${name}`);
  expect(html).not.toContain("data-edit=redo");
  expect(line({ history: toggle(on, PART) }, DONE)).toMatch(/aria-pressed=false[^>]*>\s*− 1·2/);
});

test("it says that it runs, and what was refused", () => {
  const history = toggle(NO_EDITS, PART);
  const running = read(line({ history }, { ...DONE, state: "running" }));
  expect(running).toContain("running the model …");
  expect(running).not.toContain("no longer");
  const refused = line(
    { history: NO_EDITS },
    { ...DONE, state: "refused", message: "no such head" },
  );
  expect(refused).toContain('role="alert">no such head');
});

test("where nothing can be edited every button is off and the reason is said", () => {
  const history = toggle(NO_EDITS, PART);
  const cannot = "This view has a record without its model.";
  const html = line({ history, cannot, offers: [] }, DONE);
  expect(read(html)).toContain(cannot);
  expect(html).toContain("?data-unable=true");
  const off = html.match(/\?disabled=(\w+)/g) ?? [];
  expect(off.length).toBeGreaterThan(3);
  expect(new Set(off)).toEqual(new Set(["?disabled=true"]));
});

test("a saved copy says what was, with no button", () => {
  const html = line({ history: toggle(NO_EDITS, PART), live: false, offers: [] }, DONE);
  expect(read(html)).toContain("− 1·2");
  expect(read(html)).toContain("no longer expects “was”");
  expect(html).not.toContain("<button");
});

test("effects are begun, counted and stopped, and measured by a choice", () => {
  expect(read(line({}))).toContain("effects of all heads");
  const running = line({}, null, EFFECTS);
  expect(read(running)).toContain("effects of heads: 5 of 6");
  expect(running).toContain("Stop working out effects");
  expect(read(line({}, null, { ...EFFECTS, state: "stopped" }))).toContain("go on with effects");
  const measured = line({ history: toggle(NO_EDITS, PART), asked: true }, DONE);
  expect(measured).toMatch(/<option value=was \?selected=true/);
});

test("of a survey and of compared records the line says why nothing can be edited, and offers nothing", () => {
  const meta: Meta = attentionScene().meta;
  const surveyed = { ...meta, survey: { num_inputs: 3 } } as unknown as Meta;
  const compared = { ...meta, comparison: { names: ["a", "b"] } } as unknown as Meta;
  const why = "What is shown is not of one run of a model.";
  for (const several of [surveyed, compared]) {
    expect(canBeEdited(several, why)).toBe(true);
    // Of a record and what it was before, which a reader compares, only chips would be there.
    expect(canBeEdited(several, "")).toBe(false);
    expect(canBeEdited(several, null)).toBe(false);
  }
  expect([canBeEdited(meta, ""), canBeEdited(meta, why), canBeEdited(meta, null)]).toEqual([
    true,
    true,
    false,
  ]);
});

test("what stands beside the sentence is divided by a blank's dot, which no row begins or ends with", () => {
  const history = toggle(NO_EDITS, PART);
  const choices = [...DONE.choices, { label: " ran", before: 0.1, after: 0.6 }];
  const html = line({ history }, { ...DONE, choices });
  expect(read(html)).toContain("most likely now: “ran” 0.600 · recomputed exactly");
  // The dot of the text is for who has it read out; the one that is seen belongs to the blank.
  expect(html).toMatch(
    /0\.600<\/span><span class="aw-hidden"> ·<\/span><span class="aw-dot"> <\/span>/,
  );
});
