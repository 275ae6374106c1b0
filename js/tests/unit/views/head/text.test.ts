import { expect, test } from "vitest";
import type { Blocks } from "../../../../src/data/blocks.js";
import { scaleEnd } from "../../../../src/marks/matrix/shading.js";
import type { Position } from "../../../../src/protocol/generated.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { reading, readingText } from "../../../../src/shell/reading/reading-text.js";
import { click, drag, turnText } from "../../../../src/state/actions.js";
import type { Hit } from "../../../../src/state/interaction.js";
import { found, nextHit } from "../../../../src/state/search.js";
import { withPins } from "../../../../src/state/selection.js";
import { parseHex, type Rgb } from "../../../../src/styles/colours.js";
import { contrast, inkOn } from "../../../../src/styles/ink.js";
import { themes } from "../../../../src/styles/theme.js";
import { headView } from "../../../../src/views/head/view.js";
import { stripShades } from "../../../../src/views/text/bar-strip.js";
import { blockOf, textPlan } from "../../../../src/views/text/layout.js";
import { shadingOf, strongest } from "../../../../src/views/text/shading.js";
import type { Frame } from "../../../../src/views/view.js";
import { attentionScene, WORDS } from "../../../support/attention-scene.js";
import { draw, FRAME, KEYS, QUERIES } from "../../../support/token-scenes.js";

type Given = Parameters<typeof attentionScene>[0];

/** One text that is queries and keys alike. */
function text(given: Given = {}): ReturnType<typeof attentionScene> {
  const scene = attentionScene({ ...given, state: { form: "text", ...given?.state } });
  return { ...scene, keys: scene.queries };
}
const pinned = (scene: Scene, pins: Partial<Scene["state"]>): Scene => ({
  ...scene,
  state: { ...scene.state, ...withPins(pins) },
});
const row = (scene: ReturnType<typeof text>, query: number, head = 0) =>
  scene.heads(0, head).weights.row(query);
const column = (scene: ReturnType<typeof text>, key: number, head = 0) =>
  WORDS.map((_, query) => scene.heads(0, head).weights.row(query)[key] as number);
const close = (found: ArrayLike<number> | undefined, wanted: ArrayLike<number>) => {
  expect(Array.from(found ?? [])).toHaveLength(wanted.length);
  for (let i = 0; i < wanted.length; i++) expect(found?.[i]).toBeCloseTo(wanted[i] as number, 6);
};

/** A document of numbered words of which a few get all the weight. */
function long(count: number, strong: readonly number[], given: Given = {}): Scene {
  const scene = text(given);
  const positions: Position[] = Array.from({ length: count }, (_, index) => ({
    kind: "token",
    label: `w${index}`,
    text: ` w${index}`,
  }));
  const weights = new Float32Array(count);
  for (const index of strong) weights[index] = 1 / strong.length;
  const rows = { numQueries: count, numKeys: count, error: null, row: () => weights };
  const blocks: Blocks = { ...scene.blocks, weights: () => rows, mean: () => weights };
  return { ...scene, queries: positions, keys: positions, blocks };
}

/** The middle of the first stop that has this name. */
function pointAt(scene: Scene, name: string, frame = FRAME): [number, number] {
  const stop = headView.stops(scene, frame).find((one) => one.name.includes(name));
  if (!stop) throw new Error(`nothing is called ${name}`);
  return [stop.rect.x + stop.rect.width / 2, stop.rect.y + stop.rect.height / 2];
}
const hitAt = (scene: Scene, name: string): Hit | null =>
  headView.hit(scene, FRAME, ...pointAt(scene, name));

test("text on every shade can be read, in light and in dark", () => {
  for (const theme of Object.values(themes)) {
    for (const own of [theme.text, theme.special, theme.muted, theme.accent]) {
      for (let shade = 0; shade < 256; shade++) {
        const at = 3 * shade;
        const ground = [...theme.sequential.subarray(at, at + 3)] as unknown as Rgb;
        const ink = parseHex(inkOn(theme.sequential, shade, own));
        expect(contrast(ground, ink)).toBeGreaterThanOrEqual(4.5);
      }
    }
  }
});

