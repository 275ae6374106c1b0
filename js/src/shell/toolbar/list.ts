// Every control of the line above the views, in its order. A new one is a file of its own and a line here.

import { aside } from "./aside.js";
import { compare } from "./compare.js";
import type { Control } from "./control.js";
import { form } from "./forms.js";
import { grouping, groups } from "./groups.js";
import { heads } from "./heads.js";
import { layer } from "./layer.js";
import { links } from "./links.js";
import { measure } from "./measure.js";
import { pieces } from "./pieces.js";
import { save } from "./save.js";
import { contexts, search } from "./search.js";
import { colour, shade } from "./shade.js";
import { shownLayers } from "./shown-layers.js";
import { stream } from "./stream.js";
import { theme } from "./theme.js";
import { panels, together } from "./together.js";
import { view } from "./views.js";

/** Those that a survey has as well while none of its inputs is open: there is nothing to draw. */
export const WITHOUT_RECORD: readonly Control[] = [
  stream,
  layer,
  heads,
  theme,
  shownLayers,
  contexts,
  save,
];

/** Of a group, those that come first stand first; ⋯ and the help stand behind them all. */
export const CONTROLS: readonly Control[] = [
  // Where one looks.
  stream,
  layer,
  heads,
  // What is drawn of it.
  form,
  measure,
  together,
  panels,
  groups,
  links,
  aside,
  shade,
  colour,
  pieces,
  view,
  grouping,
  compare,
  shownLayers,
  theme,
  // What comes out.
  search,
  contexts,
  save,
];
