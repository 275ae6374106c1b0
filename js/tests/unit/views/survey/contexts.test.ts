import { expect, test } from "vitest";
import type { BlockResult, Blocks } from "../../../../src/data/blocks.js";
import { requestKey } from "../../../../src/data/requests.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { contexts as searchControl } from "../../../../src/shell/toolbar/search.js";
import { textWidth } from "../../../../src/surface/text.js";
import { type Board, toldOfLinks } from "../../../../src/views/model/head-scores.js";
import { scoreNotes } from "../../../../src/views/model/legend.js";
import {
  contextLines,
  contextText,
  readContexts,
  searched,
} from "../../../../src/views/survey/contexts.js";
import { examplesView } from "../../../../src/views/survey/view.js";
import { attentionScene } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const [JOINED, QUERY, KEY, AFTER] = [1, 2, 4, 8];
const ROWS = [
  {
    input: 7,
    value: 0.98765,
    weight: 0.9,
    query: 14,
    key: 2,
    tokens: [
      ["Rice", AFTER],
      ["dee", KEY],
      ["p", JOINED],
      ["<b>he</b>", AFTER],
      ["rice", QUERY],
      ["ö😀", 0],
    ],
  },
  {
    input: 9,
    value: 0.5,
    weight: 0.4,
    query: 3,
    key: 1,
    tokens: [
      ["cat", KEY],
      ["it", QUERY],
    ],
    closed: "the survey has no text of this input",
  },
];

function block(rows: unknown): BlockResult {
  const text = JSON.stringify(rows);
  const data = new Float32Array(text.length);
  // Code units, of which some characters have two.
  for (let at = 0; at < text.length; at++) data[at] = text.charCodeAt(at);
  return { shape: [text.length], data };
}

const typical: BlockResult = { shape: [2, 6, 1], data: new Float32Array(12).fill(0.25, 6) };

function surveyScene(
  options: Partial<Scene["options"]> = {},
  more: object = {},
  rows: unknown = ROWS,
): { scene: Scene; asked: Parameters<Blocks["heads"]>[0][] } {
  const asked: Parameters<Blocks["heads"]>[0][] = [];
  const found = block(rows);
  const base = attentionScene({
    numLayers: 2,
    numHeads: 3,
    state: { score: "previous", layer: 1, heads: [2] },
    options,
    headNumbers: (request) => {
      asked.push(request);
      return request.what === "contexts" ? found : typical;
    },
  });
  const survey = { inputs: 12, can_open: true, texts: { "0": "a text" }, contexts: 20, ...more };
  return { scene: { ...base, meta: { ...base.meta, survey } }, asked };
}

const frame = { width: 420, height: 400, scroll: 0 };
function drawn(scene: Scene): RecordingSurface {
  const surface = new RecordingSurface(frame.width, frame.height);
  examplesView.draw(surface, scene, frame);
  expect(surface.broken).toEqual([]);
  return surface;
}

test("a block of contexts is read once, as the text it is", () => {
  const { scene } = surveyScene();
  const found = scene.blocks.heads({ what: "contexts", score: "previous", of: [1, 2] });
  if (!found || "error" in found) throw new Error("no block");
  const rows = readContexts(found.data);
  expect(readContexts(found.data)).toBe(rows);
  expect(rows.map(contextText)).toEqual(["… Rice deep … <b>he</b> rice ö😀", "cat it"]);
  expect(rows[0]?.parts[0]?.map(({ isQuery }) => isQuery).indexOf(true)).toBe(4);
  expect(rows.map(({ closed }) => closed)).toEqual([null, ROWS[1]?.closed]);
});

test("each head and rule has a block of its own", () => {
  const keys = [
    { score: "previous", of: [1, 2] as const },
    { score: "previous", of: [1, 1] as const },
    { score: "link", of: [1, 2] as const },
  ].map((one) => requestKey({ what: "contexts", stream: "self", ...one }));
  expect(new Set(keys).size).toBe(3);
  const { scene, asked } = surveyScene();
  drawn(scene);
  expect(asked).toContainEqual({ what: "contexts", score: "previous", of: [1, 2] });
  const other = surveyScene({ strongest: true });
  drawn(other.scene);
  expect(other.asked).toContainEqual({ what: "contexts", score: "link", of: [1, 2] });
});