test("a pinned query shades what it attends to, a pinned key what attends to it, neither the mean", () => {
  const scene = text();
  close(shadingOf(pinned(scene, { query: 3 }))?.shades, row(scene, 3));
  close(shadingOf(pinned(scene, { key: 2 }))?.shades, column(scene, 2));
  const mean = WORDS.map((_, key) => column(scene, key).reduce((a, b) => a + b) / WORDS.length);
  close(shadingOf(scene)?.shades, mean);
  const several = shadingOf(pinned(scene, { queries: [1, 4] }))?.shades;
  close(
    several,
    WORDS.map((_, k) => ((row(scene, 1)[k] as number) + (row(scene, 4)[k] as number)) / 2),
  );
  const summed = shadingOf(pinned(scene, { keys: [1, 4] }))?.shades;
  close(
    summed,
    WORDS.map((_, q) => (column(scene, 1)[q] as number) + (column(scene, 4)[q] as number)),
  );
});

test("of several heads the mean shades, and each has a bar while they are few", () => {
  const heads = pinned(text({ state: { heads: [0, 2] } }), { query: 3 });
  const plain = text();
  const mean = WORDS.map(
    (_, k) => ((row(plain, 3, 0)[k] as number) + (row(plain, 3, 2)[k] as number)) / 2,
  );
  close(shadingOf(heads)?.shades, mean);
  expect(shadingOf(heads)?.each).toHaveLength(2);
  const colours = new Set(draw(heads).calls.map(({ style }) => style?.fill));
  expect(colours).toContain(heads.theme.head(0, 3));
  expect(colours).toContain(heads.theme.head(2, 3));
  const many = text({ numHeads: 6, state: { heads: [0, 1, 2, 3, 4, 5] } });
  expect(shadingOf(many)?.each).toHaveLength(0);
});

test("without the sink the others share its place; numbers stay", () => {
  const scene = pinned(text({ state: { aside: "first" } }), { query: 3 });
  const own = row(text(), 3);
  const shades = shadingOf(scene)?.shades;
  expect(shades?.[0]).toBe(0);
  expect(shades?.[4]).toBeCloseTo((own[4] as number) / (1 - (own[0] as number)), 6);
  close(shadingOf(scene)?.weights[0], own);
  const backwards = pinned(text({ state: { aside: "first" } }), { key: 2 });
  const one = row(text(), 5);
  const shade = shadingOf(backwards)?.shades[5];
  expect(shade).toBeCloseTo((one[2] as number) / (1 - (one[0] as number)), 6);
});

test("a click pins a query, and read the other way a key; what is pointed at is the other end", () => {
  const scene = text();
  expect(hitAt(scene, "“sat”")).toEqual({ query: 3 });
  const asked = pinned(scene, { query: 8 });
  const hit = hitAt(asked, "“sat”");
  expect(hit).toEqual({ key: 3, pin: { query: 3 } });
  expect(click(asked.state, "head", hit as Hit, false)).toEqual({ queries: [3] });
  const turned = { ...scene, options: { ...scene.options, attendedBy: true } };
  expect(hitAt(turned, "“sat”")).toEqual({ key: 3 });
  expect(hitAt(pinned(turned, { key: 8 }), "“sat”")).toEqual({ query: 3, pin: { key: 3 } });
  expect(drag({ query: 2 }, { query: 4 })).toEqual({ queries: [2, 3, 4] });
});

test("the switch takes the pin along; with both pinned it chooses between them", () => {
  const scene = text();
  expect(hitAt(scene, "is attended by")).toEqual({ action: "attended-by" });
  expect(turnText(pinned(scene, { query: 4 }).state, true)).toEqual({ queries: [], keys: [4] });
  expect(turnText(pinned(scene, { key: 4 }).state, false)).toEqual({ queries: [4], keys: [] });
  expect(turnText(pinned(scene, { query: 4, key: 2 }).state, true)).toEqual({});
  const both = pinned(scene, { query: 4, key: 2 });
  close(shadingOf(both)?.shades, row(scene, 4));
  const turned = { ...both, options: { ...both.options, attendedBy: true } };
  close(shadingOf(turned)?.shades, column(scene, 2));
});

