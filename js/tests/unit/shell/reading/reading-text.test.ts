import { expect, test } from "vitest";
import { formatWeight } from "../../../../src/marks/format.js";
import type { Chosen } from "../../../../src/protocol/generated.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { alsoHere, reading, readingText } from "../../../../src/shell/reading/reading-text.js";
import { strongestKeys } from "../../../../src/shell/reading/strongest-keys.js";
import { pairNumbers } from "../../../../src/views/shared/series.js";
import { attentionScene } from "../../../support/attention-scene.js";

const CHOSEN: Chosen = {
  stream: "encoder",
  layer: 0,
  head: 1,
  query: 3,
  key: 2,
  weight: 0.9,
  why: "the sharpest link that is not to the first token or a neighbour",
  also: [
    { label: "previous", layer: 1, head: 0 },
    { label: "induction", layer: 0, head: 2 },
  ],
};

type State = NonNullable<NonNullable<Parameters<typeof attentionScene>[0]>["state"]>;
const weight = (scene: Scene, head: number, query: number, key: number) =>
  formatWeight((scene.blocks.weights(0, head).row(query) as Float32Array)[key] as number);
const sceneOf = (state: State, stream = "encoder") => {
  const scene = attentionScene({ state });
  return { ...scene, stream: { ...scene.stream, name: stream }, state: { ...scene.state, stream } };
};

test("a link is one sentence, with where it is", () => {
  const scene = sceneOf({ query: 3, key: 2, heads: [1] });
  const { link, number, where, why } = reading(scene, null);
  expect(link).toBe("“sat” looks at “cat”");
  expect(number).toBe(`, ${weight(scene, 1, 3, 2)} of its weight.`);
  expect(where.join(" · ")).toMatch(/^layer 0, head 1 · query 3, key 2( · .* keys)?$/);
  expect(why).toBe("");
});

test("what was chosen says why, until something else is selected or pointed at", () => {
  const scene = sceneOf({ query: 3, key: 2, heads: [1] });
  expect(reading(scene, CHOSEN).why).toBe(`chosen for you: ${CHOSEN.why}`);
  expect(reading(scene, CHOSEN).where).toEqual(["layer 0, head 1"]);
  expect(reading({ ...scene, hover: { source: "head", query: 4 } }, CHOSEN).why).toBe("");
  for (const state of [{ heads: [1, 2] }, { heads: [2] }, { query: 4 }, { key: null }]) {
    expect(reading(sceneOf({ query: 3, key: 2, heads: [1], ...state }), CHOSEN).why).toBe("");
  }
});

test("the pointer takes the place of pins", () => {
  const scene = sceneOf({ query: 3, key: 2, heads: [1] });
  const hovered = { ...scene, hover: { source: "head", query: 5, key: 4 } as const };
  expect(readingText(reading(hovered, null))).toContain(
    `“the” looks at “on”, ${weight(scene, 1, 5, 4)} of its weight. layer 0, head 1 · query 5, key 4`,
  );
});

test("heads have their own numbers, never one of all", () => {
  const scene = sceneOf({ query: 3, key: 2, heads: [1, 0] });
  const [first, second] = [weight(scene, 1, 3, 2), weight(scene, 0, 3, 2)];
  expect(reading(scene, null).number).toBe(`: head 1 ${first}, head 0 ${second} of its weight.`);
  const many = attentionScene({
    numHeads: 6,
    state: { query: 3, key: 2, heads: [0, 1, 2, 3, 4, 5] },
  });
  expect(reading(many, null).number).toMatch(/, head 3 [\d.<]+ and 2 more heads of its weight\.$/);
  expect(reading(many, null).where).toContain("layer 0, all 6 heads");
});

test("a query alone says where each head looks most", () => {
  const scene = sceneOf({ query: 3, heads: [1] });
  const row = scene.blocks.weights(0, 1).row(3) as Float32Array;
  const best = row.indexOf(Math.max(...row));
  expect(reading(scene, null).link).toBe(`“sat” looks most at “${scene.keys[best]?.label}”`);
  expect(reading(scene, null).number).toBe(`, ${weight(scene, 1, 3, best)} of its weight.`);
  const two = reading(sceneOf({ query: 3, heads: [0, 1] }), null);
  expect(two.link).toBe("“sat” looks most at");
  expect(two.number).toMatch(/^: head 0 “.*” [\d.]+, head 1 “.*” [\d.]+ of its weight\.$/);
});

