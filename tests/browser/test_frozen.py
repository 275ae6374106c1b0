"""The widget frozen into its notebook: reopened without a kernel, and in the page nbconvert makes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from browser.lab import PICTURE, Lab, Notebook, Watch
from browser.server import environment
from playwright.sync_api import FrameLocator, expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

TEXT = "The cat sat on the mat because it was tired"
START = "import attnwidget as aw\nmodel, tokenizer = aw.pocket()"
VIEW = f"view = aw.view(model, {TEXT!r}, tokenizer=tokenizer, layer=1, heads=[0], query='it')\nview"
FROZEN = (
    f"aw.view(model, {TEXT!r}, tokenizer=tokenizer, layer=1, heads=[0], query='it', frozen=True)"
)

OPEN_WITHOUT_KERNEL = """async (path) => {
  const panel = await jupyterapp.commands.execute("docmanager:open", {
    path, factory: "Notebook", kernelPreference: { shouldStart: false, canStart: false },
  });
  await panel.context.ready;
  return panel.id;
}"""
SAVE = """(id) => [...jupyterapp.shell.widgets("main")].find((w) => w.id === id).context.save()"""
CLOSE_WITHOUT_KERNEL = (
    """(id) => [...jupyterapp.shell.widgets("main")].find((w) => w.id === id).dispose()"""
)
# The widget manager asks every notebook for its kernel, and trips over one that has none.
MANAGERS_OWN = "reading 'kernel'"


def frozen(output: Locator) -> FrameLocator:
    """The frame in an output, once what is in it has drawn all it has."""
    inside = output.frame_locator("iframe.attnwidget-frozen")
    inside.locator(".attnwidget[data-pending='0']").wait_for()
    return inside


def assert_answers(inside: FrameLocator, page: Page) -> None:
    """Click through a copy: the layer, a head and a token move the views, and nothing was missing."""
    root = inside.locator(".attnwidget")
    head = root.locator(".aw-panel-head canvas")
    assert int(head.evaluate(PICTURE).split()[1]) > 10
    before = head.evaluate(PICTURE)
    root.locator(".aw-next").click()
    expect(root.locator("select[aria-label='Layer']")).to_have_value("2")
    root.locator("[data-head='3']").click()
    expect(root.locator("[data-head='3']")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(300)
    assert head.evaluate(PICTURE) != before
    expect(root.locator(".aw-failure")).to_have_count(0)
    expect(root.locator(".aw-freeze")).to_have_count(0)


def assert_fits(output: Locator) -> None:
    """The frame is as high as what is in it, without a scroll bar."""
    frame = output.locator("iframe.attnwidget-frozen")
    high, inside, scrolls = frame.evaluate(
        """(frame) => {
          const root = frame.contentDocument.documentElement;
          const { height } = frame.contentDocument.body.getBoundingClientRect();
          return [frame.clientHeight, height, root.scrollHeight > frame.clientHeight];
        }"""
    )
    assert abs(high - inside) < 1
    assert not scrolls
    assert high > 300


def stored(lab: Lab, notebook: Notebook) -> dict[str, Any]:
    """Save the notebook; return what is in the file."""
    lab.page.evaluate(SAVE, notebook.identity)
    return json.loads((lab.server.root / notebook.path).read_text("utf-8"))


@pytest.fixture(scope="module")
def written(lab: Lab) -> Iterator[Notebook]:
    """A notebook with one output frozen by its button, one by a call, and one left live; closed."""
    again = VIEW.replace("view =", "again =").removesuffix("view") + "again"
    notebook = lab.notebook([START, VIEW, again, "again.freeze()", VIEW])
    for cell in range(3):
        notebook.run(cell)
    notebook.widget(1).settle()
    notebook.widget(2).settle()
    notebook.widget(1).root.locator(".aw-freeze").click()
    frozen(notebook.output(1))
    notebook.run(3)
    frozen(notebook.output(2))
    notebook.run(4)
    notebook.widget(4).settle()
    stored(lab, notebook)
    notebook.close()
    return notebook


@pytest.fixture
def reopened(lab: Lab, written: Notebook) -> Iterator[Notebook]:
    """That notebook in JupyterLab, trusted as its own author's, with no kernel."""
    identity = lab.page.evaluate(OPEN_WITHOUT_KERNEL, written.path)
    yield Notebook(lab, written.path, identity)
    lab.page.evaluate(CLOSE_WITHOUT_KERNEL, identity)
    lab.watch.problems[:] = [each for each in lab.watch.problems if MANAGERS_OWN not in each]


def converted(notebook: Path, folder: Path, *options: str) -> Path:
    """The page that nbconvert makes of a notebook, without the two scripts it would fetch for formulas."""
    subprocess.run(
        [
            *(sys.executable, "-m", "nbconvert", "--to", "html", "--log-level=ERROR"),
            *("--HTMLExporter.mathjax_url=data:,", "--HTMLExporter.require_js_url=data:,"),
            *(*options, "--output-dir", str(folder), str(notebook)),
        ],
        check=True,
        env=environment(folder),
    )
    return folder / f"{notebook.stem}.html"


@pytest.fixture
def offline(chromium: Browser) -> Iterator[Page]:
    """A page of its own with the network cut."""
    context = chromium.new_context(viewport={"width": 1300, "height": 900}, offline=True)
    watch = Watch(context)
    yield context.new_page()
    watch.assert_clean()
    context.close()