test("pointing at a token shows its row at once, and what was there until it has come", () => {
  const scene = text();
  const hover = { source: "head", query: 6, x: 9, y: 9 } as const;
  close(shadingOf({ ...scene, hover })?.shades, row(scene, 6));
  const rows = { numQueries: 10, numKeys: 10, error: null, row: () => null };
  const waiting = { ...scene, hover, blocks: { ...scene.blocks, weights: () => rows } };
  expect(shadingOf(waiting)?.subject.about).toBe("all");
});

test("two texts: pointing in the one shades the other", () => {
  const scene = attentionScene({ queries: QUERIES, keys: KEYS, state: { form: "text" } });
  expect(hitAt(scene, "query 1")).toEqual({ query: 1 });
  expect(hitAt(scene, "key 3")).toEqual({ key: 3 });
  expect(shadingOf(pinned(scene, { query: 1 }))?.subject.over).toBe("key");
  expect(shadingOf(pinned(scene, { key: 3 }))?.shades).toHaveLength(QUERIES.length);
  const words = draw(pinned(scene, { query: 1 })).calls.map((call) => call.text);
  expect(words).toContain("queries");
  expect(words).toContain("Katze");
});

test("the strip shows one strong token among thousands and jumps to it", () => {
  const scene = long(3000, [2500]);
  const plan = textPlan(scene, FRAME);
  const { strip } = plan;
  if (!strip) throw new Error("a long text has a strip");
  const shades = stripShades(plan, blockOf(plan, "key"), shadingOf(scene)?.shades ?? [], 100);
  expect(Array.from(shades).filter((shade) => shade > 0)).toHaveLength(2);
  const at = shades.findIndex((shade) => shade > 0) / 100;
  const hit = headView.hit(scene, FRAME, strip.x + 3, strip.y + at * strip.height + 1);
  const there: Frame = { ...FRAME, scroll: hit?.scrollTo ?? 0 };
  expect(draw(scene, there).calls.map((call) => call.text)).toContain("w2500");
  expect(headView.reveal?.(scene, there, { query: 2500 })).toBeNull();
  const scroll = headView.reveal?.(scene, FRAME, { query: 2500 }) ?? 0;
  const seen = draw(scene, { ...FRAME, scroll }).calls.map((call) => call.text);
  expect(seen).toContain("w2500");
});

test("chips name the strongest and jump to what is out of sight", () => {
  const scene = long(3000, [1, 2500, 2501]);
  const stops = headView.stops(scene, FRAME);
  const jump = stops.find(({ name }) => name.startsWith("Jump to"));
  expect(jump?.name).toContain("“w2500” (position 2500) 0.333");
  const [x, y] = pointAt(scene, "Jump to → ▼ “w2500”");
  expect(headView.hit(scene, FRAME, x, y)?.scrollTo).toBeGreaterThan(1000);
  expect(stops.length).toBeLessThanOrEqual(80);
});

test("only lines in the window are drawn, whatever the length", () => {
  const count = (scene: Scene) => draw(scene).calls.length;
  expect(count(long(20_000, [5]))).toBeLessThan(1.1 * count(long(2000, [5])));
  expect(headView.contentHeight(long(20_000, [5]), 460, 320)).toBeGreaterThan(20_000);
});

test("the focus walks on through all tokens that are in sight", () => {
  const scene = long(400, [5]);
  const frame = { width: 900, height: 700, scroll: 0 };
  const names = (hovered: number) =>
    headView
      .stops({ ...scene, hover: { source: "keyboard", query: hovered } }, frame)
      .map(({ name }) => name);
  expect(names(0).some((name) => name.startsWith("query 5 "))).toBe(true);
  expect(names(200).some((name) => name.startsWith("query 225 "))).toBe(true);
  expect(names(200).length).toBeLessThanOrEqual(80);
});

