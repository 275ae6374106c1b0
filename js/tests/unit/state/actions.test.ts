import { describe, expect, it } from "vitest";
import type { Meta } from "../../../src/protocol/generated.js";
import type { TraitModel } from "../../../src/protocol/model.js";
import {
  addToCompare,
  chooseLink,
  click,
  clickHead,
  drag,
  headInAllLayers,
  letGo,
  setStream,
  stepHead,
  stepLayer,
  toggleHead,
} from "../../../src/state/actions.js";
import { type State, toTraits } from "../../../src/state/selection.js";
import { clampTo, createState, readState, writeState } from "../../../src/state/signals.js";
import { bindTraits, readTraits } from "../../../src/state/traits.js";

const layer = (number: number, num_heads: number) =>
  ({ layer: number, num_heads }) as Meta["streams"][0]["layers"][0];
const positions = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ label: `t${i}`, kind: "token" as const }));
const meta = {
  version: 1,
  model: "M",
  positions: [positions(5), positions(7)],
  streams: [
    { name: "decoder", layers: [layer(0, 4), layer(3, 2)], query_positions: 0, key_positions: 1 },
    { name: "encoder", layers: [layer(0, 3)], query_positions: 1, key_positions: 1 },
  ],
} as unknown as Meta;
const start: State = {
  view: "all",
  stream: "decoder",
  layer: 0,
  heads: [1, 3],
  query: 4,
  key: 6,
  queries: [4],
  keys: [6],
  measure: "weights",
  positions: "pieces",
  form: "lines",
  compare: [[0, 3]],
  step: null,
  theme: "auto",
  score: null,
  other_score: null,
  top_k: 3,
  mass: null,
  aside: null,
  shade: "own",
  arrange: "layers",
  threshold: null,
  below_threshold: "faint",
  show_layers: null,
  together_layers: null,
  ranking: null,
  explain: "link",
  together: null,
  panels: "overlaid",
  grouping: null,
  from_group: null,
  to_group: null,
  colour: "position",
};

describe("actions", () => {
  it("toggle heads but never leave none", () => {
    expect(toggleHead(start, 2)).toEqual({ heads: [1, 3, 2] });
    expect(toggleHead(start, 1)).toEqual({ heads: [3] });
    expect(toggleHead({ ...start, heads: [1] }, 1)).toEqual({});
  });

  it("click selects, shift-click adds within a layer and pins across layers", () => {
    expect(clickHead(start, 3, 1, false)).toEqual({ layer: 3, heads: [1] });
    // One head by itself is no longer taken together with those of other layers.
    const across = { ...start, together: "mean", together_layers: [0, 3] } as const;
    expect(clickHead({ ...start, ...across, together_layers: [0, 3] }, 3, 1, false)).toEqual({
      layer: 3,
      heads: [1],
      together_layers: null,
    });
    expect(clickHead(start, 0, 0, true)).toEqual({ heads: [1, 3, 0] });
    const fresh = { ...start, compare: [] };
    expect(clickHead(fresh, 3, 1, true)).toEqual({ compare: [[0, 1], [0, 3], [3, 1]] }); // biome-ignore format: pairs
    expect(clickHead(start, 3, 1, true)).toEqual({ compare: [[0, 3], [3, 1]] }); // biome-ignore format: pairs
  });

  it("pin and let go of tokens, one thing at a time", () => {
    expect(click(start, "head", { query: 2 }, false)).toEqual({ queries: [2] });
    expect(click(start, "head", { query: 4 }, false)).toEqual({ queries: [] });
    expect(click(start, "head", { query: 4, key: 6 }, false)).toEqual({ queries: [], keys: [] });
    expect(letGo(start)).toEqual({ key: null });
    expect(letGo({ ...start, key: null })).toEqual({ query: null });
    expect(letGo({ ...start, key: null, query: null })).toEqual({ compare: [] });
  });

  it("pin several tokens, one by one or by a drag", () => {
    const two = { ...start, queries: [4, 1] };
    expect(click(start, "head", { query: 1 }, true)).toEqual({ queries: [4, 1] });
    expect(click(two, "head", { query: 4 }, true)).toEqual({ queries: [1] });
    // Of several, a plain click keeps the one that was clicked.
    expect(click(two, "head", { query: 4 }, false)).toEqual({ queries: [4] });
    expect(click(two, "head", { query: 0, key: 2 }, true)).toEqual({
      queries: [4, 1, 0],
      keys: [6, 2],
    });
    expect(drag({ query: 3 }, { query: 1 })).toEqual({ queries: [3, 2, 1] });
    expect(drag({ query: 0, key: 5 }, { query: 1, key: 5 })).toEqual({
      queries: [0, 1],
      keys: [5],
    });
    expect(drag({ query: 3 }, { query: 1, key: 2 })).toEqual({});
  });

  it("choose the head to take apart among the selected ones", () => {
    const hit = { action: "choose-head", head: 3 } as const;
    expect(click(start, "neuron", hit, false)).toEqual({ heads: [3, 1] });
  });

  it("reorder and unpin compared heads", () => {
    const two = { ...start, ...addToCompare(start, [[3, 1], [0, 3]]) }; // biome-ignore format: pairs
    expect(two.compare).toEqual([[0, 3], [3, 1]]); // biome-ignore format: pairs
    const first = click(two, "compare", { layer: 3, head: 1, action: "make-first" }, false);
    expect(first).toEqual({ compare: [[3, 1], [0, 3]] }); // biome-ignore format: pairs
    expect(click(two, "compare", { layer: 0, head: 3, action: "unpin-head" }, false)).toEqual({
      compare: [[3, 1]],
    });
  });

  it("step over gaps in layer numbers, stay at the ends, keep valid heads", () => {
    expect(stepLayer(meta, start, 1)).toEqual({ layer: 3, heads: [1] });
    expect(stepLayer(meta, { ...start, layer: 3, heads: [1] }, 1)).toMatchObject({ layer: 3 });
    expect(stepHead(meta, start, 1)).toEqual({ heads: [0] });
    expect(stepHead(meta, start, -1)).toEqual({ heads: [0] });
    expect(stepHead(meta, { ...start, heads: [0] }, -1)).toEqual({ heads: [3] });
  });

  it("another stream lets pins go and keeps what fits", () => {
    expect(setStream(meta, start, "encoder")).toMatchObject({
      stream: "encoder",
      layer: 0,
      heads: [1],
      query: null,
      compare: [],
    });
  });

  it("clamp anything to what exists", () => {
    const wild = { ...start, layer: 9, heads: [7], queries: [50, 2], keys: [6], compare: [[3, 1], [3, 2]] } as State; // biome-ignore format: pairs
    expect(clampTo(meta, wild)).toMatchObject({
      layer: 3,
      heads: [0],
      query: 2,
      queries: [2],
      key: 6,
      compare: [[3, 1]],
    });
  });
});

