import { expect, test } from "vitest";
import { formatWeight } from "../../../../src/marks/format.js";
import type { Scene } from "../../../../src/scene/scene.js";
import type { Hit } from "../../../../src/state/interaction.js";
import { headView } from "../../../../src/views/head/view.js";
import { SAID_BELOW } from "../../../../src/views/shared/failure.js";
import { random } from "../../../support/attention-scene.js";
import type { Call } from "../../../support/recording-surface.js";
import {
  draw,
  FRAME,
  KEYS,
  place,
  QUERIES,
  small,
  textsOf,
} from "../../../support/token-scenes.js";

test.each(["lines", "matrix"] as const)("hits find what was drawn: %s", (form) => {
  const scene = small({ state: { form, heads: [1] } });
  const surface = draw(scene);
  const labels: [string, Hit][] = [
    ...QUERIES.map((label, query): [string, Hit] => [label, { query }]),
    ...KEYS.map((label, key): [string, Hit] => [label, { key }]),
  ];
  for (const [label, expected] of labels) {
    const { x, y } = place(textsOf(surface, label)[0] as Call);
    const at = expected.query === undefined ? [x + 2, y - 1] : [x - 2, y];
    expect(headView.hit(scene, FRAME, at[0] as number, at[1] as number)).toEqual(expected);
  }
});

test("the middle of a drawn link is a hit on its head, query and key", () => {
  const scene = small({ state: { heads: [0, 2] } });
  const { weights } = scene.heads(0, 2);
  const found: Hit[] = [];
  for (const { kind, numbers } of draw(scene).calls) {
    if (kind !== "path") continue;
    // M and C: the curve's middle is half way between its ends, legend samples are level and short.
    const [x0, y0, , , , , x1, y1] = numbers as number[] as [number, ...number[]] as number[];
    const middle = [(x0 as number) + (x1 as number), (y0 as number) + (y1 as number)];
    if ((x1 as number) - (x0 as number) < 100) continue;
    const hit = headView.hit(scene, FRAME, (middle[0] as number) / 2, (middle[1] as number) / 2);
    if (hit) found.push(hit);
  }
  const strongest = weights
    .row(3)
    .reduce((best, w, k) => (w > (weights.row(3)[best] ?? 0) ? k : best), 0);
  expect(found).toContainEqual({ layer: 0, head: 2, query: 3, key: strongest });
  expect(new Set(found.map(({ head }) => head))).toEqual(new Set([0, 2]));
});

test("a cell of any of several matrices is a hit on its head, query and key", () => {
  const scene = small({ state: { form: "matrix", heads: [0, 2] } });
  const images = draw(scene).calls.filter(
    ({ kind, numbers }) => kind === "image" && (numbers[3] ?? 0) > 20,
  );
  expect(images.length).toBe(2);
  images.forEach(({ numbers }, n) => {
    const [x, y, width, height] = numbers as [number, number, number, number];
    const at: [number, number] = [x + (width * 5.5) / 7, y + (height * 3.5) / 5];
    const expected = { layer: 0, head: [0, 2][n], query: 3, key: 5 };
    expect(headView.hit(scene, FRAME, ...at)).toEqual(expected);
  });
});

test("hovering a query puts its exact weights beside the keys", () => {
  const scene = small({ state: { heads: [1] }, hover: { source: "head", query: 2 } });
  const surface = draw(scene);
  const row = scene.heads(0, 1).weights.row(2);
  KEYS.forEach((label, key) => {
    const { y } = place(textsOf(surface, label)[0] as Call);
    const beside = surface.calls.filter(
      (call) => call.text?.match(/^\d\.\d{3}$/) && place(call).y === y,
    );
    const weight = row[key] as number;
    expect(beside.map((call) => call.text)).toEqual(weight >= 0.005 ? [formatWeight(weight)] : []);
  });
});

test("hovering a key puts who attends to it beside the queries, one number per head", () => {
  const scene = small({ state: { heads: [0, 2] }, hover: { source: "neuron", key: 4 } });
  const surface = draw(scene, { ...FRAME, width: 700 });
  QUERIES.forEach((label, query) => {
    const { y } = place(textsOf(surface, label)[0] as Call);
    const beside = surface.calls.filter(
      (call) => call.text?.match(/^\d\.\d{3}$/) && place(call).y === y,
    );
    const weights = [0, 2].map((head) => scene.heads(0, head).weights.row(query)[4] as number);
    expect(Math.max(...weights)).toBeGreaterThan(0.005);
    expect(beside.map((call) => call.text)).toEqual(weights.map(formatWeight));
  });
});

