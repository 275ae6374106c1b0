// `Traced`: the trace that is known of what is drawn, and why none can be found.

import type { TraceOfView } from "../protocol/generated.js";

export interface Traced {
  readonly found: TraceOfView | null;
  /** Why no other can be found; empty where one can. */
  readonly cannot: string;
}

const NO_KERNEL =
  "This is a saved copy, which has no model to trace: run the notebook, and choose “trace” there.";
const STOPPED = "The kernel has stopped: no model to trace.";
export const COMPARED =
  "Several records are compared, and a trace is of one run of a model: show one of them.";

/** Why nothing can be traced here, from what the kernel says of it; null where it says nothing. */
export function whyNoTrace(
  kernel: "none" | "gone" | "there",
  said: string | null,
  compared: boolean,
): string {
  if (compared) return COMPARED;
  if (kernel === "none") return NO_KERNEL;
  return kernel === "gone" ? STOPPED : (said ?? NO_KERNEL);
}
