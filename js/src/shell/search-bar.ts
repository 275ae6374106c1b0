// Text search: the box, its keys, and jumps from hit to hit.

import { html, nothing, render } from "lit-html";
import type { Scene } from "../scene/scene.js";
import { found, nextHit, type SearchHit } from "../state/search.js";
import type { WidgetState } from "../state/signals.js";
import { readsBackwards } from "../views/text/shading.js";

export interface FinderEvents {
  /** What is shown; null before the first frame. */
  scene(): Scene | null;
  /** Bring a position into the windows of all views. */
  jump(at: { query?: number; key?: number }): void;
  pin(pins: { queries: number[] } | { keys: number[] }): void;
  /** The keys are the widget's again. */
  leave(): void;
}

/** "3 of 17", once a hit is looked at. */
export function countText(hits: number, at: number): string {
  if (hits === 0) return "not found";
  const many = hits.toLocaleString("en");
  return at < 0 ? `${many} ${hits === 1 ? "hit" : "hits"}` : `${at + 1} of ${many}`;
}

/** The text box above the views that looks for text in the input. What is typed is only ever compared. */
export class Finder {
  /** Takes no room: the box lies over what is below. */
  readonly element = document.createElement("div");

  constructor(
    private readonly state: WidgetState,
    private readonly events: FinderEvents,
  ) {
    this.element.className = "aw-over";
  }

  open(): void {
    const { search } = this.state;
    if (!search.peek()) search.value = { text: "", at: -1 };
    const scene = this.events.scene();
    if (scene) this.render(scene);
    const input = this.element.querySelector("input");
    input?.focus();
    input?.select();
  }

  close(): void {
    this.state.search.value = null;
    this.state.hover.value = null;
    this.events.leave();
  }

  toggle(): void {
    if (this.state.search.peek()) this.close();
    else this.open();
  }

  private get hits() {
    const scene = this.events.scene();
    return scene ? found(this.state.search.peek(), scene) : null;
  }

  private type(text: string): void {
    this.state.search.value = { text, at: -1 };
  }

  private step(by: 1 | -1): void {
    const { search, hover } = this.state;
    const [scene, known, now] = [this.events.scene(), this.hits, search.peek()];
    if (!scene || !known || !now) return;
    const at = nextHit(known, by);
    const hit = known.hits[at];
    if (!hit) return;
    search.value = { ...now, at };
    // As if the keyboard stood on it: every view then shows where it is.
    hover.value = { source: "keyboard", ...placeOf(scene, hit) };
    this.events.jump({ [hit.axis]: hit.first });
  }

  private pin(): void {
    const [scene, known] = [this.events.scene(), this.hits];
    const hit = known && (known.hits[known.at] ?? known.hits[0]);
    if (!scene || !hit) return;
    const all = Array.from({ length: hit.last - hit.first + 1 }, (_, i) => hit.first + i);
    this.state.hover.value = null;
    const key = scene.keys === scene.queries ? asksForKeys(scene) : hit.axis === "key";
    this.events.pin(key ? { keys: all } : { queries: all });
    this.events.jump({ [hit.axis]: hit.first });
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.pin();
    else if (event.key === "Enter") this.step(event.shiftKey ? -1 : 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  render(scene: Scene): void {
    const search = this.state.search.peek();
    if (!search) {
      render(nothing, this.element);
      return;
    }
    const { hits = [], at = -1 } = found(search, scene) ?? {};
    const none = hits.length === 0;
    const button = (name: string, text: string, act: () => void) => html`<button
      type="button"
      aria-label=${name}
      title=${name}
      ?disabled=${none}
      @click=${act}
    >
      ${text}
    </button>`;
    render(
      html`<div class="aw-search aw-box" role="search">
        <input
          type="text"
          aria-label="Search the text"
          placeholder="search the text"
          autocomplete="off"
          spellcheck="false"
          .value=${search.text}
          @input=${(event: Event) => this.type((event.target as HTMLInputElement).value)}
          @keydown=${(event: KeyboardEvent) => this.key(event)}
        />
        <span class="aw-search-count" role="status">${search.text.trim() === "" ? nothing : countText(hits.length, at)}</span>
        ${button("Previous hit (Shift Enter)", "▲", () => this.step(-1))}
        ${button("Next hit (Enter)", "▼", () => this.step(1))}
        ${button("Pin what was found (Ctrl Enter)", "pin", () => this.pin())}
        <button type="button" aria-label="Close the search" title="Close (Esc)" @click=${() => this.close()}>✕</button>
      </div>`,
      this.element,
    );
  }
}

/** Whether a click in the text pins a key. */
const asksForKeys = (scene: Scene) => scene.state.form === "text" && readsBackwards(scene);

/** What pointing at a hit would be: in a text with a pin, the other end of a pair. */
function placeOf(scene: Scene, { axis, first }: SearchHit): { query?: number; key?: number } {
  if (scene.keys !== scene.queries) return { [axis]: first };
  const { state } = scene;
  const backwards = asksForKeys(scene);
  const asked = backwards ? state.keys : state.queries;
  const far = state.form === "text" && asked.length > 0;
  return backwards === far ? { query: first } : { key: first };
}
