"""Groups of positions, in a notebook: chosen from the line of controls, seen and clicked in their own form, ranked by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from browser.figures import headless, saved_by_button

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Notebook, Widget

SHOW = """
import attnwidget as aw
import numpy as np

tokens = "[CLS] the cat sat [SEP] who sat there [SEP]".split()
weights = np.random.default_rng(0).dirichlet(np.ones(9), (3, 4, 9)).astype(np.float32)
view = aw.view(aw.from_weights(weights, tokens, sentence_b_start=5), choose=False)
view
"""
CELLS = [SHOW]
RESET = """
view.view, view.form, view.layer, view.heads, view.score = "all", "lines", 0, [0], None
view.arrange = "layers"
view.grouping, view.from_group, view.to_group = "segment", None, None
"""


def test_groups_are_chosen_on_the_page_and_known_in_python(
    notebook: Notebook, widget: Widget
) -> None:
    widget.root.get_by_label("From group", exact=True).select_option(label="A → B")
    notebook.rest(widget)
    assert notebook.value("(view.from_group, view.to_group)") == ["A", "B"]
    assert widget.root.get_by_label("From group", exact=True).input_value() == "A"
    widget.root.get_by_label("Score", exact=True).select_option(label="share A → B")
    notebook.rest(widget)
    assert notebook.value("view.ranking") == {"grouping": "segment", "from": "A", "to": "B"}
    # What `rank` does in Python: one ranking, and its first head.
    shown = "[view.layer, view.heads, view.score, view.arrange]"
    on_page = notebook.value(shown)
    notebook.execute(RESET + "view.rank(from_group='A', to_group='B')")
    assert notebook.value(shown) == on_page
    notebook.execute("view.grouping = None")
    notebook.rest(widget)
    assert widget.root.get_by_label("From group", exact=True).count() == 0


def test_a_share_is_clicked_and_figures_of_button_and_script_are_one(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    notebook.execute("view.form, view.layer = 'groups', 1")
    notebook.rest(widget)
    share = notebook.value("float(view.attention['self'][1].weights(0)[5:, :5].sum(1).mean())")
    widget.root.get_by_role(
        "button", name=f"head 0: from B to A, share {share:.3f}"
    ).first.dispatch_event("click")
    notebook.rest(widget)
    assert notebook.value("(view.from_group, view.to_group)") == ["B", "A"]
    for form in ("groups", "profile"):
        notebook.execute(f"view.form, view.view = {form!r}, 'head'")
        notebook.rest(widget)
        drawn = headless(notebook, tmp_path / f"{form}.svg")
        assert saved_by_button(widget) == drawn, form
