// What comes out: files, the Python that opens this view, a copy in the notebook.

import { html, nothing } from "lit-html";
import type { Control } from "./control.js";
import { closeMenuOf, menu } from "./menu.js";

/** The text as one can take it, and whether it is on the clipboard. */
async function copy(event: Event, text: string): Promise<void> {
  const place = (event.currentTarget as Element).parentElement?.querySelector(".aw-copied");
  const [area, note] = [place?.querySelector("textarea"), place?.querySelector("span")];
  if (!(place instanceof HTMLElement) || !area || !note) return;
  place.hidden = false;
  area.value = text;
  area.style.height = "";
  area.style.height = `${Math.min(160, area.scrollHeight + 2)}px`;
  area.focus();
  area.select();
  try {
    await navigator.clipboard.writeText(text);
    note.textContent = "Copied.";
  } catch {
    // Not every host lets a page reach the clipboard; what is selected can be copied anywhere.
    note.textContent = "Selected: copy it with Ctrl C, or ⌘ C.";
  }
}

const item = (kind: string, text: string, does: string, act: (event: Event) => void) => html`<button
  type="button"
  class="aw-item ${kind}"
  @click=${act}
>
  ${text} <span class="aw-label">${does}</span>
</button>`;

export const save: Control = {
  name: "save",
  group: "out",
  rank: () => Number.POSITIVE_INFINITY,
  draw: (_scene, events) => {
    const chosen = (act: () => void) => (event: Event) => {
      closeMenuOf(event.currentTarget as Element);
      act();
    };
    const { pdf, freeze, code } = events;
    return menu({
      name: "save",
      text: "save ▾",
      label: "Save what is shown",
      content: html`
        ${item(
          "aw-save-svg",
          "SVG",
          "a vector figure",
          chosen(() => events.save("svg")),
        )}
        ${pdf ? item("aw-save-pdf", "PDF", "a vector figure for print", chosen(pdf)) : nothing}
        ${item(
          "aw-save-png",
          "PNG",
          "a picture",
          chosen(() => events.save("png")),
        )}
        ${
          code
            ? item(
                "aw-copy",
                "copy as Python",
                "the call that opens this view",
                (event) => void copy(event, code()),
              )
            : nothing
        }
        ${
          freeze
            ? item("aw-freeze", "freeze", "leave a copy here that needs no kernel", chosen(freeze))
            : nothing
        }
        <div class="aw-copied" hidden>
          <textarea readonly rows="2" spellcheck="false" aria-label="This view as Python"></textarea>
          <span class="aw-label" role="status"></span>
        </div>`,
    });
  },
};
