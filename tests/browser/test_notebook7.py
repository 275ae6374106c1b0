"""The widget in Notebook 7: it draws, a click reaches Python, Python moves it, and it can be frozen and reopened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.notebook7 import Notebook7
from browser.widget import in_sight
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.lab import Notebook, Widget
    from browser.server import LabServer
    from playwright.sync_api import Browser

TEXT = "The cat sat on the mat because it was tired"
CELLS = [
    f"""
import attnwidget as aw

model, tokenizer = aw.pocket()
view = aw.view(model, {TEXT!r}, tokenizer=tokenizer, choose=False)
view
""",
    f"aw.view(model, {TEXT!r}, tokenizer=tokenizer, layer=1, query='it', frozen=True)",
]
RESET = "view.layer, view.heads, view.query, view.key = 0, [0], None, None"


@pytest.fixture(scope="module")
def lab(chromium: Browser, lab_server: LabServer) -> Iterator[Notebook7]:
    page = Notebook7(chromium, lab_server)
    yield page
    page.close()


@pytest.fixture(autouse=True)
def own(lab: Notebook7, clean_page: None) -> Iterator[None]:
    """Notebook 7's own complaints are gone before those of the page are counted."""
    assert clean_page is None
    yield
    lab.forget_its_own()


def test_it_draws_and_a_click_reaches_python(notebook: Notebook, widget: Widget) -> None:
    for view in ("model", "head", "neuron"):
        assert int(widget.picture(view).split()[1]) > 10, f"the {view} view is nearly empty"
    widget.click("model", "layer 2 head 1")
    notebook.wait_value("[view.layer, view.heads]", [2, [1]])
    widget.click("head", "query 8 ")
    notebook.wait_value("view.query", 8)
    widget.screenshot("notebook7")


def test_python_moves_it(notebook: Notebook, widget: Widget) -> None:
    before = widget.picture("head")
    notebook.execute("view.layer, view.heads = 3, [1, 2]")
    widget.wait_for_another("head", before)
    expect(widget.root.locator("select[aria-label='Layer']")).to_have_value("3")


def test_it_follows_the_theme(lab: Notebook7, widget: Widget) -> None:
    expect(widget.root).to_have_attribute("data-theme", "light")
    lab.set_theme("dark")
    expect(widget.root).to_have_attribute("data-theme", "dark")
    lab.set_theme("light")
    expect(widget.root).to_have_attribute("data-theme", "light")


def test_frozen_it_is_still_there_when_the_page_is_loaded_again(
    lab: Notebook7, notebook: Notebook, widget: Widget
) -> None:
    widget.click("model", "layer 2 head 1")
    in_sight(widget.root, ".aw-freeze").click()
    frame = "iframe.attnwidget-frozen"
    copy = notebook.output(0).frame_locator(frame).locator(".attnwidget[data-pending='0']")
    copy.wait_for()
    lab.page.evaluate("() => jupyterapp.commands.execute('docmanager:save').then(() => null)")
    # Another page, another panel, the same file.
    notebook.identity = lab.open(notebook.path).identity
    for cell, layer in ((0, "2"), (1, "1")):
        root = notebook.output(cell).frame_locator(frame).locator(".attnwidget[data-pending='0']")
        root.wait_for()
        expect(root.locator("select[aria-label='Layer']")).to_have_value(layer)
        root.locator(".aw-next").click()
        expect(root.locator("select[aria-label='Layer']")).to_have_value(str(int(layer) + 1))
        expect(root.locator(".aw-failure")).to_have_count(0)