test("parts of a conversation, of a pair and what was generated are marked", () => {
  const scene = text();
  const positions = scene.queries.map((position, index) => ({
    ...position,
    role: index < 4 ? "user" : "assistant",
  }));
  const stream = { ...scene.stream, prompt: { queries: 7, keys: 7 } };
  const shown = { ...scene, queries: positions, keys: positions, stream };
  const words = draw(shown).calls.map((call) => call.text);
  for (const mark of ["user", "assistant", "generated"]) expect(words).toContain(mark);
  const pair = scene.queries.map((one, index) => ({ ...one, segment: index < 5 ? 0 : 1 }));
  const two = draw({ ...scene, queries: pair, keys: pair }).calls.map((call) => call.text);
  expect(two).toContain("second text");
});

test("what is not generated yet is faint and without a shade", () => {
  const scene = text();
  const generationStep = { step: 2, numQueries: 6, numKeys: 6 };
  const calls = draw({ ...pinned(scene, { query: 3 }), generationStep }).calls;
  const faint = calls.filter(({ style }) => style?.opacity === 0.28).map((call) => call.text);
  expect(faint).toEqual(WORDS.slice(6));
});

test("a stream of words too long for all its weights says so in place of their mean", () => {
  const scene = long(3000, [7]);
  const generationStep = { step: 0, numQueries: 2000, numKeys: 2000 };
  const words = draw({ ...scene, generationStep }).calls.map((call) => call.text ?? "");
  expect(words.some((word) => word.startsWith("pin a token"))).toBe(true);
});

test("hits are framed, and go round at either end", () => {
  const scene = text();
  const at = found({ text: "the", at: 1 }, scene);
  expect(at?.hits.map(({ first }) => first)).toEqual([1, 5]);
  expect([nextHit(at as never, 1), nextHit(at as never, -1)]).toEqual([0, 0]);
  const frames = draw({ ...scene, found: at }).calls.filter(
    ({ style }) => style?.stroke === scene.theme.positive,
  );
  expect(frames).toHaveLength(2);
  expect(found({ text: " ", at: 0 }, scene)).toBeNull();
  expect(found({ text: "<img onerror=alert(1)>", at: 0 }, scene)?.hits).toEqual([]);
});

test("what attends to a token of a long text is read from columns, in the line of words too", () => {
  const scene = long(3000, [7]);
  const asked: number[] = [];
  const rows = {
    numQueries: 3000,
    numKeys: 3000,
    error: null,
    column: (key: number) => {
      asked.push(key);
      return new Float32Array(3000).map((_, query) => (query === 2999 ? 0.25 : 0));
    },
    row: (query: number): Float32Array => {
      throw new Error(`row ${query} is not wanted`);
    },
  };
  const blocks = { ...scene.blocks, weights: () => rows };
  const hover = { source: "head", query: 2999, x: 30, y: 60 } as const;
  const shown = pinned({ ...scene, blocks, hover }, { key: 12 });
  const words = draw(shown).calls.map((call) => call.text);
  expect(new Set(asked)).toEqual(new Set([12]));
  expect(words).toContain("“w2999” → “w12”");
  expect(words).toContain("0.250");
  expect(readingText(reading(shown, null))).toContain(
    "“w2999” looks at “w12”, 0.250 of its weight.",
  );
  headView.stops(shown, FRAME);
});

test("scales end at round numbers, and the strongest come first", () => {
  expect([0.31, 0.5, 0.0009, 1, 3.2, 0].map(scaleEnd)).toEqual([0.5, 0.5, 0.001, 1, 5, 1]);
  expect(strongest([0.1, 0, 0.4, 0.4, 0.2], 3)).toEqual([2, 3, 4]);
  expect(strongest([0, 0], 3)).toEqual([]);
});