test("numbers of more heads than there are columns stand one above the other, each a head's own", () => {
  const heads = [0, 1, 2, 3] as const;
  const scene = small({
    numHeads: 4,
    state: { heads: [...heads] },
    hover: { source: "head", query: 0 },
  });
  const surface = draw(scene);
  const known = heads.map((head) => scene.heads(0, head).weights.row(0)[6] as number);
  expect(Math.min(...known)).toBeGreaterThan(0.0005);
  const places = known.map((weight) => {
    const calls = surface.calls.filter(({ text }) => text === formatWeight(weight));
    expect(calls.length).toBeGreaterThan(0);
    return calls.map((call) => place(call).y);
  });
  const [first, last] = [places[0]?.[0], places[3]?.[0]] as [number, number];
  expect(last - first).toBe(8);
});

test("of more heads than there is room for, the strongest has its number, and that is said", () => {
  const heads = [0, 1, 2, 3, 4, 5, 6];
  const scene = small({ numHeads: 7, state: { heads }, hover: { source: "head", query: 0 } });
  const { texts } = draw(scene);
  expect(texts).toContain("numbers beside tokens: of the strongest head");
  const known = heads.map((head) => scene.heads(0, head).weights.row(0)[6] as number);
  expect(texts).toContain(formatWeight(Math.max(...known)));
  expect(texts).not.toContain(formatWeight(known.reduce((a, b) => a + b, 0) / 7));
});

test("the card has the pair's tokens and each head's exact weight and rank", () => {
  const scene = small({
    state: { form: "matrix", heads: [0, 1] },
    hover: { source: "head", query: 3, key: 5, x: 455, y: 315 },
  });
  const surface = draw(scene);
  expect(surface.texts).toContain("“because” → “sie”");
  for (const head of [0, 1]) {
    const row = scene.heads(0, head).weights.row(3);
    const rank = row.filter((weight) => weight > (row[5] as number)).length + 1;
    expect(surface.texts).toContain(formatWeight(row[5] as number));
    const ordinals = ["1st", "2nd", "3rd", "4th", "5th", "6th", "7th"];
    expect(surface.texts).toContain(`(${ordinals[rank - 1]} of 7)`);
  }
  const box = surface.calls.find((call) => call.group === "card" && call.kind === "rect") as Call;
  const [x, y, width, height] = box.numbers as [number, number, number, number];
  expect(Math.min(x, y)).toBeGreaterThanOrEqual(0);
  expect([x + width <= FRAME.width, y + height <= FRAME.height]).toEqual([true, true]);
});

test("another view's pointer brings no card", () => {
  const hover = { source: "neuron", query: 3, key: 5, x: 20, y: 20 } as const;
  const { calls } = draw(small({ hover }));
  expect(calls.filter(({ group }) => group === "card")).toEqual([]);
});

test("hovering a chip shows that head alone, without moving anything", () => {
  const given = { numHeads: 4, state: { heads: [0, 1, 2, 3] as [number, ...number[]] } };
  const ends = (scene: Scene) =>
    textsOf(draw(scene), "the")
      .concat(textsOf(draw(scene), "weil"))
      .map(place);
  const idle = small(given);
  const alone = small({ ...given, hover: { source: "keyboard", layer: 0, head: 2 } });
  expect(ends(alone)).toEqual(ends(idle));
  const links = (scene: Scene) =>
    draw(scene).calls.filter(({ kind, group }) => kind === "path" && group.startsWith("links"));
  expect(links(alone).length).toBe(links(small({ ...given, state: { heads: [2] } })).length);
  expect(links(alone).length).toBeLessThan(links(idle).length / 2);
  const other = small({ ...given, hover: { source: "model", layer: 1, head: 2 } });
  expect(draw(other).calls).toEqual(draw(idle).calls);
});

test("a few tokens need no scrolling and stand apart, but no further than the eye follows", () => {
  const scene = small();
  const natural = headView.contentHeight(scene, 460, 500);
  expect(natural).toBeLessThan(7 * 40 + 80);
  const surface = draw(scene, { width: 460, height: natural, scroll: 0 });
  const [first, second] = KEYS.map((label) => place(textsOf(surface, label)[0] as Call).y);
  expect((second as number) - (first as number)).toBe(40);
  expect(headView.contentHeight(scene, 460, natural)).toBe(natural);
});

