import { describe, expect, it } from "vitest";
import type { BlockResult, Blocks } from "../../../../src/data/blocks.js";
import { requestKey } from "../../../../src/data/requests.js";
import { BlockStore } from "../../../../src/data/store.js";
import { streamBlocks } from "../../../../src/data/stream-blocks.js";
import type { HeadsRequest, Request } from "../../../../src/protocol/generated.js";
import type { Scene } from "../../../../src/scene/scene.js";
import { rankByPins, setScore, setStream, stepRank } from "../../../../src/state/actions.js";
import type { State } from "../../../../src/state/selection.js";
import { clampTo } from "../../../../src/state/signals.js";
import { layoutViews } from "../../../../src/views/layout.js";
import {
  boardOf,
  hasQuietLabels,
  rankedRefs,
  rankingTitle,
  readScore,
  scoreScaleEnd,
  weightNote,
  whyNoScore,
} from "../../../../src/views/model/head-scores.js";
import { modelView } from "../../../../src/views/model/view.js";
import { examplesView } from "../../../../src/views/survey/view.js";
import { attentionScene, SCORES } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";

const [LAYERS, HEADS] = [2, 3];
/** previous of six heads; the second is not defined. */
const PREVIOUS = [0.1, Number.NaN, 0.4, 0.3, 0.9, 0.3];
const WITHOUT = PREVIOUS.map((value) => value / 2);
const BROAD = [0.5, 0.6, 0.7, 0.8, 0.9, 1];

function block(shape: number[], data: readonly number[]): BlockResult {
  return { shape, data: Float32Array.from(data) };
}

function interleaved(columns: readonly (readonly number[])[]): number[] {
  return PREVIOUS.flatMap((_, head) => columns.map((column) => column[head] as number));
}

const never = PREVIOUS.map(() => Number.NaN);
const scores = block(
  [2, 6, 3],
  [...interleaved([PREVIOUS, never, BROAD]), ...interleaved([WITHOUT, never, BROAD])],
);
// The third head is a "sentence end" head.
const labels = block([6, 2], [-1, 0, -1, 0, 1, 0.75, -1, 0, 0, 0.9, -1, 0]);
const spreads = block(
  [2, 6, 3],
  Array.from({ length: 36 }, () => 0.125),
);
/** Two places for each head: its own number and the next one; the last head has only one. */
const typical = block(
  [2, 6, 2],
  [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, -1, ...Array.from({ length: 12 }, (_, i) => 1 - i / 20)],
);
const ranking = block([6], [0, 0.2, 0.1, 0, 0, 0.99]);
const answers: Record<HeadsRequest["what"], BlockResult> = {
  head_scores: scores,
  head_labels: labels,
  ranking,
  head_spreads: spreads,
  typical,
  contexts: block([0], []),
};

function scene(
  state: Partial<State>,
  rest: object = {},
  headNumbers: Blocks["heads"] = ({ what }) => answers[what],
): Scene {
  return attentionScene({ numLayers: LAYERS, numHeads: HEADS, headNumbers, state, ...rest });
}

const draw = (given: Scene, width = 434, height = 500, scroll = 0) => {
  const surface = new RecordingSurface(width, height);
  modelView.draw(surface, given, { width, height, scroll });
  return surface;
};
const frame = { width: 434, height: 500, scroll: 0 };

