// How heads are drawn: lines, matrix, over the picture, as text.

import { html } from "lit-html";
import { isText } from "../../data/text-pieces.js";
import { groupsOf } from "../../scene/groups.js";
import { type Scene, tracedHere } from "../../scene/scene.js";
import type { State } from "../../state/selection.js";
import { overMedia } from "../../views/image/media-positions.js";
import type { Control } from "./control.js";
import { drawsHeads } from "./drawn.js";
import { list, segments } from "./parts.js";

const TITLES: Readonly<Record<string, string>> = {
  lines: "Lines from queries to keys",
  matrix: "A matrix: a row for each query, a column for each key",
  text: "The running text, shaded by attention",
  groups: "How much weight groups of tokens give each other, a small matrix a head",
  profile: "How much weight groups of tokens get, layer by layer",
  geometry: "Queries and keys of each head as points in one plane",
  trace: "The links that what the model says depends on, over all layers",
};

/** Why there is no trace to draw, nor one to be found; empty where there is. */
function whyOff(scene: Scene): string {
  const { traced } = scene;
  return tracedHere(scene)?.trace ? "" : (traced?.cannot ?? "");
}

export const form: Control = {
  name: "form",
  group: "what",
  label: "form",
  rank: () => 60,
  shortRank: 90,
  shown: drawsHeads,
  size: (scene) =>
    `${scene.layer.has_vectors} ${groupsOf(scene) !== null} ${overMedia(scene)} ${isText(scene.queries) || isText(scene.keys)}`,
  draw: (scene, { change }, short) => {
    const { state, sides, queries, keys } = scene;
    const over = overMedia(scene);
    const text = !sides && (isText(queries) || isText(keys));
    const forms: readonly (readonly [State["form"], string])[] = [
      ["lines", "lines"],
      ["matrix", "matrix"],
      ...(over === null ? [] : ([["image", over]] as const)),
      ...(text ? ([["text", "text"]] as const) : []),
      ...(groupsOf(scene) ? ([["groups", "groups"]] as const) : []),
      ...(groupsOf(scene) && !sides ? ([["profile", "profile"]] as const) : []),
      ...(scene.layer.has_vectors && !sides ? ([["geometry", "geometry"]] as const) : []),
      ["trace", "trace"],
    ];
    const off = whyOff(scene);
    if (short) {
      const choices = forms.map(([value, name]) => ({
        value,
        text: name,
        ...(value === "trace" && off ? { off: true, title: off } : {}),
      }));
      return list("Form", state.form, choices, (value) => change({ form: value as State["form"] }));
    }
    return segments(
      "Form",
      forms.map(
        ([value, name]) => html`<button
          type="button"
          data-form=${value}
          aria-pressed=${String(state.form === value)}
          title=${(value === "trace" && off) || (TITLES[value] ?? `Over the ${name}`)}
          ?disabled=${value === "trace" && off !== ""}
          @click=${() => change({ form: value })}
        >
          ${name}
        </button>`,
      ),
    );
  },
};
