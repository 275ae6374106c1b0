import type { TemplateResult } from "lit-html";
import { expect, test } from "vitest";
import type { Measure } from "../../../../src/shell/reading/fit-line.js";
import { SAID_SIZE, stands } from "../../../../src/shell/reading/fit-line.js";
import { fittingReading, readingLine } from "../../../../src/shell/reading/reading-line.js";
import { reading } from "../../../../src/shell/reading/reading-text.js";
import { textWidth } from "../../../../src/surface/text.js";
import { attentionScene } from "../../../support/attention-scene.js";

type State = NonNullable<NonNullable<Parameters<typeof attentionScene>[0]>["state"]>;
/** A font as wide as any that a page may have. */
const measure: Measure = (text, size, weight) => 1.2 * textWidth(text, size, "sans", weight);
const LONG = "antidisestablishmentarianism and more";

function longest() {
  const scene = attentionScene({
    numHeads: 12,
    state: { query: 3, queries: [3, 5], heads: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] },
  });
  const named = (positions: typeof scene.keys) =>
    positions.map((each) => ({ ...each, label: LONG }));
  return { ...scene, queries: named(scene.queries), keys: named(scene.keys) };
}

test("a sentence is shortened before it is cut: first its labels, then its heads, its units last", () => {
  const scene = longest();
  const sizes = [1600, 1100, 860, 700, 500, 420, 360].map((width) => {
    const rows = width < 1100 ? 2 : 1;
    const { said } = fittingReading(scene, null, false, { width, rows, measure });
    const size = measure(said.link, SAID_SIZE, "bold") + measure(said.number, SAID_SIZE);
    expect(stands(size, width, rows)).toBe(true);
    // However short it is, it says how much.
    expect(said.number).toMatch(/head 0 “a.*” 0\.\d{3}/);
    return said;
  });
  expect(sizes.at(-1)?.number).toMatch(/and 11 more heads\.$/);
  expect(sizes[0]?.number).toMatch(/of their weight \(mean of 2 queries\)\.$/);
});

test("where there is room, all of it is said", () => {
  const scene = attentionScene({ state: { query: 3, key: 2, heads: [1] } });
  const { said, parts } = fittingReading(scene, null, true, { width: 900, rows: 1, measure });
  expect(said).toEqual(reading(scene, null));
  expect(parts).toBe(said.where.length);
});

/** Everything in a template that is a function, in its order: there is no DOM here. */
function handlers(part: unknown): (() => void)[] {
  if (typeof part === "function") return [part as () => void];
  if (Array.isArray(part)) return part.flatMap(handlers);
  return part && typeof part === "object" && "values" in part
    ? (part as TemplateResult).values.flatMap(handlers)
    : [];
}

/** The markup of a template, without what answers to events. */
function markup(part: unknown): string {
  if (Array.isArray(part)) return part.map(markup).join("");
  if (!part || typeof part !== "object") return typeof part === "string" ? part : "";
  const { strings, values } = part as TemplateResult;
  return strings?.map((text, at) => text + markup(values[at])).join("") ?? "";
}

test("between what is said no dot is left at the end of a row: those that are seen are blanks", () => {
  const scene = attentionScene({ state: { query: 3, key: 2, heads: [1] } });
  const room = { width: 900, rows: 1, measure } as const;
  const line = markup(readingLine(scene, null, room, { change: () => {}, back: null }));
  expect(line.match(/<span class=aw-dot> <\/span>/g)?.length).toBeGreaterThan(0);
  const seen = line
    .replace(/title=.*?>/g, "")
    .replace(/<span class="aw-hidden">[^<]*<\/span>/g, "");
  expect(seen).not.toContain("·");
});

test("another head that is named is shown by itself", () => {
  const state: State = { heads: [0], together: "mean", together_layers: [0, 1] };
  const scene = attentionScene({ state });
  const also = [{ label: "previous", layer: 1, head: 2 }];
  const link = { stream: scene.state.stream, query: null, key: null, weight: 0.5, why: "" };
  const changes: unknown[] = [];
  const line = readingLine(
    scene,
    { ...link, layer: 0, head: 0, also },
    { width: 900, rows: 1, measure },
    { change: (change) => changes.push(change), back: null },
  );
  const [click] = handlers(line);
  click?.();
  expect(changes).toEqual([{ layer: 1, heads: [2], together_layers: null }]);
});

test("what a sentence is about is read once, however often it is shortened", () => {
  const scene = longest();
  const asked: number[] = [];
  const weights = (layer: number, head: number) => {
    asked.push(head);
    return scene.blocks.weights(layer, head);
  };
  const given = { ...scene, blocks: { ...scene.blocks, weights } };
  const { said, whole } = fittingReading(given, null, false, { width: 360, rows: 2, measure });
  expect(whole).toEqual(reading(scene, null));
  expect(said.number.length).toBeLessThan(whole.number.length);
  expect(asked).toEqual(scene.state.heads);
});
