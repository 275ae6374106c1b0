import { describe, expect, test } from "vitest";
import type { Trace, TracedLink, TraceOfView } from "../../../../src/protocol/generated.js";
import { type Scene, tracedHere, withTrace } from "../../../../src/scene/scene.js";
import { whyNoTrace } from "../../../../src/scene/traced.js";
import { reading, readingText } from "../../../../src/shell/reading/reading-text.js";
import { traceForm } from "../../../../src/views/trace/form.js";
import { attentionScene, type Given, WORDS } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const FRAME = { width: 640, height: 480, scroll: 0 };

function link(at: readonly [number, number, number, number], change: number | null): TracedLink {
  const [layer, head, query, key] = at;
  return { layer, head, query, key, weight: 0.9, estimate: -0.4, change };
}
const LINKS = [link([1, 2, 8, 2], -4.97), link([0, 1, 2, 1], -0.76), link([1, 0, 8, 6], null)];

function traceOf(links: readonly TracedLink[] = LINKS, more: Partial<Trace> = {}): Trace {
  return {
    metric: "log p(“purred”)",
    value: -0.738,
    stream: "self",
    labels: [...WORDS],
    layers: [0, 1].map((layer) => ({ layer, num_heads: 3 })),
    starts: [8],
    links: [...links],
    together: null,
    ...more,
  };
}

function foundOf(change: Partial<TraceOfView> = {}): TraceOfView {
  const asked = { stream: "self", threshold: 0.02, budget: 48, call: "view.find_trace()" };
  const place = { at: "it", position: 8, done: 2, of: 3 };
  return { state: "done", message: "", ...asked, ...place, trace: traceOf(), ...change };
}

function sceneOf(given: Given = {}, found: TraceOfView | null = foundOf(), cannot = ""): Scene {
  const state = { form: "trace", layer: 0, heads: [0], ...given.state } as Given["state"];
  return withTrace(attentionScene({ ...given, ...(state ? { state } : {}) }), { found, cannot });
}

const drawn = (scene: Scene, frame = FRAME) => {
  const surface = new RecordingSurface(frame.width, frame.height);
  traceForm.draw(surface, scene, frame);
  return surface;
};
const textsOf = (surface: RecordingSurface) => surface.calls.flatMap(({ text }) => text ?? []);
const middleOf = (scene: Scene, name: string) => {
  const { rect } = traceForm.stops(scene, FRAME).find((stop) => stop.name.includes(name)) as {
    rect: { x: number; y: number; width: number; height: number };
  };
  return [rect.x + rect.width / 2, rect.y + rect.height / 2] as const;
};

test("over a trace by itself the reading line is about the trace, or about a link of it", () => {
  const of = (state: Given["state"], more: Partial<Scene> = {}) => {
    const scene = sceneOf({ state: { view: "head", ...state } });
    return readingText(reading({ ...scene, ...more }, null));
  };
  const all = "log p(“purred”) = −0.74 depends most on 1.2, “it” → “cat”: −5.0 without it.";
  expect(of({})).toBe(all);
  // A head, or a link, that is not in the trace is none of what is on show.
  expect(of({ layer: 0, heads: [1], query: 5, key: 1 })).toBe(all);
  expect(of({ layer: 1, heads: [2], query: 8, key: 2 })).toContain("“it” looks at “cat”");
  expect(of({}, { hover: { source: "head", query: 5, key: 4 } })).toContain("looks at");
  // Beside other views it stays with what they show.
  expect(of({ view: "all" })).not.toContain("depends most on");
  expect(of({ form: "lines" })).not.toContain("depends most on");
});

