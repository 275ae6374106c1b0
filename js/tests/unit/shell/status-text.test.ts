import { expect, test } from "vitest";
import { formatWeight } from "../../../src/marks/format.js";
import { statusText, strongestKeys } from "../../../src/shell/status-text.js";
import { pairNumbers } from "../../../src/views/shared/series.js";
import { attentionScene } from "../../support/attention-scene.js";

test("a pair's rank counts the keys that its query can see, as the cards do", () => {
  const scene = attentionScene({
    layer: { causal: true },
    state: { query: 3, key: 1, heads: [2] },
  });
  const row = scene.blocks.weights(0, 2).row(3) as Float32Array;
  const { value, note } = pairNumbers(row, [1]);
  expect(note).toMatch(/ of 4$/);
  expect(statusText(scene)).toContain(`${value} (${note})`);
  const masked = attentionScene({
    layer: { causal: true },
    state: { query: 3, key: 7, heads: [2] },
  });
  expect(statusText(masked)).toMatch(/ 0$/);
});

test("a head under the pointer says where in the model it is, a link of it does not", () => {
  const scene = attentionScene({ state: { query: null, heads: [1] } });
  const path = scene.stream.layers[1]?.module_path as string;
  expect(path).not.toBe("");
  expect(statusText({ ...scene, hover: { source: "model", layer: 1, head: 2 } })).toContain(path);
  expect(
    statusText({ ...scene, hover: { source: "model", layer: 1, head: 2, query: 0, key: 1 } }),
  ).not.toContain(path);
});

test("a token of a chat is told with who said it", () => {
  const scene = attentionScene({ state: { query: 2, heads: [1] } });
  const queries = scene.queries.map((each) => ({ ...each, role: "user" }));
  expect(statusText({ ...scene, queries })).toMatch(/query 2 .*\(user\)$/);
});

test("the table names a row's strongest keys, the first of equals first", () => {
  const scene = attentionScene({ state: { query: 2, heads: [1] } });
  const row = scene.blocks.weights(0, 1).row(2) as Float32Array;
  const order = Array.from(row.keys()).sort((a, b) => (row[b] as number) - (row[a] as number));
  const found = strongestKeys(scene);
  expect(found.map(({ key }) => Number.parseInt(key, 10))).toEqual(order.slice(0, 5));
  expect(found[0]?.weight).toBe(formatWeight(row[order[0] as number] as number));
});