test("the query is underlined, the key shaded by its weight, and markup is text", () => {
  const { scene } = surveyScene();
  const surface = drawn(scene);
  expect(surface.texts).toContain("<b>he</b>");
  const of = (text: string) => surface.calls.find((call) => call.text === text)?.numbers ?? [];
  const [x = 0, y = 0] = of("rice");
  const wide = textWidth("rice", 11);
  expect(surface.calls).toContainEqual(
    expect.objectContaining({ kind: "line", numbers: [x, y + 7.5, x + wide, y + 7.5] }),
  );
  const shades = surface.calls.filter(({ kind, style }) => kind === "rect" && style?.fill);
  const [first, second] = shades.map(({ style }) => style?.fill);
  expect(shades.length).toBe(2);
  expect(first).not.toBe(second);
  const [keyX = 0, keyY = 0] = of("dee");
  const [left = 0, top = 0, width = 0, height = 0] = shades[0]?.numbers ?? [];
  expect(keyX > left && keyX < left + width && keyY > top && keyY < top + height).toBe(true);
});

test("a line says what is underlined and what is boxed, where there are contexts", () => {
  const legend = "underlined: query · box: key, shaded by the weight of the link";
  expect(drawn(surveyScene().scene).texts).toContain(legend);
  expect(drawn(surveyScene({ containing: "zebra" }).scene).texts).not.toContain(legend);
});

test("the box of a key lies beside the words around it", () => {
  const tokens = [
    ["un", QUERY],
    ["believ", KEY | JOINED],
    ["able", JOINED],
    ["dog", 0],
  ];
  const { scene } = surveyScene({}, {}, [{ ...ROWS[1], tokens }]);
  const { calls } = drawn(scene);
  const of = (text: string) => calls.find((call) => call.text === text)?.numbers[0] ?? 0;
  const box = calls.find(({ kind, style }) => kind === "rect" && style?.fill);
  const [left = 0, , width = 0] = box?.numbers ?? [];
  expect(left).toBeGreaterThanOrEqual(of("un") + textWidth("un", 11));
  expect(left + width).toBeLessThanOrEqual(of("able"));
  expect(left).toBeLessThan(of("believ"));
});

test("a click opens the input at the link, and not what is closed", () => {
  const { scene } = surveyScene();
  const stops = examplesView.stops(scene, frame);
  expect(stops.map(({ action, name }) => [action, name.slice(0, 46)])).toEqual([
    ["contexts-by", "contexts by strongest links"],
    ["open-example", "context in input 7, 0.988, query rice, key dee"],
    // What is closed is there to be read.
    [undefined, "context in input 9, 0.500, query it, key cat: "],
    ["open-example", "example 0, 0.250, a text"],
  ]);
  const place = { query: 14, key: 2 };
  expect(stops[1]).toMatchObject({ example: 7, context: 0, place });
  expect(stops[2]?.name).toContain(`cat it (${ROWS[1]?.closed})`);
  for (const { rect, name: _, onlyRead = false, ...rest } of stops) {
    const hit = examplesView.hit(scene, frame, rect.x + 8, rect.y + rect.height / 2);
    expect(onlyRead ? null : rest).toEqual(hit);
  }
  expect(drawn(scene).texts).toContain(ROWS[1]?.closed);
  const { y = 0, height = 0 } = stops[1]?.rect ?? {};
  expect(examplesView.hit(scene, frame, 90, y + height + 8)).toBeNull();
  const alone = surveyScene({}, { can_open: false }).scene;
  const contexts = examplesView
    .stops(alone, frame)
    .filter(({ name }) => name.startsWith("context "));
  expect(contexts.map(({ onlyRead, action }) => [onlyRead, action])).toEqual([
    [true, undefined],
    [true, undefined],
  ]);
  expect(drawn(alone).texts).toContain("to open one: survey.view(model, tokenizer)");
});

test("a row that the lower edge would cut is not drawn, nor pressed, until it is scrolled to", () => {
  const many = Array.from({ length: 9 }, (_, n) => ({
    ...ROWS[0],
    value: n / 10,
    tokens: [
      ["cat", KEY],
      [`it${n}`, QUERY],
    ],
  }));
  const { scene } = surveyScene({}, {}, many);
  const last = (at: typeof frame) => {
    const surface = new RecordingSurface(at.width, at.height);
    examplesView.draw(surface, scene, at);
    return surface.texts.filter((text) => text.startsWith("it")).at(-1);
  };
  const whole = { ...frame, height: examplesView.contentHeight(scene, frame.width, 0) };
  const rects = examplesView.stops(scene, whole).filter(({ context }) => context !== undefined);
  const { rect } = rects[5] as { rect: { y: number; height: number } };
  expect(last({ ...frame, height: rect.y + rect.height })).toBe("it5");
  const cut = { ...frame, height: rect.y + rect.height / 2 };
  expect(last(cut)).toBe("it4");
  expect(examplesView.hit(scene, cut, 90, rect.y + 4)).toBeNull();
  expect(last({ ...cut, scroll: rect.height })).toBe("it5");
});

