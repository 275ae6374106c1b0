// Head view in the form that is chosen: lines, matrix, text, image.

import type { Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { drawGroups, groupsHeight, groupsStops, hitGroups } from "../groups/matrices.js";
import { drawProfile, hitProfile, profileHeight, profileStops } from "../groups/profile.js";
import { headImageHeight } from "../image/plan.js";
import { togetherScene } from "../shared/together.js";
import { headTextStops, hitHeadText, revealInHeadText } from "../text/hits.js";
import { textContentHeight } from "../text/layout.js";
import type { View } from "../view.js";
import { drawHorizontal, horizontalHeight } from "./horizontal.js";
import { drawHeadImage, headImageStops, hitHeadImage, revealInHeadImage } from "./image.js";
import {
  drawHeadLines,
  headLineStops,
  headLinesHeight,
  hitHeadLines,
  revealInHeadLines,
} from "./lines.js";
import {
  drawHeadMatrix,
  gestureOnHeadMatrix,
  headMatrixHeight,
  headMatrixStops,
  hitHeadMatrix,
  revealOnHeadMatrix,
} from "./matrix.js";
import {
  drawLinePanels,
  hasPanels,
  hitLinePanels,
  linePanelStops,
  linePanelsHeight,
  revealInLinePanels,
} from "./panels.js";
import { drawHeadText } from "./text.js";

type Form = Omit<View, "name">;

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
    gesture: gestureOnHeadMatrix,
    revealOnMap: revealOnHeadMatrix,
    stops: headMatrixStops,
  },
  image: {
    contentHeight: headImageHeight,
    draw: drawHeadImage,
    hit: hitHeadImage,
    reveal: revealInHeadImage,
    stops: headImageStops,
  },
  text: {
    contentHeight: textContentHeight,
    draw: drawHeadText,
    hit: hitHeadText,
    reveal: revealInHeadText,
    stops: headTextStops,
  },
  groups: {
    contentHeight: (scene, width, height) => groupsHeight(scene, width, height, "head"),
    draw: (surface, scene, frame) => drawGroups(surface, scene, frame, "head"),
    hit: (scene, frame, x, y) => hitGroups(scene, frame, x, y, "head"),
    stops: (scene, frame) => groupsStops(scene, frame, "head"),
  },
  profile: {
    contentHeight: profileHeight,
    draw: drawProfile,
    hit: hitProfile,
    stops: profileStops,
  },
};

/** Side by side: in figures only, where nothing is pointed at. */
const HORIZONTAL: Form = {
  contentHeight: horizontalHeight,
  draw: drawHorizontal,
  hit: () => null,
  stops: () => [],
};

const PANELS: Form = {
  contentHeight: linePanelsHeight,
  draw: drawLinePanels,
  hit: hitLinePanels,
  reveal: revealInLinePanels,
  stops: linePanelStops,
};

function formOf(scene: Scene): Form {
  const { state, drawing } = scene;
  if (state.form === "lines" && drawing?.horizontal) return HORIZONTAL;
  return hasPanels(scene) ? PANELS : FORMS[state.form];
}

/** Who attends to whom in the selected heads: links between two columns, over one another or a panel a head, heat maps, running text, over what went in, or group by group. */
export const headView: View = {
  name: "head",
  contentHeight: (scene, width, height) => {
    const shown = togetherScene(scene);
    return formOf(shown).contentHeight(shown, width, height);
  },
  draw: (surface, scene, frame) => {
    const shown = togetherScene(scene);
    formOf(shown).draw(surface, shown, frame);
  },
  hit: (scene, frame, x, y) => {
    const shown = togetherScene(scene);
    const hit = formOf(shown).hit(shown, frame, x, y);
    return hit && shown.together ? withoutHead(hit) : hit;
  },
  reveal: (scene, frame, at) => {
    const shown = togetherScene(scene);
    return formOf(shown).reveal?.(shown, frame, at) ?? null;
  },
  gesture: (scene, frame, at, gesture) => {
    const shown = togetherScene(scene);
    return formOf(shown).gesture?.(shown, frame, at, gesture);
  },
  revealOnMap: (scene, frame, at) => {
    const shown = togetherScene(scene);
    return formOf(shown).revealOnMap?.(shown, frame, at);
  },
  stops: (scene, frame) => {
    const shown = togetherScene(scene);
    return formOf(shown).stops(shown, frame);
  },
};

/** What is pointed at belongs to all of the heads that are one here. */
function withoutHead(hit: Hit): Hit {
  const { head: _, layer: __, ...rest } = hit;
  // All heads of the layer stand there, of which one is chosen.
  return hit.action === "show-head" || hit.action === "open-layer" ? hit : rest;
}