describe("the board", () => {
  it("is not there without a score, and asks for nothing but labels, after all else", () => {
    const asked: string[] = [];
    const given = scene({}, {}, ({ what }, when) => {
      asked.push(`${what} ${when}`);
      return null;
    });
    expect(boardOf(given)).toBeNull();
    draw(given);
    expect(new Set(asked)).toEqual(new Set(["head_labels later"]));
  });

  it("ranks heads best first, equal ones in the model's order, undefined ones last", () => {
    const board = boardOf(scene({ score: "previous" }));
    expect(board?.order.map(({ layer, head }) => [layer, head])).toEqual([
      [1, 1],
      [0, 2],
      [1, 0],
      [1, 2],
      [0, 0],
      [0, 1],
    ]);
    expect(board?.most).toBe(1);
    expect(board?.shade(4)).toBe(229);
    expect(board?.shade(1)).toBeNull();
  });

  it("reads the scores without the sink from the second half", () => {
    const board = boardOf(scene({ score: "previous", aside: "first and special" }));
    expect(board?.values[4]).toBeCloseTo(0.45);
    expect(board?.most).toBe(0.5);
  });

  it("counts the heads that reach the threshold; those without the score do not", () => {
    const board = boardOf(scene({ score: "previous", threshold: 0.3 }));
    // 0.3 in float32 is a little more than 0.3.
    expect(board?.remaining).toBe(4);
    expect(board && rankedRefs(board)).toEqual([
      [1, 1],
      [0, 2],
      [1, 0],
      [1, 2],
    ]);
    expect(board?.isOut(1)).toBe(true);
  });

  it("gives a head at most one label", () => {
    const board = boardOf(scene({ score: "broad" }));
    expect(board?.label(2)).toEqual({ text: "sentence end", value: 0.75 });
    expect(board?.label(0)).toBeNull();
  });

  it("says why there is none: not yet, not here, not at all", () => {
    expect(whyNoScore(scene({ score: "previous" }, {}, () => null))).toBe("scoring 6 heads …");
    const failed = scene({ score: "previous" }, {}, () => ({ error: "out of memory" }));
    expect(whyNoScore(failed)).toBe("previous: out of memory");
    expect(whyNoScore(scene({ score: "sentence" }))).toMatch(/sentence end: no query sees/);
    const base = scene({ score: "previous" });
    const stream = { ...base.stream, absent: { previous: "the positions have no text." } };
    expect(whyNoScore({ ...base, stream })).toBe("previous: the positions have no text.");
  });

  it("ends the colours at a round number", () => {
    expect(scoreScaleEnd(Float32Array.of(0.01, Number.NaN))).toBe(0.02);
    expect(scoreScaleEnd(Float32Array.of(0.21))).toBe(0.5);
    expect(scoreScaleEnd(Float32Array.of(1.2))).toBe(1);
    expect(scoreScaleEnd(Float32Array.of())).toBe(0.02);
  });
});

describe("a ranking by links", () => {
  const links = { queries: [9], keys: [2] };
  it("is called by its tokens", () => {
    const given = scene({});
    expect(rankingTitle(given, links)).toBe("“was” → “cat”");
    expect(rankingTitle(given, { queries: null, keys: [1, 2, 3] })).toBe(
      "all → “the”, “cat” and 1 more",
    );
    expect(rankingTitle(given, { pattern: "mine", number: 0 })).toBe("mine");
    const groups = { grouping: "segment", from: "A", to: null };
    expect(rankingTitle(given, groups)).toBe("A → all");
  });

  it("colours heads by the weight of the links", () => {
    const board = boardOf(scene({ score: "ranking", ranking: links, aside: "first and special" }));
    expect(board?.score.title).toBe("weight of “was” → “cat”");
    expect(board?.order[0]).toMatchObject({ layer: 1, head: 2 });
  });

  it("comes from the pins, and goes with the stream", () => {
    const { state, meta } = scene({ query: 9, key: 2 });
    const change = rankByPins(state);
    expect(change).toEqual({ ranking: links, score: "ranking", arrange: "rank" });
    const several = { ...state, queries: [], keys: [3, 2] };
    expect(rankByPins(several).ranking).toEqual({ queries: null, keys: [2, 3] });
    expect(rankByPins({ ...state, keys: [] })).toEqual({});
    expect(rankByPins({ ...state, arrange: "scatter" }).arrange).toBeUndefined();
    const gone = setStream(meta, { ...state, ...change }, "self");
    expect([gone.ranking, gone.score]).toEqual([null, null]);
    const far = { ...state, ...change, ranking: { queries: [99], keys: [2] } };
    expect(clampTo(meta, far).score).toBeNull();
  });
});

