// The pinned query's strongest keys as a table, for screen readers.

import type { Scene } from "../../scene/scene.js";
import { sayNumber } from "../../views/shared/measure.js";
import { meanRow, sized } from "../../views/shared/series.js";
import { togetherName, togetherScene } from "../../views/shared/together.js";
import { comparesHeads, headsOnShow } from "./reading-text.js";

export interface TableRow {
  /** Its number, with its layer where heads are compared, or what several as one are called. */
  readonly head: number | string;
  readonly key: string;
  readonly weight: string;
}

/** The largest few of a row; told again at every move of the pointer, so without sorting it all. */
function strongest(row: Float32Array, count: number): readonly number[] {
  const best: number[] = [];
  row.forEach((weight, key) => {
    const at = best.findIndex((other) => (row[other] as number) < weight);
    if (at >= 0) best.splice(at, 0, key);
    else if (best.length < count) best.push(key);
    if (best.length > count) best.pop();
  });
  return best;
}

/** The pinned query's strongest keys: the same numbers as a table, for screen readers. */
export function strongestKeys(scene: Scene, count = 5): readonly TableRow[] {
  const { keys } = scene;
  const { queries } = scene.state;
  // Of two records the difference is what counts: it stands in the reading line.
  if (queries.length === 0 || scene.sides) return [];
  const compares = comparesHeads(scene);
  const shown = compares ? scene : togetherScene(scene);
  return headsOnShow(shown)
    .slice(0, 8)
    .flatMap(({ layer, head, rows }) => {
      const row = meanRow(rows, queries);
      if (!row) return [];
      const name = compares ? `${layer}·${head}` : head;
      return strongest(sized(shown, row), count).map((key) => ({
        head: shown.together ? togetherName(shown.together) : name,
        key: `${key} ${keys[key]?.label ?? ""}`,
        weight: sayNumber(shown, row[key] as number),
      }));
    });
}
