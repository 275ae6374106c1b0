// Cut links between two columns of tokens: dashed, with scissors, and what they weighed.

import { formatWeight } from "../../marks/format.js";
import { easing, linkPath } from "../../marks/links.js";
import { side } from "../../marks/text/token-axis.js";
import type { Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { textWidth } from "../../surface/text.js";
import { linkEnd } from "../lines/layout.js";
import type { LinesInput } from "../lines/links.js";
import { cutsIn } from "./parts.js";

/** More dashed links than this are a tangle that names none of them. */
const MOST = 24;
/** Where along a link the scissors stand. */
const MIDDLE = 0.55;
const SIZE = 10;

interface CutLink {
  readonly query: number;
  readonly key: number;
  readonly was: number | null;
}

/** The cut links of the heads that are drawn; none where whole columns are: their tokens are struck through. */
export function cutLinks(scene: Scene, { series }: LinesInput): readonly CutLink[] {
  const links = cutsIn(scene, series).flatMap(({ queries, keys, was }) => {
    if (!queries || !keys) return [];
    return queries.flatMap((query) => keys.map((key) => ({ query, key, was })));
  });
  return links.length <= MOST ? links : [];
}

/** Open scissors, as lines: not every font has the character. */
function drawScissors(
  surface: Surface,
  x: number,
  y: number,
  colour: string,
  ground: string,
): void {
  surface.circle(x, y, 8, { fill: ground });
  const stroke = { stroke: colour, strokeWidth: 1.25 };
  surface.circle(x - 4.2, y - 2.8, 1.9, stroke);
  surface.circle(x - 4.2, y + 2.8, 1.9, stroke);
  surface.line(x - 2.6, y - 1.7, x + 6, y + 3.4, { stroke: colour, width: 1.25 });
  surface.line(x - 2.6, y + 1.7, x + 6, y - 3.4, { stroke: colour, width: 1.25 });
}

export function drawCuts(surface: Surface, scene: Scene, input: LinesInput): void {
  const links = cutLinks(scene, input);
  if (links.length === 0) return;
  const { layout, pinned } = input;
  const { theme } = scene;
  const { links: area, queries, keys } = layout;
  const shown = links.filter(
    ({ query, key }) =>
      (query === pinned.query || side(queries.axis, query) === 0) &&
      (key === pinned.key || side(keys.axis, key) === 0),
  );
  const draw = () => {
    for (const { query, key, was } of shown) {
      const from = linkEnd(queries, query, pinned.query);
      const to = linkEnd(keys, key, pinned.key);
      const style = { stroke: theme.changed, strokeWidth: 2, dash: [5, 4] };
      surface.path(linkPath(area, from, to), style);
      const x = area.x + MIDDLE * area.width;
      const y = from + (to - from) * easing(MIDDLE);
      drawScissors(surface, x, y, theme.changed, theme.background);
      if (was === null || shown.length > 1) continue;
      const text = `was ${formatWeight(was)}`;
      const width = textWidth(text, SIZE) + 6;
      // On the side that the link turns away from.
      const box = { x: x + 11, y: y + (to < from ? 4 : -16), width, height: 13 };
      surface.rect(box, { fill: theme.background, opacity: 0.85 });
      surface.text(box.x + 3, box.y + 6.5, text, { fill: theme.changed, size: SIZE });
    }
  };
  surface.group("cut", draw, { clip: area });
}