it("scores and ranks what is drawn, and says what that is", () => {
  const asked: unknown[] = [];
  const ranking = { queries: [9], keys: [2] };
  const state: Partial<State> = { score: "previous", measure: "norm", ranking };
  const given = scene(state, {}, (request) => {
    asked.push(request);
    return answers[request.what];
  });
  expect(draw(given).texts.join(" ")).toContain("of all ‖αf(x)‖");
  expect(asked).toContainEqual({ what: "head_scores", measure: "norm" });
  expect(asked).toContainEqual({ what: "head_labels", measure: "norm" });
  const ranked = { ...given, state: { ...given.state, score: "ranking" } };
  expect(boardOf(ranked)?.score.title).toBe("‖αf(x)‖ of “was” → “cat”");
  expect(asked).toContainEqual({ what: "ranking", measure: "norm", ranking });
  const rest = { ...ranked, state: { ...ranked.state, aside: "first" as const } };
  readScore(rest, "ranking");
  expect(asked).toContainEqual({ what: "ranking", measure: "norm", ranking, aside: "first" });
  expect(weightNote(rest, "ranking")).toContain("set aside");
  expect(weightNote(ranked, "ranking")).toContain("of all");
});

describe("actions on scores", () => {
  it("without a score there is nothing to order or filter by", () => {
    expect(setScore(null, "broad")).toEqual({ score: null, arrange: "layers", threshold: null });
    expect(setScore("broad", "previous")).toEqual({ score: "broad" });
    // In their own units a threshold of effects is none of shares, and the other way round.
    expect(setScore("effect", "broad")).toEqual({ score: "effect", threshold: null });
    expect(setScore("broad", "effect")).toEqual({ score: "broad", threshold: null });
    expect(setScore("effect", "effect")).toEqual({ score: "effect" });
  });

  it("step along a ranking and stop at its ends", () => {
    const board = boardOf(scene({ score: "previous" }));
    const order = board ? rankedRefs(board) : [];
    const { state } = scene({ layer: 1, heads: [1] });
    expect(stepRank(state, order, 1)).toEqual({ layer: 0, heads: [2] });
    expect(stepRank(state, order, -1)).toEqual({ layer: 1, heads: [1] });
    expect(stepRank(state, [], 1)).toEqual({});
    const several = { ...state, together_layers: [0, 1] } as typeof state;
    expect(stepRank(several, order, 1)).toEqual({ layer: 0, heads: [2], together_layers: null });
  });
});