describe("what is pointed at and selected", () => {
  test("a link is found by its label and by its path, and selects all four of its places", () => {
    const scene = sceneOf();
    const [x, y] = middleOf(scene, "layer 1 head 2");
    const wanted = { layer: 1, head: 2, query: 8, key: 2, pin: { query: 8, key: 2 } };
    expect(traceForm.hit(scene, FRAME, x, y)).toEqual({ ...wanted, action: "choose-link" });
    // Scrolled by so much it lies so much higher.
    const scrolled = { ...FRAME, scroll: 20 };
    expect(traceForm.hit(scene, scrolled, x, y - 20)).toMatchObject(wanted);
    const path = drawn(scene).calls.filter(
      ({ group, kind }) => group === "links" && kind === "path",
    );
    // Its end at the query: above all labels.
    const [, , , , , , left = 0, top = 0] = path.at(-1)?.numbers ?? [];
    expect(traceForm.hit(scene, FRAME, left, top + 1)?.layer).toBe(1);
    expect(traceForm.hit(scene, FRAME, 2, 60)).toBeNull();
  });

  test("a token under the links is a query", () => {
    const scene = sceneOf();
    const [x = 0, y = 0] = drawn(scene).calls.find(({ text }) => text === "cat")?.numbers ?? [];
    expect(traceForm.hit(scene, FRAME, x, y + 2)).toEqual({ query: 2, pin: { query: 2 } });
  });

  test("the selected link has a halo, the one that is pointed at another, and all else is faint", () => {
    const paths = (scene: Scene) =>
      drawn(scene).calls.filter(({ group, kind }) => group === "links" && kind === "path");
    expect(paths(sceneOf())).toHaveLength(3);
    const pins = { layer: 1, heads: [2], queries: [8], keys: [2] } as Given["state"];
    const selected = sceneOf({ ...(pins ? { state: pins } : {}) });
    expect(paths(selected)).toHaveLength(4);
    const faint = (scene: Scene) =>
      paths(scene).filter(({ style }) => style?.opacity === 0.3 && style?.dash === undefined);
    // The halo itself.
    expect(faint(selected)).toHaveLength(1);
    const hover = { source: "neuron", layer: 0, head: 1 } as const;
    const pointed = paths(sceneOf({ hover }));
    expect(pointed).toHaveLength(4);
    expect(pointed.filter(({ style }) => style?.opacity === 0.88)).toHaveLength(1);
    // A layer alone singles nothing out.
    expect(paths(sceneOf({ hover: { source: "model", layer: 0 } }))).toHaveLength(3);
  });

  test("each link is a stop with what it is and what it changes; those out of sight are none", () => {
    const names = traceForm.stops(sceneOf(), FRAME).map(({ name }) => name);
    expect(names).toEqual([
      "layer 1 head 2: “it” → “cat”, −5.0 without it",
      "layer 0 head 1: “cat” → “the”, −0.76 without it",
      "layer 1 head 0: “it” → “mat”, about −0.40 without it",
    ]);
    expect(traceForm.stops(sceneOf(), { ...FRAME, height: 90 })).toHaveLength(2);
  });

  test("a place that the record lacks, as the end of an answer, is not selected", () => {
    const far = traceOf([link([1, 1, WORDS.length, 2], -1)], { labels: [...WORDS, "purred"] });
    const [stop] = traceForm.stops(sceneOf({}, foundOf({ trace: far })), FRAME);
    expect(stop).toMatchObject({ layer: 1, head: 1, key: 2, pin: { key: 2 } });
    expect(stop).not.toHaveProperty("query");
  });

  test("a selection from elsewhere is scrolled to", () => {
    const state = { layer: 0, heads: [1], queries: [2], keys: [1] } as Given["state"];
    const scene = sceneOf({ ...(state ? { state } : {}) });
    expect(traceForm.reveal?.(scene, FRAME, {})).toBeNull();
    expect(traceForm.reveal?.(scene, { ...FRAME, height: 60 }, {})).toBeGreaterThan(20);
  });
});

