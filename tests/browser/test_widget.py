"""The widget in a real notebook: what the mouse does is in Python, what Python sets is on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.figures import by_browser
from browser.widget import in_sight

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Lab, Notebook, Widget

TEXT = "The cat sat on the mat because it was tired"
SHOW = f"""
import attnwidget as aw
import ipywidgets

model, tokenizer = aw.pocket()
view = aw.view(model, {TEXT!r}, tokenizer=tokenizer, choose=False)
seen = []
view.observe(lambda change: seen.append([change["name"], change["new"]]), ["layer", "heads", "query"])
view
"""
CELLS = [SHOW]
RESET = """
view.view, view.layer, view.heads, view.query, view.key = "all", 0, [0], None, None
view.form, view.compare = "lines", []
seen.clear()
"""


def pressed(widget: Widget) -> list[int]:
    chips = widget.root.locator(".aw-chip[aria-pressed='true']")
    return [int(chip.get_attribute("data-head") or -1) for chip in chips.all()]


def test_first_run_draws_all_three_views(widget: Widget) -> None:
    for view in ("model", "head", "neuron"):
        colours = int(widget.picture(view).split()[1])
        assert colours > 10, f"the {view} view is nearly empty"
    assert widget.stop("head", "query 2 “cat”").count() == 1


def test_thumbnail_selects_its_head(notebook: Notebook, widget: Widget) -> None:
    head, neuron = widget.picture("head"), widget.picture("neuron")
    widget.click("model", "layer 2 head 1")
    notebook.wait_value("[view.layer, view.heads]", [2, [1]])
    notebook.wait_value("sorted(seen)", [["heads", [1]], ["layer", 2]])
    widget.wait_for_another("head", head)
    widget.wait_for_another("neuron", neuron)


def test_shift_click_adds_a_head_of_the_layer(notebook: Notebook, widget: Widget) -> None:
    widget.click("model", "layer 1 head 3")
    widget.click("model", "layer 1 head 1", shift=True)
    notebook.wait_value("[view.layer, sorted(view.heads)]", [1, [1, 3]])


def test_hover_shows_a_fan_and_asks_nobody(lab: Lab, notebook: Notebook, widget: Widget) -> None:
    widget.hover("head", "query 4")
    notebook.rest(widget)
    head, sent = widget.picture("head"), lab.sent
    for query in (5, 8, 10):
        widget.hover("head", f"query {query} ")
        head = widget.wait_for_another("head", head)
    # Whatever it had to tell when it came to rest has been told by then.
    notebook.rest(widget)
    assert lab.sent == sent
    assert notebook.value("[view.query, seen]") == [None, []]


def test_click_pins_a_token_and_escape_lets_go(notebook: Notebook, widget: Widget) -> None:
    neuron = widget.picture("neuron")
    widget.click("head", "query 8 ")
    notebook.wait_value("view.query", 8)
    widget.wait_for_another("neuron", neuron)
    widget.click("head", "key 2 ")
    notebook.wait_value("[view.query, view.key]", [8, 2])
    notebook.page.keyboard.press("Escape")
    notebook.wait_value("[view.query, view.key]", [8, None])
    notebook.page.keyboard.press("Escape")
    notebook.wait_value("[view.query, view.key]", [None, None])


def test_chips_toggle_and_isolate_heads(notebook: Notebook, widget: Widget) -> None:
    chip = widget.root.locator(".aw-chip")
    chip.nth(2).click()
    notebook.wait_value("sorted(view.heads)", [0, 2])
    chip.nth(3).dblclick()
    notebook.wait_value("view.heads", [3])


def test_arrow_keys_walk_through_layers_and_heads(notebook: Notebook, widget: Widget) -> None:
    widget.click("model", "layer 1 head 1")
    notebook.page.keyboard.press("ArrowDown")
    notebook.wait_value("[view.layer, view.heads]", [2, [1]])
    notebook.page.keyboard.press("ArrowRight")
    notebook.wait_value("[view.layer, view.heads]", [2, [2]])


def test_two_heads_side_by_side(notebook: Notebook, widget: Widget) -> None:
    widget.click("model", "layer 0 head 2")
    in_sight(widget.root, ".aw-compare").click()
    widget.click("model", "layer 3 head 0")
    in_sight(widget.root, ".aw-compare").click()
    notebook.wait_value("view.compare", [[0, 2], [3, 0]])
    widget.panel("compare").wait_for()
    assert int(widget.picture("compare").split()[1]) > 10


def test_python_moves_every_view(notebook: Notebook, widget: Widget) -> None:
    before = {view: widget.picture(view) for view in ("model", "head", "neuron")}
    notebook.execute("view.layer, view.heads, view.query = 3, [1, 2], 6")
    for view, picture in before.items():
        widget.wait_for_another(view, picture)
    assert widget.root.locator("select[aria-label='Layer']").input_value() == "3"
    assert pressed(widget) == [1, 2]
    lines = widget.picture("head")
    notebook.execute("view.form = 'matrix'")
    widget.wait_for_another("head", lines)
    notebook.execute("view.view = 'neuron'")
    widget.panel("head").wait_for(state="detached")


@pytest.mark.usefixtures("widget")
def test_linked_widgets_move_together_and_share_nothing_else(notebook: Notebook) -> None:
    cell = notebook.append(
        "other = aw.view(view.attention, layer=1)\n"
        "link = ipywidgets.link((view, 'layer'), (other, 'layer'))\n"
        "other"
    )
    second = notebook.widget(cell)
    second.settle()
    second.click("model", "layer 3 head 2")
    notebook.wait_value("[view.layer, other.layer]", [3, 3])
    notebook.wait_value("[view.heads, other.heads]", [[0], [2]])
    notebook.execute("link.unlink(); other.close()")


def test_buttons_save_what_is_shown(lab: Lab, widget: Widget) -> None:
    widget.click("head", "query 8 ")
    with lab.page.expect_download() as download:
        in_sight(widget.root, ".aw-save-svg").click()
    svg = download.value.path().read_text("utf-8")
    assert svg.startswith("<svg")
    assert ">because<" in svg
    with lab.page.expect_download() as download:
        in_sight(widget.root, ".aw-save-png").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    # The kernel makes it.
    with lab.page.expect_download() as download:
        in_sight(widget.root, ".aw-save-pdf").click()
    assert download.value.suggested_filename == "attention-decoder-layer0.pdf"
    assert download.value.path().read_bytes().startswith(b"%PDF")


def test_python_saves_through_the_browser(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    notebook.rest(widget)
    assert ">because<" in by_browser(notebook, tmp_path / "figure.svg").decode()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_every_width_in_both_themes(
    lab: Lab, notebook: Notebook, widget: Widget, theme: str
) -> None:
    lab.set_theme(theme)
    notebook.execute("view.query = 8")
    for width in (420, 700, 1400):
        notebook.set_output_width(0, width)
        widget.settle()
        widget.screenshot(f"widget-{width}-{theme}")
        overflow = widget.root.evaluate("(root) => root.scrollWidth - root.clientWidth")
        assert overflow <= 0
    assert widget.root.get_attribute("data-theme") == theme
    lab.set_theme("light")
    lab.set_viewport(1400)


def test_tokens_are_text_and_nothing_else(lab: Lab, notebook: Notebook) -> None:
    hostile = "</script><img src=x onerror='window.hacked=1'>"
    cell = notebook.append(
        f"import torch\ntokens = [{hostile!r}, '<b>', '&amp;', '\\n', ' ']\n"
        "aw.view(aw.from_weights(torch.full((2, 3, 5, 5), 0.2), tokens), query=0)"
    )
    shown = notebook.widget(cell)
    shown.rest()
    # The link in the line above the views is bold; the token that it names is text in it.
    assert shown.root.locator("img, script, b b, :not(.aw-said) > b").count() == 0
    assert hostile[:20] in shown.root.locator(".aw-said b").inner_text()
    assert lab.page.evaluate("window.hacked === undefined")
    names = [
        stop.get_attribute("aria-label") or "" for stop in shown.root.locator(".aw-stop").all()
    ]
    assert any(hostile in name for name in names)


def test_long_inputs_stay_small_on_the_page(notebook: Notebook) -> None:
    cell = notebook.append(
        "weights = [torch.rand(12, 512, 512).softmax(-1) for _ in range(2)]\n"
        "aw.view(aw.from_weights(weights, [f'w{i}' for i in range(512)]), heads=[0, 1])"
    )
    long = notebook.widget(cell)
    long.rest()
    assert long.root.evaluate("(root) => root.querySelectorAll('*').length") < 1000
