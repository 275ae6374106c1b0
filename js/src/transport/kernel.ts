// Blocks from a live kernel or a saved copy; requests to freeze and to show another record.

import type { BlockResult, Fetch, Unfinished } from "../data/store.js";
import { decodeBlock } from "../protocol/decode.js";
import type { Messages, Reply, Request, Snapshot } from "../protocol/generated.js";
import { type Connection, KERNEL_GONE } from "./connection.js";
import type { Invoke } from "./invoke.js";
import { StoredBlocks } from "./snapshot.js";

const NO_KERNEL =
  "The kernel did not answer. It may be busy with another cell; if it was restarted, or the notebook was just opened, run this cell again.";
/** Answers come in slices of less than a second, but a busy kernel takes its time. */
const PATIENCE_MS = 60_000;
/** Recording an input. */
const RECORDING_MS = 3_600_000;

function timed(signal: AbortSignal, patience = PATIENCE_MS): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(patience)]);
}

/** An error for the reader: why a command had no answer. */
function unanswered(error: unknown): Error {
  return error instanceof Error && error.message === KERNEL_GONE ? error : new Error(NO_KERNEL);
}

/** Blocks from a live kernel. */
export function kernelFetch(
  invoke: Invoke,
  signal: AbortSignal,
  connection?: Pick<Connection, "told" | "state">,
): Fetch {
  type Answer = [{ replies?: Reply[]; error?: string }, DataView[]];
  const ask = async (requests: readonly Request[]): Promise<Answer> => {
    for (;;) {
      try {
        const message: Messages["blocks"] = { requests };
        return await invoke("blocks", message, { signal: timed(signal) });
      } catch (error) {
        if (signal.aborted) throw error;
        // Where the host would say that the kernel is gone, it is busy: ask again, in case the question was lost.
        const busy = connection?.told && connection.state.peek() !== "gone";
        const late = error instanceof Error && error.name === "TimeoutError";
        if (!busy || !late) throw unanswered(error);
      }
    }
  };
  return async (requests) => {
    const [{ replies, error }, buffers] = await ask(requests);
    if (!replies) throw new Error(error ?? NO_KERNEL);
    let next = 0;
    return replies.map((reply): BlockResult | Unfinished => {
      if (!reply.ok) return "part" in reply ? { part: reply.part } : { error: reply.error };
      const bytes = buffers[next++];
      if (!bytes) return { error: "The kernel's answer came without its numbers." };
      return decodeBlock(reply.block, bytes);
    });
  };
}

const NOT_REPLACED =
  "The notebook did not put the copy in this widget's place, as happens after the page was loaded again: run this cell once more, then freeze.";
/** How long a notebook may take to replace an output of a megabyte. */
const REPLACED_MS = 10_000;

/** Have the kernel replace this widget's output by a copy; returns when the widget is gone from the page. */
export async function askToFreeze(
  invoke: Invoke,
  height: number,
  signal: AbortSignal,
): Promise<void> {
  let reply: { error?: string };
  try {
    [reply] = await invoke<{ error?: string }>(
      "freeze_shown",
      { height },
      { signal: timed(signal) },
    );
  } catch (error) {
    if (signal.aborted) return;
    throw error instanceof Error && error.name !== "TimeoutError" ? error : unanswered(error);
  }
  if (reply.error) throw new Error(reply.error);
  await new Promise((resolve) => setTimeout(resolve, REPLACED_MS));
  if (!signal.aborted) throw new Error(NOT_REPLACED);
}

/** Commands after which another record takes the place of the one on show. */
type ShowsAnother = "open_example" | "edit_text" | "compare_before";

/** Have the kernel record an input, or put two records side by side, and show that. */
export async function askToShow<Name extends ShowsAnother>(
  invoke: Invoke,
  name: Name,
  message: Messages[Name],
  signal: AbortSignal,
): Promise<void> {
  const limit = { signal: timed(signal, RECORDING_MS) };
  const [reply] = await invoke<{ error?: string }>(name, message, limit);
  if (reply.error) throw new Error(reply.error);
}

/** Commands that are answered at once; what comes of them comes as a trait. */
type StartsOrStops = "start_effects" | "stop_effects" | "start_trace" | "stop_trace";

/** Have the kernel begin or end what it works through by itself. */
export async function askToRun<Name extends StartsOrStops>(
  invoke: Invoke,
  name: Name,
  message: Messages[Name],
  signal: AbortSignal,
): Promise<void> {
  const [reply] = await invoke<{ error?: string }>(name, message, { signal: timed(signal) });
  if (reply.error) throw new Error(reply.error);
}

/** Drawing and converting a figure of many links. */
const DRAWING_MS = 600_000;

/** Have the kernel draw what is shown as a PDF. */
export async function askForPdf(invoke: Invoke, signal: AbortSignal): Promise<Blob> {
  const limit = { signal: timed(signal, DRAWING_MS) };
  const message: Messages["draw_pdf"] = {};
  const [{ error }, [pdf]] = await invoke<{ error?: string }>("draw_pdf", message, limit);
  if (error !== undefined || !pdf) throw new Error(error ?? NO_KERNEL);
  // A copy: the message's buffer may be shared, which no blob takes.
  return new Blob(
    [new Uint8Array(pdf.buffer as ArrayBuffer, pdf.byteOffset, pdf.byteLength).slice()],
    {
      type: "application/pdf",
    },
  );
}

/** Blocks from a snapshot: there, or not in it. */
export function snapshotFetch(snapshot: Snapshot): Fetch {
  const stored = new StoredBlocks(snapshot);
  const answer = async (request: Request): Promise<BlockResult> =>
    (await stored.get(request)) ?? { error: notStored(request) };
  return (requests) => Promise.all(requests.map(answer));
}

function notStored(request: Request): string {
  if (!("layer" in request)) {
    const what = request.what === "ranking" ? "This ranking is" : "Scores of heads are";
    return `${what} not in this saved copy. Run the notebook, or save the copy with a larger budget, to see it.`;
  }
  return (
    `Layer ${request.layer} · head ${request.head} is not ${request.what === "weights" ? "" : "whole "}in this saved copy. ` +
    "Run the notebook, or save the copy with a larger budget, to see it."
  );
}
