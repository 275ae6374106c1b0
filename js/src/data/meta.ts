// Look-ups in the record's description: streams, steps of a generation, surveys.

import type { Meta, StreamMeta } from "../protocol/generated.js";

/** A survey with none of its inputs open: there are heads and scores, and no weights to draw. */
export function withoutRecord({ meta }: { readonly meta: Meta }): boolean {
  return meta.survey !== undefined && meta.survey.example === undefined;
}

/** How many tokens a generation made: the last one has no position of its own, yet is a step. */
export function numSteps(meta: Meta): number {
  const grown = meta.streams.find(({ prompt }) => prompt && prompt.keys !== null);
  if (!grown?.prompt) return 0;
  return (meta.positions[grown.query_positions]?.length ?? 0) - grown.prompt.queries + 1;
}

export function findStream(meta: Meta, name: string): StreamMeta {
  const stream = meta.streams.find((s) => s.name === name) ?? meta.streams[0];
  if (!stream) throw new Error("The record has no attention to show.");
  return stream;
}
