// Neuron view: one link step by step, or the whole head.

import { type RecordScene, recordScene, type Scene } from "../../scene/scene.js";
import type { View } from "../view.js";
import { headStepsView } from "./head-steps.js";
import { linkView } from "./link.js";

/**
 * The record's own weights between pieces, whatever is drawn elsewhere: a measure of another kind is
 * nothing that softmax gave, and a word is explained by the pieces that it is pinned by.
 */
function explained(scene: Scene): RecordScene {
  const record = recordScene(scene);
  return scene.drawing ? { ...record, drawing: scene.drawing } : record;
}

const viewOf = ({ state }: Scene) => (state.explain === "head" ? headStepsView : linkView);

/** Why is this weight what it is? */
export const neuronView: View = {
  name: "neuron",
  contentHeight: (scene, width, height) =>
    viewOf(scene).contentHeight(explained(scene), width, height),
  draw: (surface, scene, frame) => viewOf(scene).draw(surface, explained(scene), frame),
  hit: (scene, frame, x, y) => viewOf(scene).hit(explained(scene), frame, x, y),
  stops: (scene, frame) => viewOf(scene).stops(explained(scene), frame),
};