class FakeModel implements TraitModel {
  readonly values = new Map<string, unknown>(Object.entries(toTraits(start)));
  readonly listeners = new Map<string, Set<() => void>>();
  saves = 0;
  get(name: string) {
    return this.values.get(name);
  }
  set(name: string, value: unknown) {
    this.values.set(name, value);
    for (const listener of this.listeners.get(`change:${name}`) ?? []) listener();
  }
  on(event: string, callback: () => void) {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(callback));
  }
  off(event: string, callback: () => void) {
    this.listeners.get(event)?.delete(callback);
  }
  save_changes() {
    this.saves++;
  }
}

describe("traits", () => {
  it("go both ways, without an echo, and leave no listener behind", () => {
    const model = new FakeModel();
    const { shared } = createState(meta, readTraits(model));
    const abort = new AbortController();
    bindTraits(model, shared, abort.signal);
    expect(model.saves).toBe(0);
    writeState(shared, { layer: 3, heads: [0] });
    expect([model.get("layer"), model.get("heads"), model.saves]).toEqual([3, [0], 1]);
    model.set("query", 2);
    expect(readState(shared)).toMatchObject({ query: 2, queries: [2] });
    model.set("key", [3, 5]);
    expect(readState(shared)).toMatchObject({ key: 3, keys: [3, 5] });
    expect(model.saves).toBe(1);
    writeState(shared, { queries: [1, 4], keys: [] });
    expect([model.get("query"), model.get("key"), model.saves]).toEqual([[1, 4], null, 2]);
    writeState(shared, { query: 0 });
    expect(readTraits(model)).toMatchObject({ queries: [0], query: 0 });
    abort.abort();
    const left = Array.from(model.listeners.values()).reduce((sum, set) => sum + set.size, 0);
    expect(left).toBe(0);
    writeState(shared, { layer: 0 });
    expect(model.get("layer")).toBe(3);
  });
});

describe("a head's number", () => {
  it("sets the head beside itself in all layers that have it, and lets go of them again", () => {
    const { compare = [] } = headInAllLayers(meta, start, 1);
    expect(compare).toEqual([
      [0, 1],
      [3, 1],
    ]);
    // Layer 3 has two heads.
    expect(headInAllLayers(meta, { ...start, compare: [] }, 3).compare).toEqual([[0, 3]]);
    expect(headInAllLayers(meta, { ...start, compare }, 1).compare).toEqual([]);
    const shown = { ...start, compare: [], show_layers: [3] };
    expect(headInAllLayers(meta, shown, 1).compare).toEqual([[3, 1]]);
  });
});

describe("a link of a trace", () => {
  const hit = { layer: 3, head: 1, query: 0, key: 0, pin: { query: 4, key: 2 } };

  it("selects layer, head and both of its ends, as the record counts them; once more lets the ends go", () => {
    const change = chooseLink({ ...start, together_layers: [0, 3] }, hit);
    const all = { layer: 3, heads: [1], together_layers: null, queries: [4], keys: [2] };
    expect(change).toEqual(all);
    const selected = { ...start, ...change } as State;
    expect(chooseLink(selected, hit)).toEqual({ queries: [], keys: [] });
    const other = { ...hit, head: 0 };
    expect(chooseLink(selected, other)).toMatchObject({ heads: [0], queries: [4], keys: [2] });
    expect(chooseLink(selected, { query: 1 })).toEqual({});
  });
});