test.each(["lines", "matrix"] as const)(
  "while numbers are on their way the tokens stand: %s",
  (form) => {
    const { texts, calls } = draw(small({ blocks: "pending", state: { form } }));
    for (const label of [...QUERIES, ...KEYS]) expect(texts).toContain(label);
    expect(texts.includes("loading")).toBe(form === "lines");
    expect(calls.filter(({ kind, group }) => kind === "path" && group.startsWith("links"))).toEqual(
      [],
    );
  },
);

test.each(["lines", "matrix"] as const)("what went wrong is said in place: %s", (form) => {
  const { calls } = draw(small({ blocks: "failed", state: { form } }));
  const notice = calls.filter(({ group }) => group === "notice");
  expect(notice.flatMap(({ text }) => text ?? []).join(" ")).toBe("the kernel has gone away");
});

test.each(["lines", "matrix"] as const)(
  "what the page says below stands here no second time: %s",
  (form) => {
    const said = (failed: () => string | null) =>
      draw({ ...small({ blocks: "failed", state: { form } }), failed }).calls.flatMap(
        ({ group, text }) => (group === "notice" && text ? [text] : []),
      );
    expect(said(() => "the kernel has gone away").join(" ")).toBe(SAID_BELOW);
    expect(said(() => "the disk is full").join(" ")).toBe("the kernel has gone away");
  },
);

test("an entry of the legend under the pointer singles out its head; a click on it selects it", () => {
  const scene = small({ state: { heads: [0, 2] } });
  const entry = textsOf(draw(scene), "2").at(-1) as Call;
  const { x, y } = place(entry);
  const hit = headView.hit(scene, FRAME, x, y);
  expect(hit).toEqual({ action: "show-head", layer: 0, head: 2 });
  const pointed = { ...scene, hover: { source: "head", layer: 0, head: 2 } as const };
  const links = (of: Scene) =>
    draw(of).calls.flatMap(({ kind, group, numbers }) =>
      kind === "path" && group === "links" ? [numbers] : [],
    );
  expect(links(scene).length).toBeGreaterThan(links(pointed).length);
  expect(links(pointed)).toEqual(links(small({ state: { heads: [2] } })));
  // What is drawn as one has no heads to single out, and one head nothing to be singled out from.
  for (const state of [{ heads: [0, 2], together: "mean" as const }, { heads: [2] }]) {
    const other = small({ state });
    const hits = Array.from({ length: 90 }, (_, at) => headView.hit(other, FRAME, 5 * at, y));
    expect(hits.filter((each) => each?.action === "show-head")).toEqual([]);
  }
});

test("stops have the names a screen reader needs", () => {
  const scene = small({ state: { heads: [2] } });
  const row = scene.heads(0, 2).weights.row(3);
  const best = row.reduce((most, weight, key) => (weight > (row[most] as number) ? key : most), 0);
  const names = headView.stops(scene, FRAME).map(({ name }) => name);
  const weight = formatWeight(row[best] as number);
  const said = `query 3 “because”, layer 0 head 2 attends most to “${KEYS[best]}” ${weight}`;
  expect(names).toContain(said);
  expect(names).toContain("key 2 “Katze”");
  expect(names.length).toBe(QUERIES.length + KEYS.length);
});

test("of several heads the one that attends most is named", () => {
  const scene = small({ state: { heads: [0, 1, 2] } });
  const most = (head: number) => Math.max(...scene.heads(0, head).weights.row(3));
  const best = [0, 1, 2].reduce((a, b) => (most(b) > most(a) ? b : a));
  const names = headView.stops(scene, FRAME).map(({ name }) => name);
  const said = `query 3 “because”, layer 0 head ${best} attends most to “`;
  expect(names.filter((name) => name.startsWith(said))).toHaveLength(1);
});

test("every frame from 260 to 1400 pixels is drawn with whole numbers inside it", () => {
  const next = random(5);
  for (const width of [260, 320, 400, 460, 700, 1400]) {
    for (const form of ["lines", "matrix"] as const) {
      const heads = [0, 1, 2].slice(0, 1 + Math.floor(1.5 * (next() + 1))) as [number];
      const scene = small({ state: { form, heads } });
      const { calls } = draw(scene, { ...FRAME, width });
      for (const { kind, numbers } of calls) {
        if (kind !== "image") continue;
        const [x, , w] = numbers as [number, number, number];
        expect([x >= -0.01, x + w <= width + 0.01]).toEqual([true, true]);
      }
    }
  }
});