test("contexts are searched by their text", () => {
  const { scene } = surveyScene();
  const found = scene.blocks.heads({ what: "contexts", score: "previous", of: [1, 2] });
  if (!found || "error" in found) throw new Error("no block");
  const rows = readContexts(found.data);
  expect(searched(rows, " RICE  deep ").map(({ input }) => input)).toEqual([7]);
  expect(searched(rows, "it")).toEqual([rows[1]]);
  expect(searched(rows, "")).toBe(rows);
  const none = drawn(surveyScene({ containing: "zebra" }).scene);
  expect(none.texts).toContain("None of the 2 contexts here has “zebra”.");
  expect(none.texts).toContain("a text");
  expect(searchControl.shown?.(scene, {} as never)).toBe(true);
  expect(searchControl.shown?.(attentionScene(), {} as never)).toBe(false);
});

test("too many tokens give way at the ends, never query and key", () => {
  const many = Array.from({ length: 40 }, (_, at) => [
    `token${at}`,
    at === 30 ? QUERY : at === 28 ? KEY : 0,
  ]);
  const row = { ...ROWS[1], tokens: many };
  const found = block([row]);
  if ("error" in found) throw new Error("no block");
  const [context] = readContexts(found.data);
  if (!context) throw new Error("no context");
  for (const width of [60, 200, 400]) {
    const lines = contextLines(context, width, 11, 3);
    expect(lines.length).toBeLessThanOrEqual(3);
    const shown = lines.flat();
    expect(shown.some(({ isQuery }) => isQuery) && shown.some(({ isKey }) => isKey)).toBe(true);
    expect(shown[0]?.afterGap).toBe(true);
    for (const { x, width: wide } of shown) expect(x + wide).toBeLessThanOrEqual(width + 12);
  }
});

test("a survey without contexts has none of it", () => {
  const { scene, asked } = surveyScene({}, { contexts: undefined });
  expect(drawn(scene).texts.join(" ")).not.toContain("contexts by");
  expect(asked.some(({ what }) => what === "contexts")).toBe(false);
});

const GOLD = "precision of pronoun (forward)";
const TOLD = [
  "3 links of 3 queries",
  "best heads: 1·2 0.900",
  "best fixed offset, −3 tokens: 0.667",
];

/** A survey whose heads have gold links, in the stream on show or in another. */
function goldScene(stream?: string): ReturnType<typeof surveyScene> {
  const made = surveyScene();
  const { meta, state } = made.scene;
  const links = { [stream ?? made.scene.stream.name]: { [GOLD]: TOLD } };
  const score = { name: GOLD, label: GOLD, question: "", formula: "", source: "" };
  const survey = { inputs: 12, can_open: true, texts: {}, contexts: 20, links };
  const scores = [...meta.scores, score];
  return {
    ...made,
    scene: { ...made.scene, meta: { ...meta, scores, survey }, state: { ...state, score: GOLD } },
  };
}

test("gold links have no typical inputs, and contexts are those of the strongest links", () => {
  const { scene, asked } = goldScene();
  const { texts } = drawn(scene);
  expect(asked.map(({ what }) => what)).not.toContain("typical");
  expect(asked).toContainEqual({ what: "contexts", score: "link", of: [1, 2] });
  expect(texts.join(" ")).toContain("none is typical of them");
  expect(texts.some((text) => text.includes(GOLD))).toBe(true);
  expect(examplesView.stops(scene, frame).map(({ name }) => name)).not.toContain(
    `contexts by ${GOLD}`,
  );
});

test("the notes of gold links are what is said of them in the stream on show", () => {
  const { scene } = goldScene();
  const values = new Float32Array(6).fill(0.5);
  const board = { score: { name: GOLD, title: GOLD, values, why: null } } as unknown as Board;
  expect(scoreNotes(scene, board)).toEqual(TOLD);
  expect(toldOfLinks(scene, "previous")).toBeNull();
  expect(toldOfLinks(goldScene("another").scene, GOLD)).toEqual([]);
});
