"""Queries and keys in one plane, in a notebook: chosen from the line of controls, clicked, coloured, saved as the script draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from browser.figures import headless, saved_by_button

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Notebook, Widget

SHOW = """
import attnwidget as aw

model, tokenizer = aw.pocket()
attention = aw.capture(model, "the cat sat on the mat because it was tired", tokenizer)
view = aw.view(attention, layer=3, heads=[3], choose=False)
view
"""
CELLS = [SHOW]
RESET = """
view.view, view.form, view.layer, view.heads, view.colour = "all", "lines", 3, [3], "position"
view.query = view.key = None
"""


def test_points_are_tokens_on_the_page_and_in_python(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    widget.root.locator("[data-form=geometry]").first.dispatch_event("click")
    notebook.rest(widget)
    assert notebook.value("view.form") == "geometry"
    length = notebook.value("float(attention.query_key_plane(3, 3).key_norms[2])")
    key = widget.root.get_by_role("button", name="key 2 “cat”, length ")
    assert f"length {length:.1f}" in (key.first.get_attribute("aria-label") or "")
    key.first.dispatch_event("click")
    notebook.rest(widget)
    assert notebook.value("view.key") == 2
    # The other way: what Python pins stands first among the points.
    notebook.execute("view.query = 'it'")
    notebook.rest(widget)
    assert widget.root.get_by_role("button", name="query 8 “it”, length ").count() == 1
    widget.root.get_by_label("Colour of points", exact=True).select_option(label="length")
    notebook.rest(widget)
    assert notebook.value("view.colour") == "norm"
    notebook.execute("view.view = 'head'")
    notebook.rest(widget)
    assert saved_by_button(widget) == headless(notebook, tmp_path / "plane.svg")
