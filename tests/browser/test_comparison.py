"""Two prompts in one widget: which heads changed, and one of them in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.copies import frozen
from browser.figures import headless, saved_by_button

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Lab, Notebook, Widget

IT = 10
RECORDS = """
import attnwidget as aw

model, tokenizer = aw.pocket()
texts = "the cat sat on the mat because it was tired", "the old dog sat on the mat because it was tired ."
comparison = aw.compare(*(aw.capture(model, text, tokenizer) for text in texts))
comparison
"""
CELLS = [RECORDS, "view = comparison.view(choose=False)\nview"]
RESET = """
view.view, view.form, view.layer, view.heads, view.arrange = "all", "lines", 2, [1], "rank"
view.query, view.key, view.measure = None, None, "weights"
"""
WINDOW = (1560, 1300)


def test_a_comparison_shows_itself_as_the_last_line_of_a_cell(notebook: Notebook) -> None:
    shown = notebook.widget(0)
    shown.settle()
    assert shown.panel("compare").is_visible()
    assert shown.panel("model").is_visible()
    assert (
        shown.root.locator(
            "select[aria-label=View] option:is([value=neuron], [value=head])"
        ).count()
        == 0
    )
    assert notebook.text(0).startswith("ComparisonWidget(GPT2LMHeadModel, decoder: 16 heads")


def test_the_heads_that_changed_most_come_first_and_a_click_shows_one(
    notebook: Notebook, widget: Widget
) -> None:
    order = notebook.value(
        "[[int(row['layer']), int(row['head'])] for row in "
        "(lambda rows: rows.to_dict('records') if hasattr(rows, 'to_dict') else rows)(comparison.changed(3))]"
    )
    stops = widget.panel("model").locator(".aw-stop")
    stops.first.wait_for(state="attached")
    names = [stops.nth(place).get_attribute("aria-label") or "" for place in range(3)]
    for (layer, head), name in zip(order, names, strict=True):
        assert name.startswith(f"layer {layer} head {head}, changed ")
    before = widget.picture("compare")
    layer, head = order[0]
    widget.click("model", f"layer {layer} head {head}")
    notebook.wait_value("[view.layer, view.heads]", [layer, [head]])
    widget.wait_for_another("compare", before)


def test_a_pair_has_its_weight_in_both_and_its_change(notebook: Notebook, widget: Widget) -> None:
    widget.click("compare", f"query {IT}")
    notebook.wait_value("view.query", IT)
    notebook.execute("view.key = 1")
    first, second, change = notebook.value(
        "[float(comparison.a['decoder'][2].weights(1)[8, 1]), float(comparison.b['decoder'][2].weights(1)[9, 1]), "
        f"float(comparison.difference(2, 1)[{IT}, 1])]"
    )

    def shown(weight: float) -> str:
        return "<0.001" if weight < 0.0005 else f"{weight:.3f}"

    text = f"“it” looks at “the”: A {shown(first)}, B {shown(second)}, B − A "
    widget.root.locator(".aw-status", has_text=text).wait_for()
    status = widget.root.locator(".aw-status").inner_text()
    assert f"B − A {'+' if change > 0 else '−'}{abs(change):.3f}." in status, status
    notebook.execute("view.key = 3")
    widget.root.locator(".aw-status", has_text="only in B").wait_for()


def test_an_aligned_place_is_the_same_token_in_both(notebook: Notebook, widget: Widget) -> None:
    pairs = notebook.value("[[p.a, p.b, p.label] for p in comparison.streams['decoder'].queries]")
    assert pairs[IT] == [8, 9, "it"]
    widget.stop("compare", f"query {IT} “it”").wait_for(state="attached")


def test_browser_and_headless_figures_are_one(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    states = [
        f"view.query = {IT}",
        "view.form, view.arrange = 'matrix', 'layers'",
        "view.measure = 'value'",
        "view.measure, view.view, view.form = 'rollout', 'compare', 'lines'",
    ]
    for index, state in enumerate(states):
        notebook.execute(state)
        notebook.rest(widget)
        drawn = headless(notebook, tmp_path / f"{index}.svg")
        assert drawn == saved_by_button(widget), state


SERIES = """
family = [aw.capture(model, f"{who} sat on the mat", tokenizer) for who in ("the cat", "the dog", "the old dog")]
series = aw.compare(*family, names=["cat", "dog", "old dog"])
row = series.view(choose=False)
row
"""


def test_a_series_is_ranked_drawn_pinned_saved_and_frozen(
    notebook: Notebook, tmp_path: Path
) -> None:
    shown = notebook.widget(notebook.append(SERIES))
    order = notebook.value(
        "[[one.layers[at // 4], at % 4] for one in [series.streams['decoder']] for at in "
        "__import__('numpy').argsort(-__import__('numpy').concatenate(one.steps).mean(1), kind='stable')[:3].tolist()]"
    )
    names = shown.names("model")
    for (layer, head), name in zip(order, names, strict=False):
        assert name.startswith(f"layer {layer} head {head}, changed ")
    before = shown.picture("compare")
    layer, head = order[1]
    shown.click("model", f"layer {layer} head {head}")
    notebook.wait_value("[row.layer, row.heads]", [layer, [head]])
    shown.wait_for_another("compare", before)
    notebook.execute("row.query, row.key = 5, 1")
    weights = notebook.value(
        "[float(each['decoder'][row.layer].weights(row.heads[0])[place.at[n], 1]) for place in "
        "[series.streams['decoder'].queries[5]] for n, each in enumerate(family)]"
    )
    told = [f"{weight:.3f}" if weight >= 0.0005 else "<0.001" for weight in weights]
    said = " → ".join(f"{letter} {number}" for letter, number in zip("ABC", told, strict=True))
    shown.root.locator(".aw-status", has_text=said).wait_for()
    for form in ("lines", "matrix"):
        notebook.execute(f"row.form = {form!r}")
        notebook.rest(shown)
        drawn = headless(notebook, tmp_path / f"{form}.svg", view="row")
        assert drawn == saved_by_button(shown), form
    cell = notebook.append("series.view(frozen=True, choose=False)")
    frame = frozen(notebook.output(cell))
    frame.locator(".aw-panel-compare .aw-stop[aria-label^='query 5']").first.click(force=True)
    frame.locator(".aw-status", has_text="query 5").wait_for()
    assert frame.locator(".aw-failure").count() == 0


def test_a_frozen_comparison_answers_without_its_kernel(notebook: Notebook) -> None:
    cell = notebook.append("comparison.view(frozen=True, choose=False)")
    frame = frozen(notebook.output(cell))
    frame.locator(f".aw-panel-compare .aw-stop[aria-label^='query {IT}']").first.click(force=True)
    frame.locator(".aw-status", has_text=f"query {IT}").wait_for()
    assert frame.locator(".aw-failure").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 700, 1400])
def test_pictures(lab: Lab, notebook: Notebook, widget: Widget, theme: str, width: int) -> None:
    lab.set_theme(theme)
    notebook.execute(f"view.query, view.form = {IT}, 'matrix' if {width} == 700 else 'lines'")
    notebook.set_output_width(1, width)
    widget.settle()
    widget.screenshot(f"comparison-{width}-{theme}")
    lab.set_viewport(1560, 1300)
    lab.set_theme("light")
