import { expect } from "vitest";
import type { Rows } from "../../src/data/blocks.js";
import type { Scene } from "../../src/scene/scene.js";
import { headView } from "../../src/views/head/view.js";
import type { Frame } from "../../src/views/view.js";
import { attentionScene } from "./attention-scene.js";
import { type Call, RecordingSurface } from "./recording-surface.js";

export const QUERIES = "the cat sat because it".split(" ");
export const KEYS = "[CLS] die Katze saß weil sie [SEP]".split(" ");
export const FRAME: Frame = { width: 460, height: 320, scroll: 0 };

export function draw(scene: Scene, frame = FRAME): RecordingSurface {
  const surface = new RecordingSurface(frame.width, frame.height);
  headView.draw(surface, scene, frame);
  expect(surface.broken).toEqual([]);
  return surface;
}

export const textsOf = (surface: RecordingSurface, text: string) =>
  surface.calls.filter((call) => call.text === text);

export const place = ({ numbers }: Call) => ({ x: numbers[0] as number, y: numbers[1] as number });

export const small = (given: Parameters<typeof attentionScene>[0] = {}) =>
  attentionScene({ queries: QUERIES, keys: KEYS, ...given });

/** A scene of many tokens whose rows are made when asked for; `asked` says which were. */
export function long(count: number, rest: Parameters<typeof attentionScene>[0] = {}) {
  const scene = small(rest);
  const asked = new Set<number>();
  const positions = Array.from({ length: count }, (_, i) => ({
    label: `t${i}`,
    kind: "token" as const,
  }));
  const row = (query: number) => {
    asked.add(query);
    const weights = new Float32Array(count).fill(0.2 / count);
    weights[0] = 0.3;
    weights[query] = 0.1;
    weights[(query * 7919) % count] = 0.4;
    return weights;
  };
  const rows: Rows = { numQueries: count, numKeys: count, error: null, row };
  const blocks = { ...scene.blocks, weights: () => rows };
  return { scene: { ...scene, queries: positions, keys: positions, blocks }, asked, row };
}
