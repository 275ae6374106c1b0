// Next-token view: most probable tokens, and the one that was chosen.

import { formatWeight } from "../../marks/format.js";
import { labelOf } from "../../marks/text/tokens.js";
import type { Generation } from "../../protocol/generated.js";
import { recordScene, type Scene } from "../../scene/scene.js";
import type { Surface } from "../../surface/surface.js";
import { ellipsize } from "../../surface/text.js";
import { activeQuery } from "../neuron/data.js";
import type { View } from "../view.js";

/** One token that may come next. */
export interface Candidate {
  readonly label: string;
  /** Null where it is not known. */
  readonly probability: number | null;
  readonly chosen: boolean;
}

const LINE = 18;
const TEXT = 12;
const WORDS = 20;
const NUMBER = 42;
const GAP = 18;
const MAX_COLUMN = 300;
/** In a column narrower than this a bar says nothing. */
const MIN_COLUMN = 150;

/** The most probable tokens after a query position, the chosen one among them; none where they are not known. */
export function candidates(generation: Generation, query: number): readonly Candidate[] {
  const { first, ranks, tokens, top, probabilities, chosen, chosen_probabilities } = generation;
  const row = query - first;
  const came = chosen[row];
  if (row < 0 || came === undefined) return [];
  const list = top.slice(row * ranks, (row + 1) * ranks).map((token, i) => ({
    label: tokens[token] ?? "",
    probability: probabilities[row * ranks + i] ?? null,
    chosen: token === came,
  }));
  if (came === null || list.some((candidate) => candidate.chosen)) return list;
  // A token that was not to be expected takes the place of the least of those that were.
  const unexpected = { label: tokens[came] ?? "", chosen: true };
  return [...list.slice(0, -1), { ...unexpected, probability: chosen_probabilities[row] ?? null }];
}

/**
 * What was expected at the step that is shown. Without one, after the query in question, and where
 * that is none of the generation's, after the last.
 */
export function expected(shown: Scene): {
  readonly label: string;
  readonly list: readonly Candidate[];
} {
  // Tokens are what is generated, whatever stands for a word.
  const scene = recordScene(shown);
  const { meta, stream, state } = scene;
  const grown = meta.streams.find(({ prompt }) => prompt);
  if (!meta.generation || !grown?.prompt) return { label: "", list: [] };
  const queries = meta.positions[grown.query_positions] ?? [];
  const newest = state.step === null ? queries.length - 1 : grown.prompt.queries - 1 + state.step;
  const chosen = stream.prompt && state.step === null ? activeQuery(scene).query : newest;
  const query = chosen < meta.generation.first ? newest : chosen;
  return { label: labelOf(queries, query), list: candidates(meta.generation, query) };
}

function columnsAt(width: number): number {
  return [8, 4, 2].find((count) => (width + GAP) / count - GAP >= MIN_COLUMN) ?? 1;
}

function drawCandidate(
  surface: Surface,
  { label, probability, chosen }: Candidate,
  place: { readonly x: number; readonly y: number; readonly width: number },
  { theme }: Scene,
): void {
  const { x, y, width } = place;
  const middle = y + LINE / 2;
  const style = { size: TEXT, weight: chosen ? "bold" : "normal" } as const;
  if (chosen) surface.rect({ x, y: y + 3, width: 3, height: LINE - 6 }, { fill: theme.accent });
  const words = Math.min(90, Math.max(40, (width - NUMBER) * 0.45));
  const fill = chosen ? theme.text : theme.muted;
  surface.text(x + 7, middle, label, { ...style, fill, maxWidth: words - 8 });
  const room = width - words - NUMBER;
  const bar = { x: x + words, y: y + 5, height: LINE - 10 };
  surface.rect({ ...bar, width: room }, { fill: theme.wash });
  if (probability !== null && probability > 0) {
    const colour = chosen ? theme.accent : theme.muted;
    surface.rect({ ...bar, width: Math.max(1, room * probability) }, { fill: colour });
  }
  const number = probability === null ? "?" : formatWeight(probability);
  surface.text(x + width, middle, number, { ...style, fill, size: 11, anchor: "end" });
}

/** What was expected to come next after the query in question, the token that came marked. */
export const nextView: View = {
  name: "next",

  contentHeight({ meta }, width) {
    return WORDS + LINE * Math.ceil((meta.generation?.ranks ?? 0) / columnsAt(width)) + 2;
  },

  draw(surface, scene, { width }) {
    const { theme } = scene;
    const { label, list } = expected(scene);
    const short = ellipsize(label, Math.max(60, width - 330), TEXT);
    const words = `after “${short}” · softmax of the model’s own logits, before temperature or top-p`;
    surface.text(0, WORDS / 2 - 2, words, { fill: theme.muted, size: 11, maxWidth: width });
    const columns = columnsAt(width);
    const each = Math.min(MAX_COLUMN, (width + GAP) / columns - GAP);
    // Down, then right: read like a list in columns.
    const lines = Math.ceil(list.length / columns);
    list.forEach((candidate, i) => {
      const x = Math.floor(i / lines) * (each + GAP);
      const y = WORDS + (i % lines) * LINE;
      drawCandidate(surface, candidate, { x, y, width: each }, scene);
    });
  },

  hit: () => null,
  stops: () => [],
};
