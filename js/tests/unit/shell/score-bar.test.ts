import { nothing, type TemplateResult } from "lit-html";
import { expect, test } from "vitest";
import type { EffectsOfHeads } from "../../../src/protocol/generated.js";
import { editedOf } from "../../../src/scene/edited.js";
import { recordScene } from "../../../src/scene/scene.js";
import { type ScoreEvents, scoreBar, scoreChoice } from "../../../src/shell/score-bar.js";
import { attentionScene, type Given } from "../../support/attention-scene.js";

const EFFECTS: EffectsOfHeads = {
  state: "done",
  message: "",
  metric: "log p(“was”)",
  how: "zero",
  at: "it",
  position: 8,
  streams: {
    self: {
      values: [
        [0.25, -4.68, 0],
        [0, -0.02, 1],
      ],
      exact: [
        [true, true, true],
        [true, true, true],
      ],
    },
  },
  done: 6,
  of: 6,
};

function sceneOf(effects: EffectsOfHeads | null, state: Given["state"] = {}) {
  const scene = attentionScene({ state });
  return recordScene({ ...scene, edited: editedOf([], null, effects) });
}
function events(effects: ScoreEvents["effects"], change: ScoreEvents["change"] = () => {}) {
  return { change, rank: () => {}, effects, canRank: false, progress: null };
}

type Part = TemplateResult | typeof nothing;
/** What a template would be as HTML, near enough, and what its lists do when something is chosen. */
function read(part: Part) {
  const handlers: ((event: unknown) => void)[] = [];
  const written = (one: unknown): string => {
    if (one === nothing || one === null) return "";
    if (typeof one === "function") {
      handlers.push(one as (event: unknown) => void);
      return "";
    }
    if (Array.isArray(one)) return one.map(written).join("");
    if (typeof one !== "object") return String(one);
    const { strings, values } = one as TemplateResult;
    return strings.map((text, at) => text + written(values[at] ?? nothing)).join("");
  };
  const html = written(part);
  const options = [...html.matchAll(/value=(\S+)[^>]*>\s*([^<]*?)\s*<\/option>/gs)];
  return {
    handlers,
    texts: new Map(options.map(([, value, text]) => [value, text])),
  };
}

test("effects are a score of the menu before they are known, with what they cost, and begin when chosen", () => {
  const asked: string[] = [];
  const { texts, handlers } = read(
    scoreChoice(
      sceneOf(null),
      events((as) => asked.push(as)),
    ),
  );
  expect(texts.get("effect")).toBe("effect (runs the model 6 times)");
  handlers[0]?.({ target: { value: "effect" } });
  expect(asked).toEqual(["score"]);
  expect(read(scoreChoice(sceneOf(null), events(null))).texts.has("effect")).toBe(false);
  const scene = sceneOf(null);
  const both = { ...scene, sides: [scene.blocks, scene.blocks] };
  expect(
    read(
      scoreChoice(
        both,
        events(() => {}),
      ),
    ).texts.has("effect"),
  ).toBe(false);
});

test("once they are known their name is the score's, and choosing it drops a threshold of other units", () => {
  const changes: unknown[] = [];
  const { texts, handlers } = read(
    scoreChoice(
      sceneOf(EFFECTS, { score: "broad", threshold: 0.5 }),
      events(null, (change) => changes.push(change)),
    ),
  );
  expect(texts.get("effect")).toBe("effect on “was”");
  handlers[0]?.({ target: { value: "effect" } });
  expect(changes).toEqual([{ score: "effect", threshold: null }]);
});

test("the other axis of a scatter may be effects, known or to be found", () => {
  const asked: string[] = [];
  const scatter = { score: "broad", arrange: "scatter" as const };
  const { handlers } = read(
    scoreBar(
      sceneOf(null, scatter),
      events((as) => asked.push(as)),
    ),
  );
  handlers[1]?.({ target: { value: "effect" } });
  expect(asked).toEqual(["other_score"]);
  const known = read(scoreBar(sceneOf(EFFECTS, scatter), events(null)));
  expect(known.texts.get("effect")).toBe("effect on “was”");
});

test("what heads are scored by is in the list, also where nobody can ask for it again", () => {
  const { texts } = read(scoreChoice(sceneOf(null, { score: "effect" }), events(null)));
  expect(texts.get("effect")).toBe("effect");
  expect(read(scoreChoice(sceneOf(null), events(null))).texts.has("effect")).toBe(false);
});

test("heads that have nothing but a score offer no way to be without one", () => {
  const scored = sceneOf(null, { score: "broad" });
  const written = (scene: typeof scored) => JSON.stringify(scoreBar(scene, events(null)));
  expect(written(scored)).toContain("aw-no-score");
  const survey = { inputs: 2, can_open: false, texts: {} };
  const bare = { ...scored, meta: { ...scored.meta, survey } } as typeof scored;
  expect(written(bare)).not.toContain("aw-no-score");
});
