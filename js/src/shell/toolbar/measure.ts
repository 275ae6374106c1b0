// What is drawn of a head: weights, or another measure.

import { whyMissing } from "../../data/measures.js";
import { findStream } from "../../data/meta.js";
import type { Measure } from "../../protocol/generated.js";
import type { Scene } from "../../scene/scene.js";
import { MEASURES } from "../../views/shared/measure.js";
import type { Control } from "./control.js";
import { drawsTraceOnly } from "./drawn.js";
import { list } from "./parts.js";

/** Why no layer of the stream can give a measure; null where one can. */
function why({ meta, state }: Scene, measure: Measure): string | null {
  const stream = findStream(meta, state.stream);
  const reasons = stream.layers.map((layer) => whyMissing(stream, layer, measure));
  return reasons.every((reason) => reason !== null) ? (reasons[0] ?? null) : null;
}

export const measure: Control = {
  name: "measure",
  group: "what",
  label: "measure",
  rank: () => 40,
  // The neuron view keeps to weights, a trace to what its links change.
  shown: (scene) => scene.state.view !== "neuron" && !drawsTraceOnly(scene),
  draw: (scene, { change }) =>
    list(
      "Measure",
      scene.state.measure,
      (Object.keys(MEASURES) as Measure[]).map((value) => {
        const reason = why(scene, value);
        return {
          value,
          text: MEASURES[value].choice,
          title: reason ?? undefined,
          off: reason !== null,
        };
      }),
      (value) => change({ measure: value as Measure }),
      { title: "What is drawn of a head", kind: "aw-measure" },
    ),
};
