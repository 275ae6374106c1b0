import { expect, test } from "vitest";
import type { SceneMaker } from "../../../src/scene/scene-maker.js";
import { Gestures } from "../../../src/shell/gestures.js";
import { createState, readState, writeState } from "../../../src/state/signals.js";
import { headView } from "../../../src/views/head/view.js";
import { groupedScene } from "../../support/grouped-scene.js";
import { FRAME } from "../../support/token-scenes.js";

test("a layer that is chosen in a profile leaves those heads selected that it has", () => {
  const made = groupedScene({ numLayers: 3, state: { form: "profile", heads: [1, 3] } });
  const layers = made.stream.layers.map((layer) => ({
    ...layer,
    num_heads: layer.layer === 2 ? 2 : layer.num_heads,
  })) as typeof made.stream.layers;
  const stream = { ...made.stream, layers };
  const scene = { ...made, stream, meta: { ...made.meta, streams: [stream] } };
  const state = createState(scene.meta, scene.state);
  const gestures = new Gestures(state, {} as SceneMaker, {
    change: (change) => writeState(state.shared, change),
    open: () => {},
    redraw: () => {},
  });
  const stop = headView.stops(scene, FRAME).find(({ layer }) => layer === 2);
  gestures.click("head", stop ?? {}, false);
  expect(readState(state.shared)).toMatchObject({ layer: 2, heads: [1] });
});