describe("the model view with a score", () => {
  it.each(["layers", "rank", "rank_by_layer", "scatter"] as const)(
    "%s: a hit is what was drawn, every head a stop, every number one",
    (arrange) => {
      for (const width of [300, 434, 1300]) {
        const given = scene({ score: "broad", other_score: "previous", arrange, heads: [1] });
        const at = { ...frame, width };
        const stops = modelView.stops(given, at);
        // One head has no "previous", and so no dot.
        expect(stops).toHaveLength(arrange === "scatter" ? 5 : 6);
        for (const { layer, head, rect } of stops) {
          const hit = modelView.hit(given, at, rect.x + rect.width / 2, rect.y + rect.height / 2);
          expect(hit).toEqual({ layer, head });
          expect(rect.x + rect.width).toBeLessThanOrEqual(width);
        }
        const hover = { source: "keyboard", layer: 1, head: 2 } as const;
        const surface = draw({ ...given, hover }, width);
        expect(surface.broken).toEqual([]);
        expect(surface.texts).toContain("broad");
        expect(surface.texts.join(" ")).toContain("of all weight");
        expect(surface.texts).toContain("layer 1 · head 2");
      }
    },
  );

  it("names say score, label and threshold", () => {
    const given = scene({ score: "previous", threshold: 0.5 });
    const names = modelView.stops(given, frame).map(({ name }) => name);
    expect(names[2]).toMatch(
      /^layer 0 head 2, previous 0\.400, label sentence end 0\.750, below the threshold/,
    );
    expect(names[1]).toMatch(/^layer 0 head 1, below the threshold/);
  });

  it("each layer's heads stand in their ranking", () => {
    const given = scene({ score: "previous", arrange: "rank_by_layer" });
    const stops = modelView.stops(given, frame);
    const row = stops.filter(({ layer }) => layer === 1).sort((a, b) => a.rect.x - b.rect.x);
    expect(row.map(({ head }) => head)).toEqual([1, 0, 2]);
  });

  it("of a ranking a figure of a screen has whole lines only, and says which part that is", () => {
    const drawing = {
      paper: false,
      panel: false,
      axes: true,
      legend: true,
      threshold: 0,
      horizontal: false,
      rightToLeft: false,
    };
    const given = scene({ score: "previous", arrange: "rank" });
    const names = (surface: RecordingSurface) =>
      surface.texts.filter((text) => /^\d·\d$/.test(text));
    // Two columns: three lines of two heads, of which the last one is cut.
    const [width, height] = [130, 260];
    expect(names(draw(given, width, height))).toHaveLength(6);
    const figure = draw({ ...given, drawing }, width, height);
    expect(names(figure)).toHaveLength(4);
    expect(figure.texts.join(" ")).toContain("the first 4 of 6 heads");
    const later = draw({ ...given, drawing }, width, height, 60);
    expect(names(later)).toEqual(names(draw(given, width, 2000)).slice(2, 6));
    expect(later.texts.join(" ")).toContain("places 3–6 of 6 heads");
    // Whole where there is room, and on paper always.
    for (const whole of [
      draw({ ...given, drawing }, width, 400),
      draw({ ...given, drawing: { ...drawing, paper: true } }, width, 330),
    ]) {
      expect(names(whole)).toHaveLength(6);
      expect(whole.texts.join(" ")).not.toContain("of 6 heads");
    }
  });

  it("one ranking leaves out who does not reach the threshold, and says how many do", () => {
    const given = scene({ score: "previous", arrange: "rank", threshold: 0.35 });
    expect(modelView.stops(given, frame).map(({ layer, head }) => [layer, head])).toEqual([
      [1, 1],
      [0, 2],
    ]);
    const { texts } = draw(given);
    expect(texts).toEqual(expect.arrayContaining(["1·1", "0.90", "0·2", "0.40"]));
    expect(texts.join(" ")).toContain("2 of 6 heads reach 0.35");
  });

  it("a faint head keeps its place but is nearly the page", () => {
    const pixels = (given: Scene) => {
      const image = draw(given).calls.find(
        ({ kind, group }) => kind === "image" && group === "heads",
      );
      if (!image?.pixels) throw new Error("no picture");
      return image.pixels.data;
    };
    const mean = (data: Uint8ClampedArray) => data.reduce((sum, v) => sum + v, 0) / data.length;
    const all = pixels(scene({ score: "previous" }));
    const few = pixels(scene({ score: "previous", threshold: 1 }));
    expect(few.length).toBe(all.length);
    expect(mean(few)).toBeGreaterThan(mean(all));
    expect(pixels(scene({}))).not.toEqual(all);
  });

  it("stays as it is while heads are scored, and says so", () => {
    for (const arrange of ["layers", "rank", "scatter"] as const) {
      const given = scene({ score: "previous", arrange }, {}, () => null);
      expect(draw(given).texts).toContain("scoring 6 heads …");
      expect(modelView.stops(given, frame)).toHaveLength(6);
    }
  });

  it("a scatter marks the threshold and names the selected head", () => {
    const given = scene({
      score: "previous",
      arrange: "scatter",
      threshold: 0.5,
      layer: 1,
      heads: [0],
    });
    const surface = draw(given);
    expect(surface.texts).toContain("1·0");
    // Without a choice the last score stands across.
    expect(surface.texts).toContain(SCORES.at(-1)?.label);
    expect(surface.texts.join(" ")).toContain("1 heads without one of the scores are left out");
  });
});

