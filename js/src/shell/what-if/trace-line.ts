// `TraceLine`: under the form "trace" how far the trace is, how much of it is wanted, and what was refused.

import { html, nothing, render, type TemplateResult } from "lit-html";
import type { Messages, TraceOfView } from "../../protocol/generated.js";
import { recordScene, type Scene, tracedHere } from "../../scene/scene.js";
import { type Traced, whyNoTrace } from "../../scene/traced.js";
import type { EditTraits } from "../../state/edit-traits.js";
import { countOf } from "../../views/trace/view.js";
import { TabRow } from "../focus/tab-row.js";
import { drawsHead } from "../toolbar/drawn.js";
import { type Choice, list } from "../toolbar/parts.js";

export type TraceWish = Messages["start_trace"];

export interface TraceTargets {
  /** Find a trace, or, of null, stop; null without a kernel. */
  readonly trace: ((wish: TraceWish | null) => Promise<void>) | null;
  /** Whether the kernel is gone, and with it the model. */
  gone(): boolean;
  readonly compared: boolean;
  redraw(): void;
}

const THRESHOLDS = [0.01, 0.02, 0.05, 0.1, 0.2] as const;
const BUDGETS = [12, 24, 48, 96, 192, 384] as const;
const USUAL = { threshold: 0.02, budget: 48 } as const;

const shareText = (share: number) => `${Number((100 * share).toFixed(2))} %`;

/** Numbers to choose among, with the one in force, whatever it is. */
function choices(
  known: readonly number[],
  now: number,
  text: (value: number) => string,
): readonly Choice[] {
  const all = [...new Set([...known, now])].sort((a, b) => a - b);
  return all.map((value) => ({ value: String(value), text: text(value) }));
}

/** What has been done, or is being done, in a few words. */
function progress({ state, done, of, trace, at }: TraceOfView): string {
  const where = at === null ? "" : ` after “${at.trim()}”`;
  if (state === "running" && trace === null) return `trace${where}: the first runs …`;
  if (state === "running") return `trace${where}: ${done} of ${of} links cut`;
  if (state === "refused" || trace === null) return "no trace";
  const stopped = state === "stopped" ? `, stopped at ${done} of ${of} cuts` : "";
  const count = countOf(trace);
  return `trace${where}: ${count} ${count === 1 ? "link" : "links"}${stopped}`;
}

export interface TraceGiven {
  readonly scene: Scene;
  readonly found: TraceOfView | null;
  /** Why no other can be found; empty where one can. */
  readonly cannot: string;
  /** Whether there is a kernel; a saved copy says what was found, and has no button. */
  readonly live: boolean;
  /** Why a button did nothing. */
  readonly failure: string | null;
}

type Ask = (wish: TraceWish | null) => void;

function stopButton({ found, live }: TraceGiven, ask: Ask) {
  if (found?.state !== "running" || !live) return nothing;
  return html`<button
    type="button"
    data-trace="stop"
    aria-label="Stop tracing"
    title="Stop (Esc)"
    @click=${() => ask(null)}
  >✕</button>`;
}

/** How much is traced, and the same once more: from another position, where another is pinned. */
function wishes({ scene, found }: TraceGiven, ask: Ask): TemplateResult {
  const { threshold, budget } = found ?? USUAL;
  const again = (change: Partial<TraceWish>) => ask({ threshold, budget, ...change, again: true });
  const least = list(
    "Least link",
    String(threshold),
    choices(THRESHOLDS, threshold, (share) => `from ${shareText(share)} of the largest`),
    (value) => again({ threshold: Number(value) }),
    { title: "How large a link must be, as a share of the largest" },
  );
  const most = list(
    "Most cuts",
    String(budget),
    choices(BUDGETS, budget, (count) => `at most ${count} cuts`),
    (value) => again({ budget: Number(value) }),
    {
      title:
        "How many links are checked by running the model without them: a pass each, or a share of one",
    },
  );
  const { query } = scene.state;
  const other = found !== null && query !== null && query !== found.position;
  const label = other ? `trace from “${scene.queries[query]?.label.trim() ?? query}”` : "again";
  return html`${least}${most}<button
      type="button"
      data-trace="again"
      title=${other ? "Trace what the model says at the pinned query" : "Trace once more"}
      ?disabled=${found?.state === "running"}
      @click=${() => again({})}
    >${label}</button>`;
}

/** What has become of the trace, and how it is asked for in another way. */
export function traceLine(given: TraceGiven, ask: Ask): TemplateResult {
  const { found, cannot, live, failure } = given;
  const said = failure ?? (found?.message || null);
  const refused = failure !== null || found?.state === "refused";
  const told = said
    ? html`<span class=${refused ? "aw-failure" : "aw-part"} role=${refused ? "alert" : "status"}>${said}</span>`
    : nothing;
  return html`<span class="aw-progress" role="status"
      >${found ? progress(found) : ""}${stopButton(given, ask)}</span
    >${cannot || !live ? nothing : wishes(given, ask)}${told}`;
}

export class TraceLine {
  readonly element = document.createElement("div");
  private readonly row = new TabRow(this.element);
  private failure: string | null = null;
  /** What was asked for last, until there is something of it. */
  private asked = false;

  constructor(
    private readonly edits: EditTraits,
    private readonly targets: TraceTargets,
  ) {
    this.element.className = "aw-trace";
  }

  /** What is known, and why no more can be; reading it subscribes to both. */
  get traced(): Traced {
    const { trace, gone, compared } = this.targets;
    const kernel = trace === null ? "none" : gone() ? "gone" : "there";
    const said = this.edits.cannotTrace.value;
    return { found: this.edits.traced.value, cannot: whyNoTrace(kernel, said, compared) };
  }

  render(shown: Scene): void {
    const scene = recordScene(shown);
    const open = scene.state.form === "trace" && drawsHead(shown);
    const found = tracedHere(scene);
    const cannot = scene.traced?.cannot ?? "";
    if (found) this.asked = false;
    // Whoever chooses this form, here or in Python, wants to see one.
    if (open && !found && !cannot && !this.asked) this.ask({ ...USUAL, again: false });
    const shows = open && (found !== null || this.failure !== null);
    const live = this.targets.trace !== null;
    const given = { scene, found, cannot, live, failure: this.failure };
    this.element.hidden = !shows;
    render(shows ? traceLine(given, (wish) => this.ask(wish)) : nothing, this.element);
    this.row.update();
  }

  /** Escape while links are cut stops that; whether they were. */
  pressed(event: KeyboardEvent): boolean {
    const running = this.edits.traced.peek()?.state === "running" && !this.element.hidden;
    if (event.key !== "Escape" || !running || this.targets.trace === null) return false;
    event.preventDefault();
    this.ask(null);
    return true;
  }

  private ask(wish: TraceWish | null): void {
    this.failure = null;
    this.asked = true;
    this.targets.trace?.(wish).catch((error: unknown) => {
      this.failure = error instanceof Error ? error.message : String(error);
      this.targets.redraw();
    });
  }
}
