"""Another text typed in the cell: the model runs again, the record before is one click away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.figures import headless, saved_by_button
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Lab, Notebook, Widget
    from playwright.sync_api import Locator

FIRST = "the cat sat on the mat because it was tired"
SECOND = "the big old cat sat on the mat because it was tired"
CELLS = [
    "import attnwidget as aw\nmodel, tokenizer = aw.pocket()",
    f"view = aw.view(model, {FIRST!r}, tokenizer)\nview",
    "alone = aw.view(view.attention)\nalone",
]
RESET = f"""
view.compare_with_before(False) if view.before else None
view.text = {FIRST!r}
view.view, view.form, view.layer, view.heads, view.query, view.key = "all", "lines", 2, [1, 3], "it", None
"""


def opened(widget: Widget) -> Locator:
    widget.root.get_by_role("button", name="✎ edit the text").click()
    field = widget.root.get_by_role("textbox", name="text", exact=True)
    expect(field).to_be_focused()
    return field


def test_enter_runs_the_model_and_the_selection_stays(notebook: Notebook, widget: Widget) -> None:
    before = widget.picture("head")
    field = opened(widget)
    expect(field).to_have_value(FIRST)
    # Keys of the views and of the notebook are letters here.
    field.press_sequentially("c? ")
    expect(field).to_have_value("c? ")
    field.fill(SECOND)
    field.press("Enter")
    notebook.wait_value("view.text", SECOND)
    widget.wait_for_another("head", before)
    found = notebook.value(
        "[view.attention.text, view.layer, view.heads, view.query, view.view, view.form]"
    )
    assert found == [SECOND, 2, [1, 3], 10, "all", "lines"]
    expect(field).to_have_count(0)
    # The reader goes on where they were.
    expect(widget.root.get_by_role("button", name="✎ edit the text")).to_be_focused()
    stops = [name for name in widget.names("head") if name.startswith("query")]
    assert any("“old”" in name for name in stops), stops


def test_escape_leaves_and_shift_enter_begins_a_line(notebook: Notebook, widget: Widget) -> None:
    field = opened(widget)
    field.press("End")
    field.press("Shift+Enter")
    field.press_sequentially("it")
    expect(field).to_have_value(f"{FIRST}\nit")
    assert notebook.page.locator(".jp-Notebook .jp-mod-dirty.jp-mod-selected").count() < 2
    field.press("Escape")
    expect(field).to_have_count(0)
    expect(opened(widget)).to_have_value(FIRST)
    widget.page.keyboard.press("Escape")
    assert notebook.value("[view.text, view.query]") == [FIRST, 8]


def test_what_goes_wrong_is_said_in_the_line_and_nothing_is_lost(
    notebook: Notebook, widget: Widget
) -> None:
    picture = widget.picture("head")
    field = opened(widget)
    field.fill("")
    field.press("Enter")
    said = widget.root.locator(".aw-failure")
    expect(said).to_contain_text("give at least one character of text")
    notebook.execute("handle = model.register_forward_pre_hook(lambda *_: 1 / 0)")
    field.fill(SECOND)
    field.press("Enter")
    expect(said).to_contain_text("division by zero")
    expect(field).to_have_value(SECOND)
    assert widget.picture("head") == picture
    assert notebook.value("view.text") == FIRST
    notebook.execute("handle.remove()")
    field.press("Enter")
    notebook.wait_value("view.text", SECOND)
    expect(said).to_have_count(0)


def test_a_busy_kernel_is_waited_for(notebook: Notebook, widget: Widget) -> None:
    field = opened(widget)
    field.fill(SECOND)
    # The model itself is what keeps the kernel at work, until it is told to go on.
    notebook.execute(
        "import threading\nheld = threading.Event()\n"
        "handle = model.register_forward_pre_hook(lambda *_: held.wait(600) and None)"
    )
    field.press("Enter")
    expect(widget.root.locator(".aw-edit .aw-progress")).to_have_text("waiting for the kernel …")
    expect(field).to_have_value(SECOND)
    notebook.execute("held.set()")
    notebook.wait_value("view.text", SECOND)
    expect(field).to_have_count(0)
    notebook.execute("handle.remove()")


def test_the_record_before_is_one_click_away_and_so_is_the_way_back(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    notebook.execute(f"view.text = {SECOND!r}")
    notebook.rest(widget)
    alone = widget.picture("model")
    widget.root.get_by_role("button", name="compare with before").click()
    expect(widget.panel("compare")).to_be_visible()
    assert notebook.value("[view.meta['comparison'], view.score, view.query]") == [
        {"names": [FIRST, SECOND]},
        "divergence",
        10,
    ]
    notebook.rest(widget)
    assert headless(notebook, tmp_path / "both.svg") == saved_by_button(widget)
    widget.root.get_by_role("button", name="back to the text now").click()
    expect(widget.panel("neuron")).to_be_visible()
    notebook.rest(widget)
    assert widget.picture("model") == alone
    assert notebook.value("[view.text, view.score, view.layer, view.heads, view.query]") == [
        SECOND,
        None,
        2,
        [1, 3],
        10,
    ]


def test_a_record_without_its_model_says_so(notebook: Notebook) -> None:
    alone = notebook.widget(2)
    button = alone.root.get_by_role("button", name="✎ edit the text")
    button.click()
    expect(alone.root.locator(".aw-failure")).to_contain_text("a record without its model")
    expect(alone.root.locator(".aw-edit textarea")).to_have_count(0)
    alone.page.keyboard.press("Escape")
    expect(alone.root.locator(".aw-failure")).to_have_count(0)
    expect(button).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1400])
def test_pictures(lab: Lab, notebook: Notebook, widget: Widget, theme: str, width: int) -> None:
    lab.set_theme(theme)
    notebook.set_output_width(1, width)
    widget.settle()
    opened(widget)
    widget.screenshot(f"edited-text-{width}-{theme}")
    widget.page.keyboard.press("Escape")
    widget.screenshot(f"edited-text-closed-{width}-{theme}")
    lab.set_viewport(1400, 1000)
    lab.set_theme("light")
