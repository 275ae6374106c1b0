// Model view in the arrangement that is chosen: grid, ranking, scatter.

import type { Scene } from "../../scene/scene.js";
import type { View } from "../view.js";
import { gridForm } from "./grid.js";
import { whyNoScore } from "./head-scores.js";
import { rankForm } from "./rank.js";
import { scatterForm } from "./scatter.js";

/** How the heads stand. What there is no score for yet stands as the model has it, and says so. */
function formOf(scene: Scene): Omit<View, "name"> {
  const { arrange } = scene.state;
  if (arrange !== "rank" && arrange !== "scatter") return gridForm;
  if (whyNoScore(scene) !== null) return gridForm;
  return arrange === "rank" ? rankForm : scatterForm;
}

/** Every layer × head: which of them is worth a look? */
export const modelView: View = {
  name: "model",
  contentHeight: (scene, width, height) => formOf(scene).contentHeight(scene, width, height),
  draw: (surface, scene, frame) => formOf(scene).draw(surface, scene, frame),
  hit: (scene, frame, x, y) => formOf(scene).hit(scene, frame, x, y),
  reveal: (scene, frame, at) => formOf(scene).reveal?.(scene, frame, at) ?? null,
  stops: (scene, frame) => formOf(scene).stops(scene, frame),
};
