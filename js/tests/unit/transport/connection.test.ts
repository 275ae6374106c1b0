import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Request } from "../../../src/protocol/generated.js";
import { Connection, KERNEL_GONE } from "../../../src/transport/connection.js";
import type { Invoke, Messenger } from "../../../src/transport/invoke.js";
import { kernelFetch } from "../../../src/transport/kernel.js";

type Slot = (kernel: unknown, status: unknown) => void;

/** A host whose widget manager says what becomes of its kernel, as JupyterLab's does. */
class Host implements Messenger {
  readonly listeners = new Map<string, Set<() => void>>();
  readonly slots = new Set<Slot>();
  readonly widget_manager: unknown;
  disconnected = false;

  constructor(tells = true) {
    const { slots } = this;
    const statusChanged = {
      connect: (slot: Slot) => slots.add(slot),
      disconnect: (slot: Slot) => slots.delete(slot),
    };
    this.widget_manager = tells ? { kernel: { statusChanged } } : undefined;
  }

  get el(): HTMLElement {
    return { closest: () => (this.disconnected ? {} : null) } as unknown as HTMLElement;
  }

  status(now: string): void {
    for (const slot of [...this.slots]) slot(null, now);
  }

  /** Say whether the view's comm is there, as ipywidgets does. */
  async live(is: boolean): Promise<void> {
    this.disconnected = !is;
    for (const listener of this.listeners.get("comm_live_update") ?? []) listener();
    await Promise.resolve();
  }

  on(event: string, callback: (...args: never[]) => void): void {
    const all = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, all.add(callback as () => void));
  }

  off(event: string, callback: (...args: never[]) => void): void {
    this.listeners.get(event)?.delete(callback as () => void);
  }

  send(): void {}
  get(): unknown {
    return undefined;
  }
  set(): void {}
  save_changes(): void {}
}

/** A kernel that answers when the test says so. */
class Kernel {
  readonly asked: { answer: (value: unknown) => void }[] = [];
  readonly invoke = ((_name, _message, { signal }) =>
    new Promise((resolve, reject) => {
      this.asked.push({ answer: (value) => resolve([value, []] as never) });
      signal.addEventListener("abort", () => reject(signal.reason));
    })) as Invoke;
}

const request: Request = { what: "mean", stream: "s", layer: 0, head: 0 };
const refused = { replies: [{ ok: false, error: "no" }] };

describe("what is known of the kernel", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it.each(["restarting", "autorestarting", "terminating", "dead"])(
    "is that it is gone once its status is %s, and what waits ends with that",
    async (status) => {
      const { signal } = new AbortController();
      const host = new Host();
      const connection = new Connection(host, host.el, signal);
      const fetch = kernelFetch(connection.through(new Kernel().invoke), signal, connection);
      const waits = fetch([request]);
      const ends = expect(waits).rejects.toThrow(KERNEL_GONE);
      host.status("busy");
      expect(connection.state.value).toBe("ready");
      host.status(status);
      expect(connection.state.value).toBe("gone");
      await ends;
      // What is asked for from now on does not wait either; another kernel in its place knows nothing of the view.
      host.status("idle");
      await host.live(true);
      await expect(fetch([request])).rejects.toThrow(KERNEL_GONE);
    },
  );

  it("is that it is gone while the view's comm is, and there again with it", async () => {
    const { signal } = new AbortController();
    const host = new Host(false);
    const kernel = new Kernel();
    const connection = new Connection(host, host.el, signal);
    const invoke = connection.through(kernel.invoke);
    await host.live(false);
    expect(connection.state.value).toBe("gone");
    await host.live(true);
    expect(connection.state.value).toBe("ready");
    const answer = invoke("blocks", {}, { signal });
    kernel.asked[0]?.answer(1);
    expect(await answer).toEqual([1, []]);
  });

  it("is that it is busy while a command waits", async () => {
    const { signal } = new AbortController();
    const host = new Host();
    const kernel = new Kernel();
    const connection = new Connection(host, host.el, signal);
    const invoke = connection.through(kernel.invoke);
    const seen: string[] = [];
    connection.state.subscribe((state) => void seen.push(state));
    const both = [invoke("blocks", {}, { signal }), invoke("blocks", {}, { signal })];
    vi.advanceTimersByTime(1_400);
    expect(seen).toEqual(["ready"]);
    vi.advanceTimersByTime(200);
    kernel.asked[0]?.answer(1);
    await both[0];
    expect(seen).toEqual(["ready", "busy"]);
    kernel.asked[1]?.answer(2);
    await both[1];
    expect(seen).toEqual(["ready", "busy", "ready"]);
  });

  it("lets a busy kernel take its time where the host would say that it is gone", async () => {
    const { signal } = new AbortController();
    for (const tells of [true, false]) {
      const host = new Host(tells);
      const connection = new Connection(host, host.el, signal);
      let asked = 0;
      const late = new DOMException("late", "TimeoutError");
      const slow = (async () => {
        if (asked++ === 0) throw late;
        return [refused, []];
      }) as unknown as Invoke;
      const answer = kernelFetch(slow, signal, connection)([request]);
      if (tells) expect(await answer).toEqual([{ error: "no" }]);
      else await expect(answer).rejects.toThrow("did not answer");
      expect(asked).toBe(tells ? 2 : 1);
    }
  });

  it("leaves no listener behind", () => {
    const controller = new AbortController();
    const host = new Host();
    new Connection(host, host.el, controller.signal);
    expect(host.slots.size).toBe(1);
    controller.abort();
    expect(host.slots.size).toBe(0);
    expect(host.listeners.get("comm_live_update")?.size).toBe(0);
  });
});
