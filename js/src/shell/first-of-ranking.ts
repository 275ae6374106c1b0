// A ranking shows its first head as soon as it is known; what was selected before is one key away.

import { RANKING } from "../protocol/constants.js";
import type { Ranking } from "../protocol/generated.js";
import { recordScene, type Scene } from "../scene/scene.js";
import { chooseHead } from "../state/actions.js";
import type { State } from "../state/selection.js";
import { fromTraits, toTraits } from "../state/selection.js";
import { readState, same, type WidgetState } from "../state/signals.js";
import { boardOf } from "../views/model/head-scores.js";

type Place = Pick<State, "stream" | "layer" | "heads" | "together_layers" | "queries" | "keys">;

const placeOf = ({ stream, layer, heads, together_layers, queries, keys }: State): Place => ({
  stream,
  layer,
  heads,
  together_layers,
  queries,
  keys,
});

/** Selects the head that a ranking puts first, and goes back to the one before it. */
export class FirstOfRanking {
  private awaited: Ranking | null = null;
  private before: Place | null = null;

  constructor(
    private readonly state: WidgetState,
    private readonly change: (change: Partial<State>) => void,
  ) {}

  /** Rank heads: the first of them is selected once their numbers are here. */
  rank(change: Partial<State>): void {
    this.awaited = change.ranking ?? null;
    this.change(change);
  }

  /** What Python ranked says itself what was selected before. */
  take(): void {
    const { chosen, shared } = this.state;
    const before = chosen.peek()?.before;
    if (!before) return;
    this.before = placeOf(fromTraits({ ...toTraits(readState(shared)), ...before }));
  }

  /** Select the first head of a ranking that was asked for, if its numbers are here. */
  look(scene: Scene): void {
    const { awaited, state } = this;
    if (!awaited) return;
    const shown = readState(state.shared);
    if (shown.score !== RANKING || !same(shown.ranking, awaited)) {
      this.awaited = null;
      return;
    }
    const board = boardOf(recordScene(scene));
    const first = board?.order[0];
    if (!board || !first) return;
    this.awaited = null;
    const { layer, head, index } = first;
    const { stream, query, key } = toTraits(shown);
    const weight = board.values[index] as number;
    const by = "grouping" in awaited ? "the share between these groups" : "these links";
    const why = `the first of the heads ranked by ${by}`;
    const from = placeOf(shown);
    const alone = shown.together_layers === null;
    if (alone && shown.layer === layer && same(shown.heads, [head])) {
      this.before = null;
    } else {
      this.before = from;
      this.change(chooseHead(shown, layer, head));
    }
    state.chosen.value = { stream, layer, head, query, key, weight, why, also: [] };
  }

  get canGoBack(): boolean {
    return this.before !== null && this.before.stream === this.state.shared.stream.peek();
  }

  /** Go back to what was selected before, and forth; whether there was anything. */
  back(): boolean {
    const { before } = this;
    if (!before || !this.canGoBack) return false;
    this.before = placeOf(readState(this.state.shared));
    const { stream: _, ...place } = before;
    this.change(place);
    return true;
  }
}
