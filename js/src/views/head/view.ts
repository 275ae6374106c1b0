// Head view in the form that is chosen: lines, matrix, text, image.

import type { Scene } from "../../scene/scene.js";
import type { Hit } from "../../state/interaction.js";
import { geometryForm } from "../geometry/view.js";
import { drawGroups, groupsHeight, groupsStops, hitGroups } from "../groups/matrices.js";
import { drawProfile, hitProfile, profileHeight, profileStops } from "../groups/profile.js";
import { headImageHeight } from "../image/plan.js";
import { pointer } from "../shared/series.js";
import { togetherScene } from "../shared/together.js";
import { headTextStops, hitHeadText, revealInHeadText } from "../text/hits.js";
import { textContentHeight } from "../text/layout.js";
import { traceForm } from "../trace/form.js";
import type { Frame, View } from "../view.js";
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
import { drawStrip, drawStripCard, stripHeight, stripStops } from "./together-strip.js";

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
  geometry: geometryForm,
  trace: traceForm,
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

/** The form of what is drawn, over which room, and where the strip of heads that are one begins. */
function placed(scene: Scene, frame: Frame) {
  const shown = togetherScene(scene);
  const form = formOf(shown);
  const strip = stripHeight(scene, frame.width);
  const room = frame.height - strip;
  if (strip === 0) return { shown, form, inner: frame, top: null };
  const height = Math.min(room, Math.ceil(form.contentHeight(shown, frame.width, room)));
  return { shown, form, inner: { ...frame, height }, top: height };
}

/** Who attends to whom in the selected heads: links between two columns, over one another or a panel a head, heat maps, running text, over what went in, group by group, or as points in a plane. */
export const headView: View = {
  name: "head",
  contentHeight: (scene, width, height) => {
    const shown = togetherScene(scene);
    const strip = stripHeight(scene, width);
    return formOf(shown).contentHeight(shown, width, height - strip) + strip;
  },
  draw: (surface, scene, frame) => {
    const { shown, form, inner, top } = placed(scene, frame);
    const at = pointer(scene.hover, "head");
    const onStrip = top !== null && at !== null && at.y >= top;
    form.draw(surface, onStrip ? { ...shown, hover: null } : shown, inner);
    if (top === null) return;
    drawStrip(surface, scene, frame, top);
    if (onStrip) drawStripCard(surface, scene, frame, top);
  },
  hit: (scene, frame, x, y) => {
    const { shown, form, inner, top } = placed(scene, frame);
    // What is there is only looked at.
    if (top !== null && y >= top) return {};
    const hit = form.hit(shown, inner, x, y);
    return hit && shown.together ? withoutHead(hit) : hit;
  },
  reveal: (scene, frame, at) => {
    const { shown, form, inner } = placed(scene, frame);
    return form.reveal?.(shown, inner, at) ?? null;
  },
  gesture: (scene, frame, at, gesture) => {
    const { shown, form, inner, top } = placed(scene, frame);
    if (top !== null && at !== null && at.y >= top) return undefined;
    return form.gesture?.(shown, inner, at, gesture);
  },
  revealOnMap: (scene, frame, at) => {
    const { shown, form, inner } = placed(scene, frame);
    return form.revealOnMap?.(shown, inner, at);
  },
  stops: (scene, frame) => {
    const { shown, form, inner, top } = placed(scene, frame);
    const stops = form.stops(shown, inner);
    return top === null ? stops : [...stops, ...stripStops(scene, frame, top)];
  },
};

/** What is pointed at belongs to all of the heads that are one here. */
function withoutHead(hit: Hit): Hit {
  const { head: _, layer: __, ...rest } = hit;
  // All heads of the layer stand there, of which one is chosen.
  return hit.action === "show-head" || hit.action === "open-layer" ? hit : rest;
}
