"""The trace of what a model says, in a notebook and in a saved page: chosen as a form, found, clicked, edited away, saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from browser.figures import headless, saved_by_button
from browser.widget import Widget
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Notebook
    from playwright.sync_api import Browser

TEXT = "the cat sat on the mat because it"
CELLS = [
    "import attnwidget as aw\nmodel, tokenizer = aw.pocket()",
    f"view = aw.view(model, {TEXT!r}, tokenizer, metric='purred', choose=False)\nview",
]
RESET = """
view.interventions, view.metric = None, "purred"
view.view, view.form, view.layer, view.heads, view.query, view.key = "all", "lines", 0, [0], None, None
"""
CAT = "layer 3 head 3: “it” → “cat”, −5.0 without it"


def test_the_form_finds_the_trace_and_a_click_selects_its_link(
    notebook: Notebook, widget: Widget, tmp_path: Path, chromium: Browser
) -> None:
    widget.root.locator("[data-form=trace]").first.dispatch_event("click")
    notebook.wait_value("view.traced and view.traced['state']", "done")
    notebook.wait_value("view.form", "trace")
    assert widget.names("head")[0] == CAT
    expect(widget.root.locator(".aw-trace")).to_contain_text("trace after “it”: 6 links")
    widget.click("head", CAT)
    notebook.wait_value("[view.layer, view.heads, view.query, view.key]", [3, [3], 8, 2])
    # Also by the keyboard, and by what Python selects.
    other = widget.stop("head", "layer 0 head 2: “cat” → “the”")
    other.focus()
    widget.page.keyboard.press("Enter")
    notebook.wait_value("[view.layer, view.heads, view.query, view.key]", [0, [2], 2, 1])
    widget.leave()
    before = widget.picture("head")
    notebook.execute("view.layer, view.heads, view.query, view.key = 3, [3], 8, 2")
    widget.wait_for_another("head", before)
    # The metric is read at the position that it was traced from; another one is offered.
    notebook.execute("view.query = 'mat'")
    expect(widget.root.locator("[data-trace=again]")).to_have_text("trace from “mat”")
    notebook.execute("view.query = 8")
    widget.screenshot("trace")

    notebook.execute("view.view = 'head'")
    notebook.rest(widget)
    assert saved_by_button(widget) == headless(notebook, tmp_path / "trace.svg")
    saved = tmp_path / "trace.html"
    notebook.execute(f"view.save({str(saved)!r})")
    page = chromium.new_page()
    try:
        page.goto(saved.as_uri())
        copy = Widget(page, page.locator(".attnwidget"))
        assert copy.names("head")[0] == CAT
        copy.click("head", "layer 3 head 1: “it” → “mat”")
        expect(copy.root.locator(".aw-reading-row")).to_contain_text("“mat”")
    finally:
        page.close()


def test_edits_drop_it_and_without_them_it_is_found_again(
    notebook: Notebook, widget: Widget
) -> None:
    notebook.execute("view.form = 'trace'")
    # Nobody clicked: who chooses the form in Python sees one as well.
    notebook.wait_value("view.traced and view.traced['state']", "done")
    notebook.execute("view.interventions = aw.ablate(heads=[(3, 3)])")
    notebook.wait_value("view.trace", None)
    button = widget.root.locator("[data-form=trace]").first
    expect(button).to_be_disabled()
    expect(button).to_have_attribute("title", "Edits are in force, and a trace is of the model as it is: take them away, view.interventions = None.")  # fmt: skip
    notebook.execute("view.interventions = None")
    notebook.wait_value("view.traced and view.traced['state']", "done")
    assert widget.names("head")[0] == CAT
