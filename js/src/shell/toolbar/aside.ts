// Key positions set aside: one control with one meaning, for shades, widths and scores.

import { asideOf } from "../../data/aside.js";
import { memo } from "../../marks/memo.js";
import { type RecordScene, recordScene, type Scene } from "../../scene/scene.js";
import type { State } from "../../state/selection.js";
import type { Control } from "./control.js";
import { drawsTraceOnly } from "./drawn.js";
import { list } from "./parts.js";

type Word = Extract<State["aside"], string>;

const WORDS: readonly (readonly [Word, string])[] = [
  ["first", "first token"],
  ["special", "special tokens"],
  ["first and special", "first and special tokens"],
];

/** The mean share of all heads' weight on some keys, from thumbnails in which each weight is a cell; else null. */
function shareOf(scene: RecordScene, keys: readonly number[]): number | null {
  const { thumbnails, stream, keys: positions } = scene;
  return memo(thumbnails, `share ${keys.join()}`, () => {
    let [sum, rows] = [0, 0];
    for (const { layer, num_heads: heads } of stream.layers) {
      for (let head = 0; head < heads; head++) {
        const found = thumbnails.get(layer, head);
        if (!found || found.columns !== positions.length) return null;
        for (let start = 0; start < found.data.length; start += found.columns) {
          for (const key of keys) sum += ((found.data[start + key] as number) / 255) ** 2;
        }
        rows += found.rows;
      }
    }
    return rows > 0 ? sum / rows : null;
  });
}

function percent(scene: RecordScene, word: Word): string {
  const { keys, stream } = scene;
  const at = asideOf(keys, word).keys;
  const known = word === "first" ? (stream.sink?.share ?? null) : null;
  const share = known ?? (scene.sides ? null : shareOf(scene, at));
  return share === null ? "" : ` ${Math.round(100 * share)} %`;
}

/** The words that name anything here; two that name the same stand once. */
function choices(scene: RecordScene): readonly (readonly [string, string])[] {
  const seen = new Set<string>();
  return WORDS.flatMap(([word, name]) => {
    const { id } = asideOf(scene.keys, word);
    const chosen = scene.state.aside === word;
    if (!chosen && (id === "" || seen.has(id))) return [];
    seen.add(id);
    return [[word, name + percent(scene, word)] as const];
  });
}

const isList = (aside: State["aside"]): aside is readonly number[] => Array.isArray(aside);

/** Whether keys can be set aside in what is open. The neuron view shows every number as it is, and so does a trace. */
export function hasAside(scene: Scene): boolean {
  const isOffered = scene.state.view !== "neuron" && !drawsTraceOnly(scene);
  return isOffered && recordScene(scene).keys.length > 2;
}

export const aside: Control = {
  name: "aside",
  group: "what",
  label: "aside",
  named: true,
  rank: () => 35,
  shown: hasAside,
  size: (scene) => JSON.stringify([scene.state.aside, choices(recordScene(scene))]),
  draw: (shown, { change }) => {
    const scene = recordScene(shown);
    const { aside: set } = scene.state;
    const own = isList(set) ? `${set.length} ${set.length === 1 ? "position" : "positions"}` : null;
    const all = [
      { value: "", text: "nothing" },
      ...choices(scene).map(([value, text]) => ({ value, text })),
      ...(own ? [{ value: "own", text: own }] : []),
    ];
    const choose = (word: string) => {
      if (word !== "own") change({ aside: word === "" ? null : (word as Word) });
    };
    const title =
      "Keys that are set aside: shades, widths of links, scores and rankings are of the rest. Numbers stay as they are. Beside each, its share of all weight.";
    return list("Set aside", own ? "own" : String(set ?? ""), all, choose, { title });
  },
};
