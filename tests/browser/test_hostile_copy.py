"""A frozen copy that somebody changed runs code of its own: it finds nothing of the notebook, and moves nothing of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from browser.copies import assert_fits, frozen
from browser.waiting import until
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.lab import Lab, Notebook
    from playwright.sync_api import Locator

# Each returns something where it reaches it. The address of the page is known to a copy, which makes this no easier.
SCRIPT = """
const opened = (request) => new Promise((tell, fail) => {
  request.onsuccess = () => tell("opened");
  request.onerror = () => fail(request.error);
});
const attempts = {
  document: () => parent.document.title,
  application: () => parent.jupyterapp.name,
  frame: () => frameElement.tagName,
  cookies: () => `${document.cookie} `,
  "cookies of the page": () => `${parent.document.cookie} `,
  storage: () => `${localStorage.length}`,
  "storage of the page": () => `${parent.localStorage.length}`,
  "storage of the tab": () => `${sessionStorage.length}`,
  database: () => opened(indexedDB.open("attnwidget-hostile")),
  server: async () => (await fetch(new URL("/api/contents", document.baseURI))).status,
  "server with cookies": async () =>
    (await fetch(new URL("/api/contents", document.baseURI), { credentials: "include" })).status,
};
const found = {};
for (const [name, attempt] of Object.entries(attempts)) {
  try {
    const got = await attempt();
    found[name] = got ? "reached" : "nothing";
  } catch (error) {
    found[name] = "refused";
  }
}
document.documentElement.dataset.found = JSON.stringify(found);
"""
# Those that only leave a trace where they succeed, which the page around would not outlive.
LEAVES = """() => {
  const refused = [];
  const form = Object.assign(document.createElement("form"), { action: "/", target: "_top" });
  document.body.append(form);
  for (const [name, leave] of Object.entries({
    top: () => { top.location.href = "about:blank"; },
    parent: () => { parent.location.replace("about:blank"); },
    form: () => { form.submit(); throw 0; },
    popup: () => { if (!open("about:blank")) throw 0; },
    dialog: () => { if (!confirm("?")) throw 0; },
  })) try { leave(); } catch { refused.push(name); }
  return refused;
}"""
# The same copy twice: in the frame that `freeze` makes, and in one that shares the page's origin.
CELLS = [
    f"""
import html

import attnwidget as aw
from IPython.display import HTML, display

model, tokenizer = aw.pocket()
view = aw.view(model, "The cat sat on the mat because it was tired", tokenizer, layer=1)
made = view._notebook.frozen_bundle(view, 950_000)["text/html"]
start, _, rest = made.partition('srcdoc="')
document, end = rest.split('"', 1)
page = html.unescape(document)
policy = page[page.index("<meta http-equiv"):].split(">", 1)[0] + ">"
page = page.replace(policy, "").replace("</body>", '<script type="module">' + {SCRIPT!r} + "</script></body>")
start = start.replace("640px", "410px")
changed = f'{{start}}srcdoc="{{html.escape(page)}}"{{end}}'
""",
    "display(HTML(changed))",
    """display(HTML(changed.replace('sandbox="allow-scripts allow-downloads"', "")))""",
]


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Notebook]:
    notebook = lab.notebook(CELLS)
    notebook.run_all()
    yield notebook
    notebook.close()


@pytest.fixture(autouse=True)
def refusals(lab: Lab, clean_page: None) -> Iterator[None]:
    """What Chromium says of each thing that it does not let a copy do, which is what is wanted here."""
    assert clean_page is None
    yield
    said = ("sandbox", "blocked by CORS policy", "net::ERR_FAILED", "Unsafe attempt", "Blocked")
    lab.watch.problems[:] = [
        each for each in lab.watch.problems if not any(words in each for words in said)
    ]


def frame_of(notebook: Notebook, cell: int) -> Locator:
    return notebook.output(cell).locator("iframe.attnwidget-frozen")


def found(notebook: Notebook, cell: int) -> dict[str, str]:
    """What the code inside a copy reached."""
    root = frozen(notebook.output(cell)).locator("html[data-found]")
    read: dict[str, str] = json.loads(root.get_attribute("data-found") or "")
    return read


def test_its_code_reaches_nothing_of_the_notebook(notebook: Notebook) -> None:
    reached = found(notebook, 1)
    assert set(reached.values()) == {"refused"}, reached
    # The very same code, where it may: each attempt is one that works.
    may = found(notebook, 2)
    assert reached.keys() == may.keys()
    assert set(may.values()) == {"reached"}, may


def test_it_cannot_lead_the_reader_away(lab: Lab, notebook: Notebook) -> None:
    inside = frozen(notebook.output(1)).locator("html")
    before = lab.page.url
    assert inside.evaluate(LEAVES) == ["top", "parent", "form", "popup", "dialog"]
    # A form would be sent in a task of its own, after this one.
    assert inside.evaluate("() => new Promise((tell) => setTimeout(() => tell(true)))")
    assert lab.page.url == before
    assert lab.context.pages == [lab.page]
    assert_fits(notebook.output(1))


def test_only_its_own_frame_changes_and_only_to_a_height(lab: Lab, notebook: Notebook) -> None:
    frame = frame_of(notebook, 1)
    inside = frozen(notebook.output(1)).locator("html")
    assert_fits(notebook.output(1))
    lab.page.evaluate(
        """() => {
          window.styles = [];
          new MutationObserver((records) => {
            for (const { target } of records) if (target.tagName === "IFRAME") styles.push(target.style.cssText);
          }).observe(document.body, { subtree: true, attributeFilter: ["style"] });
        }"""
    )
    # A frame beside it, which is no copy.
    lab.page.evaluate(
        """() => new Promise((tell) => {
          addEventListener("message", ({ data }) => data?.height === 321 && tell());
          const frame = document.createElement("iframe");
          frame.srcdoc = `<script>parent.postMessage({ attnwidget: "copy", height: 321 }, "*")</script>`;
          document.body.append(frame);
        })"""
    )
    inside.evaluate(
        """() => {
          const heights = [1e9, 20_001, 0, -5, NaN, Infinity, "400", "1px;position:fixed", null, [400], true];
          const wrong = [null, 400, "400", [], {}, { height: 400 }, { attnwidget: "page", height: 400 },
            { attnwidget: "copy", height: 400, position: "fixed" }, { attnwidget: "page", dark: true, height: 400 }];
          for (const each of wrong) parent.postMessage(each, "*");
          for (const height of heights) parent.postMessage({ attnwidget: "copy", height }, "*");
          parent.postMessage({ attnwidget: "copy", height: 777 }, "*");
        }"""
    )
    seen: list[Any] = []

    def last_came() -> bool:
        seen[:] = lab.page.evaluate("styles")
        return any("777px" in style for style in seen)

    assert until(lab.page, last_came), seen
    for style in seen:
        assert "height: 777px" in style, seen
        assert "position" not in style
    expect(frame).to_have_css("height", "777px")