describe("the store", () => {
  it("asks for scores and labels together, apart from weights", async () => {
    const asked: (readonly Request[])[] = [];
    const never = new Promise<readonly BlockResult[]>(() => {});
    const store = new BlockStore(
      (requests) => {
        asked.push(requests);
        return never;
      },
      () => {},
    );
    const { stream } = scene({});
    const blocks = streamBlocks(store, stream, { numQueries: 5, numKeys: 7 });
    blocks.weights(0, 1).row(2);
    blocks.heads({ what: "head_scores" });
    blocks.heads({ what: "head_labels" });
    store.flush();
    expect(asked.map((batch) => batch.map(requestKey))).toEqual([
      ["weights/self/0/1/0-5/"],
      ["head_scores/self//", "head_labels/self//"],
    ]);
    blocks.heads({ what: "ranking", ranking: { queries: [1], keys: [2] } });
    expect(store.missing.map(requestKey)).toEqual(['ranking/self//{"queries":[1],"keys":[2]}']);
    // What is set aside makes other numbers of the same name.
    const keys = [null, "first", [2]].map((aside) =>
      requestKey({ what: "head_scores", stream: "self", ...(aside ? { aside } : {}) } as Request),
    );
    expect(new Set(keys).size).toBe(3);
  });
});

describe("a survey", () => {
  const survey = { inputs: 12, can_open: true, texts: { "4": "the cat sat", "5": "<b>a dog</b>" } };
  /** As the kernel describes one without a record: no positions. */
  function bareScene(state: Partial<State> = {}, more: object = {}): Scene {
    const base = scene({ score: "previous", ...state });
    const meta = { ...base.meta, positions: [[]], survey: { ...survey, ...more } };
    const thumbnails = Object.assign(Object.create(base.thumbnails), { top: () => null });
    return { ...base, meta, queries: [], keys: [], thumbnails };
  }

  it("shows its heads and examples, and no view of weights", () => {
    const names = layoutViews(bareScene(), 1200).boxes.map(({ view }) => view.name);
    expect(names).toEqual(["model", "examples"]);
    const open = layoutViews(bareScene({}, { example: 4 }), 1200).boxes;
    expect(open.map(({ view }) => view.name)).toEqual(["model", "examples", "head", "neuron"]);
  });

  it("says that scores are means, and their spread", () => {
    const hover = { source: "model", layer: 1, head: 1, x: 100, y: 100 } as const;
    const surface = draw({ ...bareScene(), hover });
    expect(surface.texts.join(" ")).toContain("mean over 12 inputs · of all weight");
    expect(surface.texts).toContain("previous 0.900 ± 0.125 · 1 of 6");
    expect(surface.calls.some(({ kind, group }) => kind === "image" && group === "card")).toBe(
      false,
    );
    expect(surface.broken).toEqual([]);
  });

  it("is coloured even without a choice: there is nothing else to see", () => {
    expect(boardOf(bareScene({ score: null }))?.score.name).toBe("previous");
  });

  it("lists a head's examples, to be opened by a click", () => {
    const given = bareScene({ layer: 1, heads: [1] });
    const surface = new RecordingSurface(500, 300);
    examplesView.draw(surface, given, { width: 500, height: 300, scroll: 0 });
    expect(surface.texts).toEqual([
      "layer 1 · head 1 · previous",
      "0.600",
      "the cat sat",
      "0.550",
      "<b>a dog</b>",
    ]);
    const stops = examplesView.stops(given, { width: 500, height: 300, scroll: 0 });
    expect(stops.map(({ example, name }) => [example, name])).toEqual([
      [4, "example 4, 0.600, the cat sat"],
      [5, "example 5, 0.550, <b>a dog</b>"],
    ]);
    for (const { rect, example } of stops) {
      const at = { width: 500, height: 300, scroll: 0 };
      const hit = examplesView.hit(given, at, rect.x + 20, rect.y + rect.height / 2);
      expect(hit).toEqual({ action: "open-example", example });
    }
  });

  it("says how to open one where it cannot, and which text it does not hold", () => {
    const given = bareScene({ layer: 1, heads: [2] }, { can_open: false, texts: {} });
    const surface = new RecordingSurface(500, 300);
    examplesView.draw(surface, given, { width: 500, height: 300, scroll: 0 });
    expect(surface.texts).toContain("input 5: survey.texts[5]");
    expect(surface.texts).toContain("to open one: survey.view(model, tokenizer)");
    // Nothing there looks as if it could be clicked; the text is read out all the same.
    const at = { width: 500, height: 300, scroll: 0 };
    const [stop, ...others] = examplesView.stops(given, at);
    expect(stop).toMatchObject({ onlyRead: true });
    expect(stop?.name).toMatch(/^example 5, .*, input 5: survey\.texts\[5\]$/);
    expect(stop).not.toHaveProperty("action");
    expect(others.every(({ onlyRead }) => onlyRead)).toBe(true);
    expect(examplesView.hit(given, at, 90, 40)).toBeNull();
    const open = bareScene({ layer: 1, heads: [2] }, { can_open: false, example: 5 });
    expect(examplesView.stops(open, at).map(({ example }) => example)).toEqual([5]);
  });
});

