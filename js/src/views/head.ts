import {
  drawHeadLines,
  headLineStops,
  headLinesHeight,
  hitHeadLines,
  revealInHeadLines,
} from "./head-lines.js";
import { drawHeadMatrix, headMatrixHeight, headMatrixStops, hitHeadMatrix } from "./head-matrix.js";
import type { Scene, View } from "./view.js";

const isMatrix = (scene: Scene) => scene.state.form === "matrix";

/** Who attends to whom in the selected heads: links between two columns, or heat maps. */
export const headView: View = {
  name: "head",
  contentHeight(scene, width, height) {
    return (isMatrix(scene) ? headMatrixHeight : headLinesHeight)(scene, width, height);
  },
  draw(surface, scene, frame) {
    (isMatrix(scene) ? drawHeadMatrix : drawHeadLines)(surface, scene, frame);
  },
  hit(scene, frame, x, y) {
    return (isMatrix(scene) ? hitHeadMatrix : hitHeadLines)(scene, frame, x, y);
  },
  reveal(scene, frame, at) {
    return isMatrix(scene) ? null : revealInHeadLines(scene, frame, at);
  },
  stops(scene, frame) {
    return (isMatrix(scene) ? headMatrixStops : headLineStops)(scene, frame);
  },
};