@pytest.mark.parametrize("cell", [1, 2])
def test_a_frozen_output_takes_the_place_of_the_live_one(
    lab: Lab, written: Notebook, cell: int
) -> None:
    document = json.loads((lab.server.root / written.path).read_text("utf-8"))
    data = [output["data"] for output in document["cells"][cell]["outputs"]]
    assert [sorted(each) for each in data] == [["text/html", "text/plain"]] * 2
    assert "".join(data[0]["text/html"]).startswith('<iframe class="attnwidget-frozen"')
    assert "".join(data[0]["text/plain"]).startswith("AttentionWidget(")
    assert len(json.dumps(document["cells"][cell])) < 1_000_000
    # Nothing more came of the call than the other cell's output.
    assert document["cells"][3]["outputs"] == []


@pytest.mark.parametrize("cell", [1, 2])
def test_reopened_without_a_kernel_it_draws_and_answers(reopened: Notebook, cell: int) -> None:
    output = reopened.output(cell)
    inside = frozen(output)
    assert_answers(inside, reopened.page)
    assert_fits(output)
    expect(output.locator(".attnwidget-note")).to_be_hidden()


def test_a_live_output_without_its_kernel_says_how_to_bring_it_back(reopened: Notebook) -> None:
    note = reopened.output(4).locator(".attnwidget-note")
    expect(note).to_be_visible()
    expect(note).to_contain_text("Run this cell again to bring it back")
    expect(note).to_contain_text("view.freeze()")


def test_the_note_is_never_seen_beside_a_live_widget(lab: Lab) -> None:
    notebook = lab.notebook([START, VIEW])
    notebook.run_all()
    notebook.widget(1).settle()
    area, root = notebook.output(1), notebook.widget(1).root
    notebook.page.wait_for_timeout(2500)
    expect(area.locator(".attnwidget-note")).to_be_hidden()
    outside, inside = area.bounding_box(), root.bounding_box()
    assert outside is not None
    assert inside is not None
    assert outside["height"] - inside["height"] < 12
    notebook.close()


def test_a_frozen_output_follows_theme_and_width(reopened: Notebook, lab: Lab) -> None:
    output = reopened.output(1)
    root = frozen(output).locator(".attnwidget")
    expect(root).to_have_attribute("data-theme", "light")
    lab.set_theme("dark")
    expect(root).to_have_attribute("data-theme", "dark")
    lab.set_viewport(640)
    lab.page.wait_for_timeout(500)
    assert_fits(output)
    lab.set_viewport(1400)
    lab.set_theme("light")
    expect(root).to_have_attribute("data-theme", "light")


def test_nbconvert_keeps_it_offline(
    lab: Lab, written: Notebook, tmp_path: Path, offline: Page
) -> None:
    offline.goto(converted(lab.server.root / written.path, tmp_path).as_uri())
    for cell in (1, 2):
        output = offline.locator(".jp-CodeCell").nth(cell)
        assert_answers(frozen(output), offline)
        assert_fits(output)
        expect(output.locator(".attnwidget-note")).to_be_hidden()


def test_frozen_from_the_start_an_executed_notebook_needs_nothing_else(
    tmp_path: Path, offline: Page
) -> None:
    source = tmp_path / "executed.ipynb"
    document = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (START, FROZEN)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(document, source)
    page = converted(source, tmp_path, "--execute")
    text = page.read_text("utf-8")
    assert "widget-state" not in text
    assert "widget-view" not in text
    offline.goto(page.as_uri())
    output = offline.locator(".jp-CodeCell").nth(1)
    assert_answers(frozen(output), offline)
    assert_fits(output)


def test_shown_again_after_freezing_it_is_live(lab: Lab) -> None:
    notebook = lab.notebook([START, VIEW, "view.freeze()", "view", "view.layer = 3\nview.freeze()"])
    for cell in range(4):
        notebook.run(cell)
    notebook.widget(3).settle()
    frozen(notebook.output(1))
    notebook.run(4)
    # The second call replaces what is live now, not the first copy.
    inside = frozen(notebook.output(3))
    expect(inside.locator("select[aria-label='Layer']")).to_have_value("3")
    first = frozen(notebook.output(1))
    expect(first.locator("select[aria-label='Layer']")).to_have_value("1")
    notebook.close()


def test_freezing_inside_another_widget_says_what_to_do(lab: Lab) -> None:
    notebook = lab.notebook(
        [START, VIEW.removesuffix("view") + "import ipywidgets\nipywidgets.VBox([view])"]
    )
    notebook.run_all()
    widget = notebook.widget(1)
    widget.settle()
    widget.root.locator(".aw-freeze").click()
    expect(widget.root.locator(".aw-failure")).to_contain_text("call view.freeze() in a cell")
    notebook.append("view.freeze()")
    frozen(notebook.output(2))
    notebook.close()


def test_hostile_tokens_are_inert_and_legible(lab: Lab) -> None:
    tokens = [
        "</script><img src=x onerror=alert(1)>",
        "]]>",
        "&amp;",
        "\"'`",
        "\u202eevil",
        "👩‍👩‍👧",
        "x" * 10_000,
    ]
    code = (
        "import numpy as np\n"
        f"weights = np.full((1, 1, {len(tokens)}, {len(tokens)}), 1 / {len(tokens)}, np.float32)\n"
        f"aw.view(aw.from_weights(weights, {tokens!r}), query=0, frozen=True)"
    )
    notebook = lab.notebook([START, code])
    notebook.run_all()
    inside = frozen(notebook.output(1))
    root = inside.locator(".attnwidget")
    assert root.locator("img, script").count() == 0
    stops = root.locator(".aw-panel-head .aw-stop")
    stops.first.wait_for(state="attached")  # a moment after the picture
    names = stops.evaluate_all("(stops) => stops.map((stop) => stop.getAttribute('aria-label'))")
    said = " ".join(names)
    for shown in (*tokens[:4], "⟨U+202E⟩evil", "👩‍👩‍👧"):
        assert shown in said
    assert "\u202e" not in said
    assert_fits(notebook.output(1))
    notebook.close()