describe("what is drawn", () => {
  test("solid what was cut, dashed the estimates, and one legend under it", () => {
    const surface = drawn(sceneOf());
    const dashed = surface.calls.filter(({ style }) => style?.dash !== undefined);
    expect(dashed).toHaveLength(1);
    const texts = textsOf(surface);
    expect(texts).toContain("log p(“purred”) = −0.74");
    expect(texts.filter((text) => text.startsWith("Path: from the key"))).toHaveLength(1);
    expect(texts.some((text) => text.startsWith("Solid: the model was run"))).toBe(true);
  });

  test.each([260, 420, 900, 1400])("at %i pixels nothing leaves the view", (width) => {
    const frame = { ...FRAME, width };
    const scene = sceneOf();
    for (const { text, numbers, kind } of drawn(scene, frame).calls) {
      expect(numbers.every(Number.isFinite), text ?? kind).toBe(true);
      if (kind === "circle") {
        expect(numbers[0]).toBeGreaterThanOrEqual(0);
        expect(numbers[0]).toBeLessThanOrEqual(width);
      }
    }
    expect(traceForm.contentHeight(scene, width, 400)).toBeGreaterThan(200);
  });

  test("the card under the pointer has change, estimate, weight and distance", () => {
    const [x, y] = middleOf(sceneOf(), "layer 1 head 2");
    const hover = { source: "head", layer: 1, head: 2, query: 8, key: 2, x, y } as const;
    const texts = textsOf(drawn(sceneOf({ hover })));
    for (const text of ["−5.0", "≈ −0.40", "0.9", "6 back"]) expect(texts).toContain(text);
  });

  test("positions that are left out say so where one points, and to who reads the page aloud", () => {
    const labels = Array.from({ length: 60 }, (_, at) => `w${at}`);
    const trace = traceOf([link([1, 2, 58, 40], -4.97)], { labels, starts: [58] });
    const scene = sceneOf({ queries: labels, keys: labels }, foundOf({ trace }));
    const stops = traceForm.stops(scene, FRAME);
    const why = "no link of this trace begins or ends there";
    expect(stops.filter(({ onlyRead }) => onlyRead).map(({ name }) => name)).toEqual([
      `positions 0 to 39 are left out: ${why}`,
      `positions 41 to 57 are left out: ${why}`,
    ]);
    const { rect } = stops.find(({ name }) => name.startsWith("positions 41")) as {
      rect: { x: number; y: number; width: number; height: number };
    };
    const [x, y] = [rect.x + rect.width / 2, rect.y + rect.height / 2];
    // Something is to be told there, and nothing to be pressed.
    expect(traceForm.hit(scene, FRAME, x, y)).toEqual({});
    const texts = textsOf(drawn({ ...scene, hover: { source: "head", x, y } }));
    expect(texts).toContain("positions 41 to 57 are left out");
    expect(texts).toContain(why);
    expect(texts.some((text) => text.startsWith("“w41 w42 w43"))).toBe(true);
  });

  test("of links that are not all here it says how many there are", () => {
    const together = { traced: -5, every: -4 };
    const texts = textsOf(
      drawn(sceneOf({}, foundOf({ trace: traceOf(LINKS, { count: 90, together }) }))),
    );
    expect(texts).toContain("Drawn: the 3 largest of 90 links.");
    expect(texts.some((text) => text.startsWith("All 90 cut at once"))).toBe(true);
  });

  test("without links it says why", () => {
    const said = (found: TraceOfView | null, cannot = "") =>
      textsOf(drawn(sceneOf({}, found, cannot))).join(" ");
    expect(said(null, "No model here.")).toBe("No model here.");
    expect(said(null)).toBe("Nothing is traced yet.");
    expect(said(foundOf({ state: "running", trace: null }))).toBe("running the model …");
    expect(said(foundOf({ state: "refused", trace: null }))).toBe("Nothing is traced.");
    expect(said(foundOf({ trace: traceOf([]) }))).toContain("no link that it depends on");
    // One of another stream is none of this one.
    expect(tracedHere(sceneOf({}, foundOf({ stream: "cross" })))).toBeNull();
  });
});

test("why nothing can be traced: what is compared, no kernel, one that is gone, or what it says", () => {
  expect(whyNoTrace("there", "", true)).toContain("Several records are compared");
  expect(whyNoTrace("none", "", false)).toContain("a saved copy");
  expect(whyNoTrace("gone", "", false)).toContain("The kernel has stopped");
  expect(whyNoTrace("there", "Edits are in force.", false)).toBe("Edits are in force.");
  expect(whyNoTrace("there", "", false)).toBe("");
});
