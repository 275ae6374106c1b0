// Contexts of the selected head of a survey: read from their block, searched, broken into lines.

import type { BlockResult } from "../../data/blocks.js";
import type { Scene } from "../../scene/scene.js";
import { textWidth } from "../../surface/text.js";
import { chosenScores, scoreTitle, toldOfLinks } from "../model/head-scores.js";

/** A token of a context, with what it is. */
export interface ContextToken {
  readonly text: string;
  readonly joined: boolean;
  readonly isQuery: boolean;
  readonly isKey: boolean;
  readonly afterGap: boolean;
}

/** A place where a head does most. */
export interface Context {
  readonly input: number;
  readonly value: number;
  readonly weight: number;
  readonly query: number;
  readonly key: number;
  /** Queries of another sequence first, then keys; most have one sequence for both. */
  readonly parts: readonly (readonly ContextToken[])[];
  /** Why its input cannot be opened. */
  readonly closed: string | null;
}

/** A token on its line. */
export interface Placed extends ContextToken {
  readonly x: number;
  readonly width: number;
}

export type Line = readonly Placed[];

interface Sent {
  readonly input: number;
  readonly value: number;
  readonly weight: number;
  readonly query: number;
  readonly key: number;
  readonly tokens: readonly (readonly [string, number])[];
  readonly queries?: readonly (readonly [string, number])[];
  readonly closed?: string;
}

/** The rule that asks about no score. */
export const LINK = "link";

/** A key's box on each side of its token. */
export const BOX = 2;

const GAP = "… ";
const known = new WeakMap<Float32Array, readonly Context[]>();

function tokensOf(sent: Sent["tokens"]): readonly ContextToken[] {
  return sent.map(([text, flags]) => ({
    text,
    joined: (flags & 1) > 0,
    isQuery: (flags & 2) > 0,
    isKey: (flags & 4) > 0,
    afterGap: (flags & 8) > 0,
  }));
}

/** What a block of contexts says; the same list as long as it is the same block. */
export function readContexts(data: Float32Array): readonly Context[] {
  let found = known.get(data);
  if (!found) {
    // Piece by piece: a call takes only so many arguments.
    let text = "";
    for (let start = 0; start < data.length; start += 4096)
      text += String.fromCharCode(...data.subarray(start, start + 4096));
    found = (JSON.parse(text) as readonly Sent[]).map(
      ({ tokens, queries, closed = null, ...rest }) => ({
        ...rest,
        closed,
        parts: [...(queries ? [tokensOf(queries)] : []), tokensOf(tokens)],
      }),
    );
    known.set(data, found);
  }
  return found;
}

/** Whether a survey has contexts to show. */
export const hasContexts = ({ meta }: Pick<Scene, "meta">): boolean =>
  meta.survey?.contexts !== undefined;

/** The score on show where inputs and queries have it, which a ranking and gold links are not; else null. */
export function scoreOfInputs(scene: Scene): string | null {
  const { x } = chosenScores(scene);
  const isScore = scene.meta.scores.some(({ name }) => name === x);
  return isScore && toldOfLinks(scene, x) === null ? x : null;
}

/** What contexts are ranked by: the score on show, or the strongest links. */
export function contextRule(scene: Scene): string {
  return (scene.options.strongest ? null : scoreOfInputs(scene)) ?? LINK;
}

export function ruleTitle(scene: Scene, rule: string): string {
  return rule === LINK ? "strongest links" : scoreTitle(scene, rule);
}

/** The tokens as one line of text. */
export function contextText({ parts }: Context): string {
  return parts
    .map((part) =>
      part
        .map(({ text, joined, afterGap }) => (afterGap ? ` ${GAP}` : joined ? "" : " ") + text)
        .join("")
        .trim(),
    )
    .join(" ");
}

const folded = (text: string) => text.toLowerCase().split(/\s+/u).filter(Boolean).join(" ");

/** Those contexts that have a text, all for none; upper and lower case are alike. */
export function searched(contexts: readonly Context[], text: string): readonly Context[] {
  const wanted = folded(text);
  if (!wanted) return contexts;
  return contexts.filter((one) => folded(contextText(one)).includes(wanted));
}

/** The contexts of the selected head: a list, or why there is none yet. */
export function contextsOf(scene: Scene): readonly Context[] | string {
  const { state, blocks, options } = scene;
  const of = [state.layer, state.heads[0] ?? 0] as const;
  const found: BlockResult | null = blocks.heads({
    what: "contexts",
    score: contextRule(scene),
    of,
  });
  if (!found) return "…";
  if ("error" in found) return found.error;
  const all = readContexts(found.data);
  if (all.length === 0) return "No input of the survey has such a query.";
  const some = searched(all, options.containing);
  if (some.length === 0)
    return `None of the ${all.length} contexts here has “${options.containing.trim()}”.`;
  return some;
}

function wrapped(tokens: readonly ContextToken[], width: number, size: number): Line[] {
  const lines: Placed[][] = [];
  const space = textWidth(" ", size);
  let line: Placed[] = [];
  let x = 0;
  for (const token of tokens) {
    const text = token.text;
    const wide = Math.min(width, textWidth(text, size));
    const lead = token.afterGap ? textWidth(GAP, size) : 0;
    const gap = line.length === 0 || (token.joined && !token.afterGap) ? 0 : space;
    // A box has room of its own, and is not laid over the words beside it.
    const box = token.isKey ? BOX : 0;
    if (line.length > 0 && x + gap + lead + wide + 2 * box > width) {
      lines.push(line);
      line = [];
      x = 0;
    } else {
      x += gap;
    }
    line.push({ ...token, x: x + lead + box, width: wide });
    x += lead + wide + 2 * box;
  }
  if (line.length > 0) lines.push(line);
  return lines;
}

/**
 * Tokens on at most so many lines. Where they are too many those at the ends go first, the farther from
 * query and key the sooner; these two stay.
 */
export function contextLines(
  context: Context,
  width: number,
  size: number,
  most: number,
): readonly Line[] {
  const { parts } = context;
  const each = Math.max(1, Math.floor(most / parts.length));
  return parts.flatMap((part) => {
    let tokens = part;
    let lines = wrapped(tokens, width, size);
    while (lines.length > each) {
      const marked = tokens.flatMap(({ isQuery, isKey }, at) => (isQuery || isKey ? [at] : []));
      const before = marked[0] ?? 0;
      const after = tokens.length - 1 - (marked.at(-1) ?? 0);
      if (before === 0 && after === 0) break;
      const [next, ...rest] = tokens.slice(1);
      tokens =
        before >= after && next
          ? [{ ...next, afterGap: true }, ...rest]
          : tokens.slice(0, tokens.length - 1);
      lines = wrapped(tokens, width, size);
    }
    return lines;
  });
}