test("a key alone, and nothing at all", () => {
  expect(reading(sceneOf({ key: 2, heads: [1] }), null).link).toBe("key “cat”");
  expect(readingText(reading(sceneOf({ heads: [1] }), null))).toBe("layer 0, head 1");
});

test("cross attention says which sequence each end is of", () => {
  const { link } = reading(sceneOf({ query: 3, key: 2, heads: [1] }, "cross"), null);
  expect(link).toBe("decoder “sat” looks at encoder “cat”");
});

test("other measures are no share of the weight", () => {
  const value = reading(sceneOf({ query: 3, key: 2, heads: [1], measure: "value" }), null);
  expect(value.number).toMatch(/^, [\d.<]+ \(value-weighted\)\.$/);
  const rollout = reading(sceneOf({ query: 3, key: 2, heads: [1], measure: "rollout" }), null);
  expect(rollout.link).toBe("“cat” reaches “sat”");
  // Its one matrix is of every head, and no head's own.
  expect(rollout.where).toEqual(expect.arrayContaining(["rollout"]));
  expect(rollout.where[0]).toContain("all heads");
});

test("numbers that are not here yet are left out", () => {
  const scene = attentionScene({ blocks: "pending", state: { query: 3, key: 2, heads: [1] } });
  expect(reading(scene, null)).toMatchObject({ link: "“sat” looks at “cat”", number: "" });
});

test("a long label is cut, the number is not", () => {
  const scene = sceneOf({ query: 3, key: 2, heads: [1] });
  const keys = scene.keys.map((each) => ({ ...each, label: "x".repeat(300) }));
  const { link, number } = reading({ ...scene, keys }, null);
  expect(link.length).toBeLessThan(60);
  expect(number).toContain(weight(scene, 1, 3, 2));
});

test("other heads are named by what they do, of the stream that is shown", () => {
  const scene = sceneOf({ heads: [1] });
  expect(alsoHere(scene, CHOSEN)).toEqual([
    { text: "previous token 1·0", layer: 1, head: 0 },
    { text: "induction 0·2", layer: 0, head: 2 },
  ]);
  expect(alsoHere(sceneOf({ heads: [1] }, "cross"), CHOSEN)).toEqual([]);
  expect(alsoHere(scene, null)).toEqual([]);
});

test("a pair that is not its query's strongest says its rank among the keys that the query can see", () => {
  const scene = attentionScene({
    layer: { causal: true },
    state: { query: 3, key: 1, heads: [2] },
  });
  const row = scene.blocks.weights(0, 2).row(3) as Float32Array;
  const { note } = pairNumbers(scene, row, [1]);
  const strongest = row.indexOf(Math.max(...row));
  const weakest = row.indexOf(Math.min(...row.slice(0, 4)));
  const where = (key: number) =>
    reading(
      attentionScene({ layer: { causal: true }, state: { query: 3, key, heads: [2] } }),
      null,
    ).where.join(" · ");
  expect(note).toMatch(/ of 4$/);
  expect(where(weakest)).toMatch(/ · 4th of 4 keys$/);
  expect(where(strongest)).not.toContain(" of 4 keys");
  const masked = attentionScene({
    layer: { causal: true },
    state: { query: 3, key: 7, heads: [2] },
  });
  // A weight of 0, of a link that is masked or cut, is no look.
  expect(reading(masked, null).link).toMatch(/ does not look at /);
  expect(reading(masked, null).number).toBe(".");
});

test("a head under the pointer says where in the model it is, a link of it does not", () => {
  const scene = attentionScene({ state: { query: null, heads: [1] } });
  const path = scene.stream.layers[1]?.module_path as string;
  expect(path).not.toBe("");
  const hover = { source: "model", layer: 1, head: 2 } as const;
  expect(readingText(reading({ ...scene, hover }, null))).toContain(path);
  expect(readingText(reading({ ...scene, hover }, null))).toContain("layer 1, head 2");
  expect(
    readingText(reading({ ...scene, hover: { ...hover, query: 0, key: 1 } }, null)),
  ).not.toContain(path);
});

