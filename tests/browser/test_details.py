"""What a reader relies on in the widget: the number on screen, the figure in the file, the keys, the errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from browser.figures import by_browser, headless, saved_by_button
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Lab, Notebook, Widget

IT, CAT = 8, 2
SHOW = """
import attnwidget as aw
import attnwidget.serve.source as module

model, tokenizer = aw.pocket()
view = aw.view(model, "The cat sat on the mat because it was tired", tokenizer=tokenizer, choose=False)
work = module.work
view
"""
CELLS = [SHOW]
WINDOW = (1560, 1300)
RESET = """
module.work = work
view.view, view.form, view.layer, view.heads, view.compare = "all", "lines", 0, [0], []
view.query, view.key = None, None
"""


def test_the_status_says_the_records_own_weight(notebook: Notebook, widget: Widget) -> None:
    for layer, head in ((0, 3), (1, 2), (3, 0)):
        notebook.execute(
            f"view.layer, view.heads, view.query, view.key = {layer}, [{head}], {IT}, {CAT}"
        )
        weight = notebook.value(
            f"float(view.attention['decoder'][{layer}].weights(head={head})[{IT}, {CAT}])"
        )
        shown = "<0.001" if weight < 0.0005 else f"{weight:.3f}"
        widget.root.locator(
            ".aw-status",
            has_text=f"“it” looks at “cat”, {shown} of its weight. layer {layer}, head {head}",
        ).wait_for()


def test_a_row_of_numbers_for_who_cannot_see_the_lines(notebook: Notebook, widget: Widget) -> None:
    notebook.execute(f"view.layer, view.heads, view.query = 1, [2], {IT}")
    cells = widget.root.locator("table.aw-hidden td")
    cells.first.wait_for(state="attached")
    row = notebook.value(f"view.attention['decoder'][1].weights(head=2)[{IT}].tolist()")
    best = max(range(len(row)), key=row.__getitem__)
    assert cells.nth(1).inner_text().startswith(f"{best} ")
    assert cells.nth(2).inner_text() == f"{row[best]:.3f}"


def test_browser_and_headless_figures_are_one(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    states = [
        f"view.layer, view.heads, view.query = 2, [1, 3], {IT}",
        "view.form, view.view = 'matrix', 'head'",
        f"view.compare, view.view, view.key = [(0, 1), (3, 2)], 'compare', {CAT}",
        "view.view, view.form = 'neuron', 'lines'",
        "view.view = 'model'",
    ]
    for index, state in enumerate(states):
        notebook.execute(state)
        notebook.rest(widget)
        drawn = headless(notebook, tmp_path / f"headless{index}.svg")
        asked = by_browser(notebook, tmp_path / f"browser{index}.svg")
        button = saved_by_button(widget)
        assert asked == button, state
        assert drawn == button, state


def test_an_error_is_shown_in_the_cell_and_can_be_tried_again(notebook: Notebook) -> None:
    cell = notebook.append(
        "def broken(*_):\n"
        "    raise RuntimeError('the disk is full')\n"
        "module.work = broken\n"
        "fresh = aw.view(view.attention, choose=False)\n"
        "fresh"
    )
    fresh = notebook.widget(cell)
    failure = fresh.root.locator(".aw-failure")
    failure.wait_for()
    assert "the disk is full" in failure.inner_text()
    notebook.execute("module.work = work")
    failure.locator("button").click()
    failure.wait_for(state="detached")
    fresh.settle()
    notebook.execute("fresh.close()")


def test_the_keyboard_reaches_everything_and_the_notebook_keeps_out(
    notebook: Notebook, widget: Widget
) -> None:
    page = notebook.page
    widget.root.locator("[data-form=matrix]").focus()
    page.keyboard.press("Enter")
    notebook.wait_value("view.form", "matrix")
    widget.root.locator("[data-form=lines]").click()
    notebook.wait_value("view.form", "lines")
    cells = notebook.cells.count()
    for key in ("c", "x", "b"):
        page.keyboard.press(key)
    notebook.wait_value("view.compare", [[0, 0]])
    notebook.wait_value("bool(view.interventions)", expected=True)
    assert notebook.cells.count() == cells, "the notebook took a key that was the widget's"
    notebook.execute("view.interventions = None")
    notebook.rest(widget)
    token = widget.stop("head", "query 0 ")
    token.wait_for(state="attached")
    token.focus()
    page.keyboard.press("ArrowDown")
    expect(widget.stop("head", "query 1 ")).to_be_focused()
    # What the focus is on is drawn, and the stops are read again: the focus is still there.
    widget.rest()
    expect(widget.stop("head", "query 1 ")).to_be_focused()
    page.keyboard.press("Enter")
    notebook.wait_value("view.query", 1)
    page.keyboard.press("Escape")
    notebook.wait_value("view.query", None)


def test_everything_that_can_be_pressed_has_a_name(widget: Widget) -> None:
    for button in widget.root.locator("button, select").all():
        name = button.get_attribute("aria-label") or button.inner_text()
        assert name.strip()


def test_the_help_lists_the_keys(notebook: Notebook, widget: Widget) -> None:
    widget.root.locator(".aw-help-button").click()
    dialog = widget.root.get_by_role("dialog")
    dialog.wait_for()
    assert "Shift-click" in dialog.inner_text()
    notebook.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_closing_a_widget_leaves_nothing_behind(notebook: Notebook, widget: Widget) -> None:
    cell = notebook.append("other = aw.view(view.attention, choose=False)\nother")
    notebook.widget(cell).settle()
    notebook.execute("other.close()")
    notebook.widget(cell).root.wait_for(state="detached")
    notebook.execute("view.layer = 1")
    widget.settle()


def test_the_theme_is_followed_though_nothing_changes_its_size(lab: Lab, widget: Widget) -> None:
    # The notebook lays nothing out in the frame in which it changes its theme.
    for theme in ("dark", "light", "dark", "light"):
        before = widget.picture("head")
        lab.set_theme(theme)
        widget.root.locator(f"xpath=self::*[@data-theme='{theme}']").wait_for()
        widget.wait_for_another("head", before)
