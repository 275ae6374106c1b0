// Commands to the kernel over custom messages, as anywidget's `invoke` sends them.

import type { TraitModel } from "../protocol/model.js";

/** One message there, one back. */
export type Invoke = <T>(
  name: string,
  message: unknown,
  options: { readonly buffers?: DataView[]; readonly signal: AbortSignal },
) => Promise<[T, DataView[]]>;

/** A live widget model as anywidget passes it to `render`. */
export interface Messenger extends TraitModel {
  /** The host's own; anywidget passes it on as it is. */
  readonly widget_manager?: unknown;
  send(content: unknown, callbacks?: unknown, buffers?: DataView[]): unknown;
}

interface Answer<T> {
  readonly id: string;
  readonly kind: "anywidget-command-response";
  readonly response: T;
}

/**
 * anywidget's commands over plain custom messages, which every host carries. anywidget has a function for it,
 * `experimental.invoke`, and its hosts have to bring it along: marimo's throws.
 */
export function invokeThrough(model: Messenger): Invoke {
  return <T>(name: string, msg: unknown, { buffers = [], signal }: Parameters<Invoke>[2]) =>
    new Promise<[T, DataView[]]>((resolve, reject) => {
      signal.throwIfAborted();
      const id = token();
      const done = () => {
        model.off("msg:custom", answered);
        signal.removeEventListener("abort", aborted);
      };
      const answered = (answer: Answer<T>, data: DataView[] = []) => {
        if (answer?.id !== id) return;
        done();
        resolve([answer.response, data]);
      };
      const aborted = () => {
        done();
        reject(signal.reason);
      };
      signal.addEventListener("abort", aborted);
      model.on("msg:custom", answered);
      const sent = model.send({ id, kind: "anywidget-command", name, msg }, undefined, buffers);
      // marimo's says whether the message left the page.
      Promise.resolve(sent).catch((error: unknown) => {
        done();
        reject(error);
      });
    });
}

/** Told apart among all views of one model. `crypto.randomUUID` is missing in pages that come over plain http. */
function token(): string {
  const words = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(words, (word) => word.toString(36)).join("-");
}