test("a token of a chat is told with who said it", () => {
  const scene = attentionScene({ state: { query: 2, heads: [1] } });
  const queries = scene.queries.map((each) => ({ ...each, role: "user" }));
  expect(reading({ ...scene, queries }, null).link).toMatch(/^“cat” \(user\) looks most at /);
});

test("the table names a row's strongest keys, the first of equals first", () => {
  const scene = attentionScene({ state: { query: 2, heads: [1] } });
  const row = scene.blocks.weights(0, 1).row(2) as Float32Array;
  const order = Array.from(row.keys()).sort((a, b) => (row[b] as number) - (row[a] as number));
  const found = strongestKeys(scene);
  expect(found.map(({ key }) => Number.parseInt(key, 10))).toEqual(order.slice(0, 5));
  expect(found[0]?.weight).toBe(formatWeight(row[order[0] as number] as number));
});

test("heads side by side are told of by layer and head, also where another head is selected", () => {
  const compare: State["compare"] = [
    [0, 2],
    [0, 1],
  ];
  const scene = sceneOf({ view: "compare", compare, query: 3, key: 2, heads: [0] });
  expect(readingText(reading(scene, null))).toBe(
    `“sat” looks at “cat”: 0·2 ${weight(scene, 2, 3, 2)}, 0·1 ${weight(scene, 1, 3, 2)} of its weight. heads 0·2, 0·1 · query 3, key 2`,
  );
  const hover = { source: "compare", layer: 0, head: 1, query: 5 } as const;
  expect(readingText(reading({ ...scene, hover }, null))).toContain(
    `“the” looks at “cat”, ${weight(scene, 1, 5, 2)} of its weight. layer 0, head 1`,
  );
});

test("what was chosen says nothing of heads that are one or stand side by side", () => {
  const link: State = { query: 3, key: 2, heads: [1] };
  const beside = sceneOf({ ...link, view: "compare", compare: [[0, 2]] });
  const together = sceneOf({ ...link, together: "mean", together_layers: [0, 1] });
  for (const scene of [beside, together]) {
    const { why, where } = reading(scene, CHOSEN);
    expect(why).toBe("");
    expect(where).toContain("query 3, key 2");
  }
  // With nothing pinned in it the view compares nothing.
  expect(reading(sceneOf({ ...link, view: "compare" }), CHOSEN).why).not.toBe("");
});

test("a sentence has the colour of the one head that it is about", () => {
  const link: State = { query: 3, key: 2, heads: [1] };
  const scene = sceneOf(link);
  const own = (head: number) => scene.theme.head(head, scene.layer.num_heads);
  const colour = (given: Scene) => reading(given, null).colour;
  expect(colour(scene)).toBe(own(1));
  expect(colour({ ...scene, hover: { source: "toolbar", layer: 1, head: 2 } })).toBe("");
  expect(colour(sceneOf({ ...link, heads: [1, 0] }))).toBe("");
  expect(colour(sceneOf({ ...link, together: "mean", together_layers: [0, 1] }))).toBe("");
  expect(colour(sceneOf({ ...link, view: "compare", compare: [[0, 2]] }))).toBe(own(2));
  const two = sceneOf({ ...link, view: "compare", compare: [[0, 2], [0, 0]] }); // biome-ignore format: pairs
  expect(colour(two)).toBe("");
  const hover = { source: "compare", layer: 0, head: 0 } as const;
  expect(colour({ ...two, hover })).toBe(own(0));
});

test("the table is of heads that are on show, and asks for no others", () => {
  const compare: State["compare"] = [
    [1, 2],
    [0, 1],
  ];
  const scene = sceneOf({ view: "compare", compare, query: 3, heads: [0] });
  const asked: string[] = [];
  const weights = (layer: number, head: number) => {
    asked.push(`${layer}·${head}`);
    return scene.blocks.weights(layer, head);
  };
  const found = strongestKeys({ ...scene, blocks: { ...scene.blocks, weights } });
  expect([...new Set(found.map(({ head }) => head))]).toEqual(["1·2", "0·1"]);
  expect([...new Set(asked)]).toEqual(["1·2", "0·1"]);
  const [selected] = strongestKeys(sceneOf({ query: 3, heads: [2] }));
  expect(selected?.head).toBe(2);
});
