"""The widget under VS Code's own widget manager, in Chromium: drawn, clicked, moved from Python, frozen, run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.copies import assert_answers, frozen
from browser.npm_packages import NotFetchedError
from browser.vscode_manager import VSCode
from browser.waiting import until
from browser.widget import in_sight
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.server import LabServer
    from playwright.sync_api import Browser

TEXT = "The cat sat on the mat because it was tired"
START = "import attnwidget as aw\nmodel, tokenizer = aw.pocket()"
VIEW = f"view = aw.view(model, {TEXT!r}, tokenizer=tokenizer, layer=1, heads=[0], query='it')\nview"
NESTED = """
import ipywidgets
slider = ipywidgets.IntSlider(value=0, max=3)
inner = aw.view(view.attention, layer=0)
ipywidgets.link((slider, "value"), (inner, "layer"))
ipywidgets.VBox([slider, inner])
"""
AGAIN = """
one = aw.view(view.attention, layer=2)
shown.append(weakref.ref(one))
display(one)
del one
"""


@pytest.fixture(scope="module")
def vscode(
    chromium: Browser, lab_server: LabServer, request: pytest.FixtureRequest
) -> Iterator[VSCode]:
    cache = request.config.cache
    assert cache is not None
    try:
        page = VSCode(chromium, lab_server, cache.mkdir("npm"), "vscode-dark")
    except NotFetchedError as error:
        pytest.skip(str(error))
    page.run("start", START)
    page.run("shows", VIEW)
    yield page
    page.close()


@pytest.fixture(autouse=True)
def clean(vscode: VSCode) -> Iterator[None]:
    yield
    vscode.watch.assert_clean()


def test_it_draws_and_a_click_reaches_the_kernel(vscode: VSCode) -> None:
    widget = vscode.widget("shows")
    widget.settle()
    assert vscode.asked == ["nbextensions/anywidget/index.js"]
    expect(widget.root).to_have_attribute("data-theme", "dark")
    for view in ("model", "head", "neuron"):
        assert int(widget.picture(view).split()[1]) > 10, f"the {view} view is nearly empty"
    widget.click("model", "layer 2 head 1")
    expect(widget.root.locator("select[aria-label='Layer']")).to_have_value("2")
    assert until(vscode.page, lambda: vscode.value("[view.layer, view.heads]") == [2, [1]])
    before = widget.picture("head")
    vscode.run("moves", "view.layer, view.heads, view.query = 3, [1, 2], 6")
    widget.wait_for_another("head", before)
    # A score is worked out by the kernel, and comes as bytes beside a message.
    before = widget.picture("model")
    widget.root.locator("select[aria-label='Score']").select_option("previous")
    widget.wait_for_another("model", before)
    expect(widget.root.locator(".aw-failure")).to_have_count(0)
    widget.screenshot("vscode-manager")


def test_inside_another_widget(vscode: VSCode) -> None:
    vscode.run("nested", NESTED)
    widget = vscode.widget("nested")
    before = widget.picture("head")
    vscode.run("moves", "slider.value = 2")
    widget.wait_for_another("head", before)
    expect(widget.root.locator("select[aria-label='Layer']")).to_have_value("2")


def test_run_again_the_cell_closes_what_it_showed(vscode: VSCode) -> None:
    vscode.run("keeps", "import weakref\nshown = []")
    for _ in range(2):
        vscode.run("again", AGAIN)
        vscode.widget("again").settle()
    assert vscode.value("[view() is None for view in shown]") == [True, False]


def test_frozen_a_copy_takes_its_place(vscode: VSCode) -> None:
    widget = vscode.widget("shows")
    vscode.run("moves", "view.layer, view.heads = 1, [0]")
    expect(widget.root.locator("select[aria-label='Layer']")).to_have_value("1")
    widget.settle()
    in_sight(widget.root, ".aw-freeze").click()
    output = vscode.output("shows").locator(".cell-output").first
    expect(output.locator("> .attnwidget, .jupyter-widgets")).to_have_count(0)
    copy = frozen(output)
    expect(copy.locator(".attnwidget")).to_have_attribute("data-theme", "dark")
    assert_answers(copy, vscode.page)
