import type { Fetch, Result } from "../data/store.js";
import { requestKey } from "../data/store.js";
import { decodeBase64, decodeBlock } from "./decode.js";
import type { Reply, Request, Snapshot } from "./generated.js";

/** `experimental.invoke` of anywidget: one message there, one back. */
export type Invoke = <T>(
  name: string,
  message: unknown,
  options?: { buffers?: DataView[]; signal?: AbortSignal },
) => Promise<[T, DataView[]]>;

const NO_KERNEL =
  "The kernel did not answer. It may be busy with another cell; if it was restarted, or the notebook was just opened, run this cell again.";
/** anywidget gives up after three seconds by default; a large head on a busy kernel takes longer. */
const PATIENCE_MS = 60_000;

function timed(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
}

/** Blocks from a live kernel. */
export function kernelFetch(invoke: Invoke, signal: AbortSignal): Fetch {
  return async (requests) => {
    let answer: [{ replies?: Reply[]; error?: string }, DataView[]];
    try {
      answer = await invoke("blocks", { requests }, { signal: timed(signal) });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Error(NO_KERNEL);
    }
    const [{ replies, error }, buffers] = answer;
    if (!replies) throw new Error(error ?? NO_KERNEL);
    let next = 0;
    return replies.map((reply): Result => {
      if (!reply.ok) return { error: reply.error };
      const bytes = buffers[next++];
      if (!bytes) return { error: "The kernel's answer came without its numbers." };
      return decodeBlock(reply.block, bytes);
    });
  };
}

/** Blocks from a snapshot: there, or not in it. */
export function snapshotFetch(snapshot: Snapshot): Fetch {
  const stored = new Map(snapshot.blocks.map(({ request, block }) => [requestKey(request), block]));
  return async (requests) =>
    requests.map((request): Result => {
      const block = stored.get(requestKey(request));
      if (block?.data === undefined) return { error: notStored(request) };
      return decodeBlock(block, decodeBase64(block.data));
    });
}

function notStored(request: Request): string {
  return (
    `Layer ${request.layer} · head ${request.head} is not in this saved copy. ` +
    "Run the notebook, or save the copy with a larger budget, to see it."
  );
}
