// Groups of positions: which are marked, and from which to which links are drawn.

import { html } from "lit-html";
import { REST_GROUP } from "../../protocol/constants.js";
import type { Grouping } from "../../protocol/generated.js";
import { groupsOf, pairOfGroups } from "../../scene/groups.js";
import type { Scene } from "../../scene/scene.js";
import { groupsAt } from "../../state/groups.js";
import type { State } from "../../state/selection.js";
import type { Control, ToolbarEvents } from "./control.js";
import { drawsTraceOnly } from "./drawn.js";
import { type Choice, list } from "./parts.js";

/** What a list says for all positions; no group is called so, since names come from labels or the caller. */
const ALL = "";
/** Between the two groups of an entry that chooses both. */
const TO = "\u0000";

/** The two groups of a pair, besides what is in neither. */
function pairOf({ groups }: Grouping): readonly [string, string] | null {
  const [a, b, third] = groups.filter(({ name }) => name !== REST_GROUP).map(({ name }) => name);
  return a !== undefined && b !== undefined && third === undefined ? [a, b] : null;
}

type Ends = Pick<State, "from_group" | "to_group">;

const ends = (value: string): Ends => {
  const [from = ALL, to = ALL] = value.split(TO);
  return { from_group: from || null, to_group: to || null };
};

/** A → A, A → B, B → A, B → B. */
function pairChoices(grouping: Grouping): readonly Choice[] {
  const pair = pairOf(grouping);
  if (!pair) return [];
  const has = (axis: "queries" | "keys", name: string) =>
    groupsAt(grouping, axis).some((group) => group.name === name);
  return pair.flatMap((from) =>
    pair
      .filter((to) => has("queries", from) && has("keys", to))
      .map((to) => ({ value: from + TO + to, text: pairOfGroups(from, to) })),
  );
}

const named = (grouping: Grouping, axis: "queries" | "keys"): readonly Choice[] => [
  { value: ALL, text: "all" },
  ...groupsAt(grouping, axis).map(({ name }) => ({ value: name, text: name })),
];

/** Everything in one list: all, from one group to all, from all to one, and the pairs. */
function together(grouping: Grouping, state: State, change: ToolbarEvents["change"]) {
  const from = groupsAt(grouping, "queries").map(({ name }) => name);
  const to = groupsAt(grouping, "keys").map(({ name }) => name);
  const value = (state.from_group ?? ALL) + TO + (state.to_group ?? ALL);
  const entry = (a: string | null, b: string | null): Choice => ({
    value: (a ?? ALL) + TO + (b ?? ALL),
    text: pairOfGroups(a, b),
  });
  const few = from.length * to.length <= 9;
  const both = few ? from.flatMap((a) => to.map((b) => entry(a, b))) : [];
  const single = [...from.map((a) => entry(a, null)), ...to.map((b) => entry(null, b))];
  const known = [entry(null, null), ...both, ...single];
  const chosen = entry(state.from_group, state.to_group);
  const choices = known.some((one) => one.value === value) ? known : [...known, chosen];
  return list("From group to group", value, choices, (next) => change(ends(next)), {
    title: "From which group of tokens to which links are drawn",
    kind: "aw-groups",
  });
}

/** From which group, and for a pair also from which to which at once. */
function fromList(grouping: Grouping, state: State, change: ToolbarEvents["change"]) {
  const choices = [...named(grouping, "queries"), ...pairChoices(grouping)];
  return html`<span
    class="aw-from-group"
    @change=${(event: Event) => {
      // An entry that chooses both is none that stays: the list says where links are from.
      const select = event.target as HTMLSelectElement;
      const { value } = select;
      if (!value.includes(TO)) return;
      select.value = state.from_group ?? ALL;
    }}
    >${list(
      "From group",
      state.from_group ?? ALL,
      choices,
      (value) => change(value.includes(TO) ? ends(value) : { from_group: value || null }),
      { title: "Whose links are drawn: the queries of a group" },
    )}</span
  >`;
}

/** Whether anything that is drawn differs by group. */
const marksGroups = (scene: Scene) => scene.state.view !== "neuron" && !drawsTraceOnly(scene);

export const groups: Control = {
  name: "groups",
  group: "what",
  label: "from … to …",
  rank: ({ state }) => ((state.from_group ?? state.to_group) === null ? 45 : 75),
  shortRank: 58,
  shown: (scene) => groupsOf(scene) !== null && marksGroups(scene),
  size: (scene) => {
    const { grouping } = groupsOf(scene) ?? {};
    const { from_group, to_group } = scene.state;
    return `${grouping?.name} ${from_group} ${to_group}`;
  },
  draw: (scene, { change }, short) => {
    const grouping = groupsOf(scene)?.grouping;
    const { state } = scene;
    if (!grouping) return html``;
    if (short) return together(grouping, state, change);
    const to = named(grouping, "keys");
    return html`<span class="aw-group aw-from-to" role="group" aria-label="From group to group">
      <span class="aw-label">from</span>${fromList(grouping, state, change)}
      <span class="aw-label">to</span>${list(
        "To group",
        state.to_group ?? ALL,
        to,
        (value) => change({ to_group: value || null }),
        { title: "To whom: the keys of a group" },
      )}
    </span>`;
  },
};

/** What groupings are called. */
const NAMES: Readonly<Record<string, string>> = {
  own: "your own",
  segment: "the two texts",
  role: "who speaks",
  turn: "messages",
  modality: "kinds of input",
  part: "prompt and answer",
  special: "special tokens",
  sentence: "sentences",
};

const groupings = ({ stream }: Scene) => stream.groupings ?? [];

/** Under ⋯ until it is needed: most inputs have one grouping that anybody would choose. */
export const grouping: Control = {
  name: "grouping",
  group: "what",
  label: "groups",
  named: true,
  rank: () => 5,
  shown: (scene) => groupings(scene).length > 0 && marksGroups(scene),
  size: (scene) =>
    groupings(scene)
      .map(({ name }) => name)
      .join(" "),
  draw: (scene, { change }) => {
    const choices = [
      { value: "", text: "none" },
      ...groupings(scene).map(({ name }) => ({ value: name, text: NAMES[name] ?? name })),
    ];
    const choose = (name: string) =>
      change({ grouping: name || null, from_group: null, to_group: null });
    return list("Groups", scene.state.grouping ?? "", choices, choose, {
      title: "Which groups of tokens are marked",
    });
  },
};
