import { drawHeadImage, headImageStops, hitHeadImage, revealInHeadImage } from "./head-image.js";
import {
  drawHeadLines,
  headLineStops,
  headLinesHeight,
  hitHeadLines,
  revealInHeadLines,
} from "./head-lines.js";
import { drawHeadMatrix, headMatrixHeight, headMatrixStops, hitHeadMatrix } from "./head-matrix.js";
import { headImageHeight } from "./image-plan.js";
import type { Scene, View } from "./view.js";

type Form = Pick<View, "contentHeight" | "draw" | "hit" | "stops" | "reveal">;

const FORMS: Readonly<Record<Scene["state"]["form"], Form>> = {
  lines: {
    contentHeight: headLinesHeight,
    draw: drawHeadLines,
    hit: hitHeadLines,
    reveal: revealInHeadLines,
    stops: headLineStops,
  },
  matrix: {
    contentHeight: headMatrixHeight,
    draw: drawHeadMatrix,
    hit: hitHeadMatrix,
    stops: headMatrixStops,
  },
  image: {
    contentHeight: headImageHeight,
    draw: drawHeadImage,
    hit: hitHeadImage,
    reveal: revealInHeadImage,
    stops: headImageStops,
  },
};

/** Who attends to whom in the selected heads: links between two columns, heat maps, or over what went in. */
export const headView: View = {
  name: "head",
  contentHeight: (scene, width, height) =>
    FORMS[scene.state.form].contentHeight(scene, width, height),
  draw: (surface, scene, frame) => FORMS[scene.state.form].draw(surface, scene, frame),
  hit: (scene, frame, x, y) => FORMS[scene.state.form].hit(scene, frame, x, y),
  reveal: (scene, frame, at) => FORMS[scene.state.form].reveal?.(scene, frame, at) ?? null,
  stops: (scene, frame) => FORMS[scene.state.form].stops(scene, frame),
};
