import { expect, test } from "vitest";
import type { Scene } from "../../../../src/scene/scene.js";
import type { ToolbarEvents } from "../../../../src/shell/toolbar/control.js";
import { panels } from "../../../../src/shell/toolbar/together.js";
import { headView } from "../../../../src/views/head/view.js";
import { attentionScene, type Given, WORDS } from "../../../support/attention-scene.js";
import { groupedScene } from "../../../support/grouped-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const FRAME = { width: 480, height: 420, scroll: 0 };
const MANY = Array.from({ length: 120 }, (_, n) => `w${n}`);

const scene = (state: Given["state"] = {}, given: Given = {}): Scene =>
  attentionScene({
    numHeads: 4,
    ...given,
    state: { heads: [3, 0, 1], panels: "one a head", ...state },
  });

function draw(shown: Scene, frame = FRAME): RecordingSurface {
  const surface = new RecordingSurface(frame.width, frame.height);
  headView.draw(surface, shown, frame);
  expect(surface.broken).toEqual([]);
  return surface;
}

const titles = ({ texts }: RecordingSurface) => texts.filter((text) => /^head \d+$/.test(text));
const paths = ({ calls }: RecordingSurface, group: string) =>
  calls.filter((call) => call.kind === "path" && call.group === group);

test("each head has a panel with its own links, in the order of their numbers", () => {
  const surface = draw(scene());
  expect(titles(surface)).toEqual(["head 0", "head 1", "head 3"]);
  for (const head of [0, 1, 3]) {
    const own = draw(attentionScene({ numHeads: 4, state: { heads: [head] } }));
    expect(paths(surface, `links head ${head}`)).toHaveLength(
      paths(own, `links head ${head}`).length,
    );
    expect(paths(own, `links head ${head}`).length).toBeGreaterThan(0);
  }
  // Every token stands at both sides of every panel; what the sides are is said once.
  expect(surface.texts.filter((text) => text === "tired")).toHaveLength(6);
  expect(surface.texts.filter((text) => text === "query" || text === "key")).toEqual([
    "query",
    "key",
  ]);
});

test("no panel lies over another, and each head's links are within its own", () => {
  const surface = draw(scene());
  const bounds = [0, 1, 3].map((head) => {
    const xs = paths(surface, `links head ${head}`).flatMap(({ numbers }) =>
      numbers.filter((_, i) => i % 2 === 0),
    );
    const ys = paths(surface, `links head ${head}`).flatMap(({ numbers }) =>
      numbers.filter((_, i) => i % 2 === 1),
    );
    return { x: [Math.min(...xs), Math.max(...xs)], y: [Math.min(...ys), Math.max(...ys)] };
  });
  for (const [i, one] of bounds.entries()) {
    for (const other of bounds.slice(i + 1)) {
      const apart = (axis: "x" | "y") =>
        (one[axis][1] as number) < (other[axis][0] as number) ||
        (other[axis][1] as number) < (one[axis][0] as number);
      expect(apart("x") || apart("y")).toBe(true);
    }
  }
});

test("the weight of the pair in question stands in each head's title", () => {
  const shown = scene({ query: 8, key: 2 });
  const { texts } = draw(shown);
  for (const head of [0, 1, 3]) {
    const weight = shown.blocks.weights(0, head).row(8)?.[2] as number;
    const at = texts.indexOf(`head ${head}`);
    expect(texts.slice(at, at + 4).join(" ")).toContain(weight.toFixed(3));
  }
});

test("one head, heads together, other forms and a rollout have one picture", () => {
  const overlaid = titles(draw(scene({ panels: "overlaid" })));
  expect(overlaid).toEqual(["head 3"]);
  expect(titles(draw(scene({ heads: [2] })))).toEqual(["head 2"]);
  expect(titles(draw(scene({ together: "mean" })))).toEqual([]);
});

test("the choice is there while the lines of several heads are drawn", () => {
  const there = (shown: Scene) => panels.shown?.(shown, {} as ToolbarEvents);
  expect(there(scene())).toBe(true);
  expect(there(scene({ panels: "overlaid", view: "head" }))).toBe(true);
  expect(there(scene({ heads: [1] }))).toBe(false);
  expect(there(scene({ form: "matrix" }))).toBe(false);
  expect(there(scene({ together: "max" }))).toBe(false);
  expect(there(scene({ view: "neuron" }))).toBe(false);
  expect(there(scene({ measure: "rollout" }))).toBe(false);
});

test("a token under the pointer is the same in every panel", () => {
  const surface = draw(scene());
  const places = surface.calls.filter((call) => call.text === "because");
  expect(places).toHaveLength(6);
  const index = WORDS.indexOf("because");
  const hits = places.map(({ numbers: [x = 0, y = 0] }) => headView.hit(scene(), FRAME, x, y));
  expect(hits.filter((hit) => hit?.query === index)).toHaveLength(3);
  expect(hits.filter((hit) => hit?.key === index)).toHaveLength(3);
});

test("many tokens are scrolled in all panels alike, and what is set elsewhere comes into sight", () => {
  const shown = scene({}, { queries: MANY });
  const content = headView.contentHeight(shown, FRAME.width, FRAME.height);
  expect(content).toBeGreaterThan(FRAME.height);
  const scroll = headView.reveal?.(shown, FRAME, { query: 100 });
  expect(scroll).toBeGreaterThan(0);
  const there = { ...FRAME, scroll: scroll as number };
  expect(headView.reveal?.(shown, there, { query: 100 })).toBeNull();
  expect(draw(shown, there).texts.filter((text) => text === "w100").length).toBeGreaterThan(1);
  expect(draw(shown).texts).not.toContain("w100");
});

test("paper has all tokens of all heads", () => {
  const drawing = {
    paper: true,
    panel: false,
    axes: true,
    legend: true,
    threshold: 0,
    horizontal: false,
    rightToLeft: false,
  };
  const shown = { ...scene({}, { queries: MANY }), drawing };
  const height = headView.contentHeight(shown, FRAME.width, 500);
  expect(headView.contentHeight(shown, FRAME.width, height)).toBe(height);
  const { texts } = draw(shown, { ...FRAME, height });
  expect(texts.filter((text) => text === "w110")).toHaveLength(6);
});

test("groups are named beside the outermost panels only", () => {
  const grouped = groupedScene({ state: { panels: "one a head", heads: [0, 1] } });
  const { calls, texts } = draw(grouped, { width: 700, height: 400, scroll: 0 });
  expect(texts).toContain("head 1");
  for (const side of ["left", "right"]) {
    const names = calls.filter(({ group, kind }) => group === `groups ${side}` && kind === "text");
    expect(names.map(({ text }) => text)).toEqual(["A", "B"]);
  }
  const rules = (side: string) =>
    calls
      .filter(({ group, kind }) => group === `groups ${side}` && kind === "rect")
      .map(({ numbers: [x = 0] }) => x);
  const middle = calls
    .filter(({ text }) => text === "tired")
    .map(({ numbers: [x = 0] }) => x)
    .sort((a, b) => a - b);
  expect(Math.max(...rules("left"))).toBeLessThan(middle[0] as number);
  expect(Math.min(...rules("right"))).toBeGreaterThan(middle.at(-1) as number);
});

test("an error is said once", () => {
  const { texts } = draw(scene({}, { blocks: "failed" }));
  expect(texts.filter((text) => text.includes("gone away"))).toHaveLength(1);
});
