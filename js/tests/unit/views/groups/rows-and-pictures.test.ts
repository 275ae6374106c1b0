import { expect, test } from "vitest";
import type { Grouping } from "../../../../src/protocol/generated.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { headView } from "../../../../src/views/head/view.js";
import { neuronView } from "../../../../src/views/neuron/view.js";
import type { View } from "../../../../src/views/view.js";
import type { Given } from "../../../support/attention-scene.js";
import { groupedScene } from "../../../support/grouped-scene.js";
import { over, patches, token } from "../../../support/media-scenes.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const FRAME = { width: 520, height: 420, scroll: 0 };

function draw(view: View, scene: Scene, frame = FRAME): RecordingSurface {
  const surface = new RecordingSurface(frame.width, frame.height);
  view.draw(surface, scene, frame);
  expect(surface.broken).toEqual([]);
  return surface;
}

const SHOWN = [token("[BOS]"), ...patches, ..."what is this ?".split(" ").map(token)];
const PARTS: Grouping = {
  name: "part",
  groups: [
    { name: "picture", label: "picture", queries: [[1, 7]], keys: [[1, 7]] },
    { name: "text", label: "text", queries: [[7, 11]], keys: [[7, 11]] },
    { name: "rest", label: "rest", queries: [[0, 1]], keys: [[0, 1]] },
  ],
};

function picture(grouping: string | null, given: Given = {}): Scene {
  const scene = over(SHOWN, SHOWN, { ...given, state: { ...given.state, grouping } });
  const stream = { ...scene.stream, groupings: [PARTS] };
  return { ...scene, stream, meta: { ...scene.meta, streams: [stream] } };
}

test("over the pictures stands what they are, before the tokens of a group its name", () => {
  const { calls } = draw(headView, picture("part"));
  const above = calls.filter(({ group }) => group === "groups above");
  expect(above.filter(({ kind }) => kind === "text").map(({ text }) => text)).toEqual(["picture"]);
  const [rule] = above.filter(({ kind }) => kind === "rect");
  const [image] = calls.filter(({ kind, group }) => kind === "image" && group === "image");
  const [left = 0, top = 0, wide = 0, high = 0] = rule?.numbers ?? [];
  const [x = 0, y = 0, width = 0] = image?.numbers ?? [];
  expect(Math.abs(left - x) + Math.abs(wide - width)).toBeLessThan(6);
  expect(top + high).toBeLessThanOrEqual(y);
  expect(top).toBeGreaterThan(0);
  const at = (text: string) => calls.findIndex((call) => call.text === text);
  const [name, first, before] = ["text", "what", "[BOS]"].map((text) => calls[at(text)]);
  expect(before?.numbers[0]).toBeLessThan(name?.numbers[0] as number);
  expect(name?.numbers[0]).toBeLessThan(first?.numbers[0] as number);
  expect(name?.style?.weight).toBe("bold");
});

test("without groups nothing of them is there, and the picture has their room", () => {
  const { calls, texts } = draw(headView, picture(null));
  expect(texts).not.toContain("text");
  expect(texts).not.toContain("picture");
  expect(calls.filter(({ group }) => group === "groups above")).toEqual([]);
  const content = (grouping: string | null) =>
    headView.contentHeight(picture(grouping), FRAME.width, 2000);
  expect(content("part")).toBeGreaterThan(content(null));
});

test("the names of several pictures' group are one, above the titles of heads", () => {
  const { calls } = draw(headView, picture("part", { state: { heads: [0, 1] } }));
  const above = calls.filter(({ group }) => group === "groups above");
  expect(above.filter(({ kind }) => kind === "text")).toHaveLength(1);
  const title = calls.find(({ text }) => text === "head 0");
  for (const { numbers } of above) expect(numbers[1]).toBeLessThan(title?.numbers[1] as number);
});

test("a row of the neuron view says which group its key is in", () => {
  const scene = groupedScene({ state: { query: 8 }, options: { allKeys: true } });
  const frame = { ...FRAME, height: 900 };
  const { calls, texts } = draw(neuronView as View, scene, frame);
  // Five keys in A, four in B, two in none.
  expect(texts.filter((text) => text === "A")).toHaveLength(5);
  expect(texts.filter((text) => text === "B")).toHaveLength(4);
  const rules = calls.filter(({ group, kind }) => group === "groups left" && kind === "rect");
  expect(rules).toHaveLength(2);
  const [one, other] = rules.map(({ numbers: [, y = 0, , height = 0] }) => [y, y + height]);
  expect(one?.[1]).toBeLessThan(other?.[0] as number);
});

test("sorted by weight, rows of a group do not stand together: there is no rule", () => {
  const scene = groupedScene({ state: { query: 8 }, options: { keyOrder: "weight" } });
  const { calls, texts } = draw(neuronView as View, scene, { ...FRAME, height: 900 });
  expect(texts).toContain("A");
  expect(calls.filter(({ group }) => group === "groups left")).toEqual([]);
  const none = groupedScene({ state: { query: 8, grouping: null } });
  expect(draw(neuronView as View, none).texts).not.toContain("A");
});
