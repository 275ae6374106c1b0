"""Weights times the gradients of a metric: chosen in the toolbar, named, drawn by sign, and the same in a figure and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from browser.figures import headless, saved_by_button
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Notebook, Widget

CELLS = [
    "import attnwidget as aw\nmodel, tokenizer = aw.pocket()",
    "view = aw.view(model, 'the cat sat on the mat because it', tokenizer=tokenizer, metric='purred')\nview",
]
RESET = """
view.view, view.form, view.layer, view.heads = "all", "lines", 3, [3, 1]
view.query, view.key, view.measure, view.theme = "it", "cat", "weights", "light"
"""
METRIC = "log p(“purred”)"


def test_links_say_what_they_add_to_the_metric_in_every_form(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    choice = widget.root.get_by_role("combobox", name="Measure")
    before = widget.picture("head")
    choice.select_option("gradient")
    notebook.wait_value("view.measure", "gradient")
    drawn = widget.wait_for_another("head", before)
    adds = notebook.value("float(view.attention['decoder'][3].measure('gradient', 3, 8, 2))")
    takes = notebook.value("float(view.attention['decoder'][3].measure('gradient', 1, 8, 6))")
    assert adds > 0.5
    assert takes < -0.5
    expect(widget.root).to_contain_text(f"“it” looks at “cat”, their links add head 3 +{adds:.3f}")
    notebook.execute("view.heads, view.key = [1], 'mat'")
    expect(widget.root).to_contain_text(f"its link takes {-takes:.3f} from {METRIC}")
    notebook.execute("view.heads, view.key = [3], 'cat'")
    expect(widget.root).to_contain_text(f"its link adds +{adds:.3f} to {METRIC}")
    for form in ("lines", "matrix", "text"):
        for theme in ("light", "dark"):
            notebook.execute(f"view.form, view.theme = {form!r}, {theme!r}")
            notebook.rest(widget)
            widget.screenshot(f"gradient-{form}-{theme}")
        svg = headless(notebook, tmp_path / f"{form}.svg")
        assert svg == saved_by_button(widget), form
    choice.select_option("relevance")
    notebook.wait_value("view.measure", "relevance")
    assert widget.wait_for_another("head", drawn) != drawn
    expect(widget.root).to_contain_text(f"its link adds {adds:.3f} to {METRIC}")
    notebook.execute("view.form, view.theme = 'lines', 'light'")
    notebook.rest(widget)
    widget.screenshot("relevance-lines")


def test_a_run_under_an_edit_has_no_gradients_and_says_so(
    notebook: Notebook, widget: Widget
) -> None:
    offered = widget.root.locator(".aw-measure option[value='gradient']")
    expect(offered).to_be_enabled()
    notebook.execute("view.interventions = aw.ablate(heads=[(3, 3)])")
    expect(offered).to_be_disabled()
    expect(offered).to_have_attribute("title", "No gradients: recorded without a metric; attnwidget.view(model, text, tokenizer=…, metric=…) keeps its gradients.")  # fmt: skip
    notebook.execute("view.interventions = None")
    expect(offered).to_be_enabled()


def test_how_far_they_agree_with_exact_effects_is_found_by_a_button_and_stays_in_copies(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    # What is pinned and measured is something else: compared is what the gradients are of.
    notebook.execute("view.measure, view.query, view.metric = 'gradient', 'cat', 'lay'")
    line = widget.root.locator(".aw-agreement")
    expect(line).to_contain_text("not compared with exact effects yet")
    notebook.execute("view.find_effects('lay', wait=True)")
    expect(line).to_contain_text("yet: those found are of log p(“lay”)")
    widget.screenshot("agreement-unknown")
    line.get_by_role("button", name="compare").click()
    agreement = "aw.attribute(model, view.text, tokenizer, metric='purred').agreement()"
    number = notebook.value(f"format({agreement}.rank_correlation, '.2f')")
    said = (
        f"how far the measure agrees with exact effects: rank correlation {number} over 16 heads; "
        "the head that matters most is 3.3, by the measure 3.1"
    )
    expect(line).to_have_text(said)
    expect(line.get_by_role("button")).to_have_count(0)
    notebook.rest(widget)
    widget.screenshot("agreement")
    svg = headless(notebook, tmp_path / "agreement.svg")
    assert said.encode() in svg
    assert svg == saved_by_button(widget)
    notebook.execute("view.measure = 'weights'")
    expect(line).to_have_count(0)
    notebook.execute("view.metric = 'purred'")
