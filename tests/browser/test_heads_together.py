"""The selected heads as one more head, or each in a panel: chosen in the toolbar, named, and the same in a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from browser.figures import headless, saved_by_button
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Notebook, Widget

CELLS = [
    "import attnwidget as aw\nmodel, tokenizer = aw.pocket()",
    "view = aw.view(model, 'the cat sat on the mat because it was tired', tokenizer)\nview",
]
RESET = """
view.view, view.form, view.layer, view.heads, view.together = "all", "lines", 2, [3, 0, 1], None
view.panels = "overlaid"
view.query, view.key, view.measure = "it", 1, "weights"
"""
NAME = "of heads 0–1, 3"


def test_heads_are_taken_together_in_every_form(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    notebook.set_output_width(1, 1500)  # all choices have room beside each other
    choice = widget.root.get_by_role("combobox", name="Heads together")
    each = widget.picture("head")
    choice.select_option("mean")
    notebook.wait_value("view.together", "mean")
    one = widget.wait_for_another("head", each)
    mean = notebook.value(
        "float(view.attention['decoder'][2].weights([0, 1, 3], query=8)[:, 1].mean())"
    )
    expect(widget.root).to_contain_text(f"“it” looks at “the”, {mean:.3f}")
    expect(widget.root).to_contain_text(f"mean {NAME}")
    # Pointing at it and pinning by it leave the heads that are selected as they are.
    widget.click("head", "query 9")
    notebook.wait_value("[view.query, view.heads]", [9, [3, 0, 1]])
    notebook.execute("view.query, view.together = 8, 'max'")
    expect(choice).to_have_value("max")
    widget.wait_for_another("head", one)
    for form in ("lines", "matrix", "text"):
        notebook.execute(f"view.form = {form!r}")
        notebook.rest(widget)
        drawn = headless(notebook, tmp_path / f"{form}.svg")
        assert drawn == saved_by_button(widget), form
        widget.screenshot(f"together-{form}")
    # Those of other layers are chosen by their numbers, and every form says what part is whose.
    notebook.execute("view.form, view.key, view.together = 'lines', 2, 'mean'")
    layers = widget.root.get_by_role("textbox", name="Layers of the heads together")
    layers.fill("1-3")
    layers.press("Enter")
    notebook.wait_value("[view.together_layers, view.layer]", [[1, 2, 3], 2])
    expect(widget.root).to_contain_text(f"mean {NAME} of layers 1–3")
    weight = notebook.value(
        "float(sum(view.attention['decoder'][n].weights([0, 1, 3], query=8, key=2).sum() for n in (1, 2, 3)) / 9)"
    )
    expect(widget.root).to_contain_text(f"“it” looks at “cat”, {weight:.3f}")
    part = notebook.value(
        "float(view.attention['decoder'][3].weights([0, 1, 3], query=8, key=2).sum())"
    )
    # The strip is drawn, and its bars are named for who cannot see them.
    named = widget.panel("head").get_by_role("button", name="layer 3: ")
    expect(named).to_have_attribute(
        "aria-label", f"layer 3: {100 * part / (9 * weight):.0f} % of the mean"
    )
    notebook.rest(widget)
    drawn = headless(notebook, tmp_path / "layers.svg")
    assert drawn == saved_by_button(widget)
    assert b"part of the mean" in drawn
    widget.screenshot("together-layers")
    layers.fill("")
    layers.press("Enter")
    notebook.wait_value("view.together_layers", None)
    # The neuron view keeps to a single head, and one head is not taken together with anything.
    assert widget.panel("neuron").locator(".aw-stop").count() > 0
    notebook.execute("view.heads = [3]")
    expect(choice).to_have_count(0)


def test_each_head_has_a_panel_of_its_own(notebook: Notebook, widget: Widget) -> None:
    notebook.set_output_width(1, 1500)  # all choices have room beside each other
    widget.settle()
    choices = widget.root.get_by_role("group", name="Panels").get_by_role("button")
    overlaid = widget.picture("head")
    choices.nth(1).click()
    notebook.wait_value("view.panels", "one a head")
    widget.wait_for_another("head", overlaid)
    assert 'panels="one a head"' in notebook.value("view.code()")
    widget.click("head", "query 9")
    notebook.wait_value("[view.query, view.heads]", [9, [3, 0, 1]])
    notebook.execute("view.panels = 'overlaid'")
    expect(choices.nth(0)).to_have_attribute("aria-pressed", "true")
    # Heads that are one have one picture: there is nothing to choose.
    notebook.execute("view.together = 'mean'")
    expect(choices).to_have_count(0)
