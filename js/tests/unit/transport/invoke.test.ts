import { describe, expect, it } from "vitest";
import { invokeThrough, type Messenger } from "../../../src/transport/invoke.js";

interface Sent {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly msg: unknown;
}
type Listener = (message: unknown, buffers?: DataView[]) => void;

/** A model of a host that keeps what was sent, and says what a kernel would. */
class Host implements Messenger {
  readonly sent: [Sent, DataView[]][] = [];
  readonly listeners = new Set<Listener>();
  readonly refuses: boolean;

  constructor(refuses = false) {
    this.refuses = refuses;
  }

  send(content: unknown, _callbacks?: unknown, buffers: DataView[] = []): unknown {
    this.sent.push([content as Sent, buffers]);
    return this.refuses ? Promise.reject(new Error("offline")) : undefined;
  }

  say(message: unknown, buffers?: DataView[]): void {
    for (const listener of [...this.listeners]) listener(message, buffers);
  }

  on(event: string, callback: (...args: never[]) => void): void {
    expect(event).toBe("msg:custom");
    this.listeners.add(callback as Listener);
  }

  off(_event: string, callback: (...args: never[]) => void): void {
    this.listeners.delete(callback as Listener);
  }

  get(): unknown {
    return undefined;
  }
  set(): void {}
  save_changes(): void {}
}

const { signal } = new AbortController();

describe("a command over custom messages", () => {
  it("is what anywidget's kernel side takes, and has its own answer among others", async () => {
    const host = new Host();
    const invoke = invokeThrough(host);
    const buffers = [new DataView(new ArrayBuffer(3))];
    const first = invoke<number>("blocks", { requests: [1] }, { signal, buffers });
    const second = invoke<number>("blocks", { requests: [2] }, { signal });
    const [[one, with3], [two]] = host.sent as [[Sent, DataView[]], [Sent, DataView[]]];
    expect(one).toMatchObject({
      kind: "anywidget-command",
      name: "blocks",
      msg: { requests: [1] },
    });
    expect(with3).toBe(buffers);
    expect(one.id).not.toBe(two.id);
    host.say({ kind: "progress", part: 0.5 });
    host.say(null);
    host.say({ id: two.id, response: 22 });
    host.say({ id: one.id, response: 11 }, buffers);
    expect(await first).toEqual([11, buffers]);
    expect(await second).toEqual([22, []]);
    expect(host.listeners.size).toBe(0);
  });

  it("ends when it is no longer wanted", async () => {
    const host = new Host();
    const controller = new AbortController();
    const answer = invokeThrough(host)("blocks", {}, { signal: controller.signal });
    controller.abort(new Error("gone"));
    await expect(answer).rejects.toThrow("gone");
    expect(host.listeners.size).toBe(0);
    const late = invokeThrough(host)("blocks", {}, { signal: controller.signal });
    await expect(late).rejects.toThrow("gone");
    expect(host.sent.length).toBe(1);
  });

  it("fails where the host could not send it", async () => {
    const host = new Host(true);
    await expect(invokeThrough(host)("blocks", {}, { signal })).rejects.toThrow("offline");
    expect(host.listeners.size).toBe(0);
  });
});
