// Compare view: pinned heads side by side, or one head of two records, in the form that is chosen.

import type { Scene } from "../../scene/scene.js";
import { drawGroups, groupsHeight, groupsStops, hitGroups } from "../groups/matrices.js";
import type { View } from "../view.js";
import { emptyForm } from "./empty.js";
import { linesForm, matrixForm } from "./forms.js";
import { comparedCount } from "./layout.js";

type Form = Omit<View, "name">;

/** Shares of groups are drawn as matrices, also where the head view has their profile. */
const sharesForm: Form = {
  contentHeight: (scene, width, height) => groupsHeight(scene, width, height, "compare"),
  draw: (surface, scene, frame) => drawGroups(surface, scene, frame, "compare"),
  hit: (scene, frame, x, y) => hitGroups(scene, frame, x, y, "compare"),
  stops: (scene, frame) => groupsStops(scene, frame, "compare"),
};

/** A difference is between pairs of tokens: in the forms that have none of them, links are compared. */
const FORMS: Readonly<Record<Scene["state"]["form"], Form>> = {
  lines: linesForm,
  text: linesForm,
  image: linesForm,
  matrix: matrixForm,
  groups: sharesForm,
  profile: sharesForm,
  // Each head has a plane of its own: there is no difference of two.
  geometry: linesForm,
  // Of all heads, whatever is pinned.
  trace: linesForm,
};

function formOf(scene: Scene): Form {
  return comparedCount(scene) === 0 ? emptyForm : FORMS[scene.state.form];
}

/** Pinned heads of any layers side by side, on the same tokens and under the same pointer. */
export const compareView: View = {
  name: "compare",
  contentHeight: (scene, width, height) => formOf(scene).contentHeight(scene, width, height),
  draw: (surface, scene, frame) => formOf(scene).draw(surface, scene, frame),
  hit: (scene, frame, x, y) => formOf(scene).hit(scene, frame, x, y),
  reveal: (scene, frame, at) => formOf(scene).reveal?.(scene, frame, at) ?? null,
  gesture: (scene, frame, at, gesture) => formOf(scene).gesture?.(scene, frame, at, gesture),
  revealOnMap: (scene, frame, at) => formOf(scene).revealOnMap?.(scene, frame, at),
  stops: (scene, frame) => formOf(scene).stops(scene, frame),
};