describe("filters", () => {
  it.each(["layers", "rank_by_layer", "rank", "scatter"] as const)(
    "%s: heads below the threshold are gone, and the gaps closed",
    (arrange) => {
      const state = { score: "previous", other_score: "broad", arrange, threshold: 0.3 };
      const faint = scene(state);
      const hidden = scene({ ...state, below_threshold: "hidden" });
      const heads = (given: Scene) =>
        modelView.stops(given, frame).map(({ layer, head }) => [layer, head]);
      const remain = [
        [0, 2],
        [1, 0],
        [1, 1],
        [1, 2],
      ];
      expect(heads(hidden).sort()).toEqual(remain);
      // Five have the score; only a ranking ever leaves some of them out.
      expect(heads(faint)).toHaveLength(
        { layers: 6, rank_by_layer: 6, rank: 4, scatter: 5 }[arrange],
      );
      expect(draw(hidden).texts.join(" ")).toContain("4 of 6 heads reach 0.30");
      expect(draw(hidden).broken).toEqual([]);
    },
  );

  it("closes gaps from the left, and says which head is which", () => {
    const given = scene({ score: "previous", threshold: 0.3, below_threshold: "hidden" });
    const [first] = modelView.stops(given, frame);
    const left = modelView.stops(scene({ score: "previous" }), frame)[0];
    expect(first).toMatchObject({ layer: 0, head: 2 });
    expect(first?.rect.x).toBe(left?.rect.x);
    const { texts } = draw(given);
    expect(texts).toContain("heads that remain");
    expect(texts).toContain("2");
  });

  it("of some layers: the others count for nothing, in whatever order heads stand", () => {
    for (const arrange of ["layers", "rank_by_layer", "rank", "scatter"] as const) {
      const given = scene({ score: "broad", arrange, show_layers: [1] });
      const stops = modelView.stops(given, frame);
      expect(stops.map(({ layer }) => layer)).toEqual([1, 1, 1]);
      expect(boardOf(given)?.heads).toHaveLength(3);
    }
  });

  it("leaves nothing but words where no head remains", () => {
    const given = scene({ score: "previous", threshold: 1, below_threshold: "hidden" });
    expect(modelView.stops(given, frame)).toEqual([]);
    expect(modelView.hit(given, frame, 200, 200)).toBeNull();
    const surface = draw(given);
    expect(surface.broken).toEqual([]);
    expect(surface.texts.join(" ")).toContain("0 of 6 heads reach 1.00");
  });
});

describe("a measure that a record of weights alone does not have", () => {
  it("is asked of nobody, and says why where a score is chosen", () => {
    const asked: string[] = [];
    const given = scene({ measure: "norm", score: "previous" }, {}, ({ what }) => {
      asked.push(what);
      return answers[what];
    });
    const layers = given.stream.layers.map((layer) => ({
      ...layer,
      missing: { norm: "the record has weights alone." },
    }));
    const bare = { ...given, stream: { ...given.stream, layers } };
    expect(hasQuietLabels(bare)).toBe(false);
    expect(boardOf(bare)).toBeNull();
    expect(whyNoScore(bare)).toContain("the record has weights alone.");
    expect(asked).toEqual([]);
    // Of a record that has it, both are asked for.
    expect(hasQuietLabels(given)).toBe(true);
    expect(boardOf(given)).not.toBeNull();
    expect(new Set(asked)).toEqual(new Set(["head_labels", "head_scores"]));
  });
});
