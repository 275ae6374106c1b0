"""80 layers of 64 heads in one cell: each can be found, clicked and named, and some can be left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from browser.figures import headless, saved_by_button
from browser.widget import in_sight
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Notebook, Widget

LAYERS, HEADS = 80, 64
RECORD = f"""
import torch

import attnwidget as aw
from attnwidget import Attention, Layer, Stream
from attnwidget.compute.masks import Band
from attnwidget.record.positions import Position

generator = torch.Generator().manual_seed(0)
tokens = tuple(Position("word%d" % number) for number in range(12))

def layer(number):
    query, key, value = (torch.randn({HEADS}, 12, 4, generator=generator) for _ in range(3))
    return Layer(stream="self", layer=number, module_path="layers.%d" % number, num_heads={HEADS},
                 query=2 * query, key=key, value=value, scaling=0.5, band=Band(causal=True))

stream = Stream("self", tuple(layer(number) for number in range({LAYERS})), tokens, tokens)
attention = Attention("Random", {{"self": stream}})
"""
SHOW = "view = aw.view(attention, choose=False)\nview"
CELLS = [RECORD, SHOW]
RESET = """
view.layer, view.heads, view.compare, view.view = 37, [11], [], "all"
view.arrange, view.score, view.threshold = "layers", None, None
view.below_threshold, view.show_layers = "faint", None
"""


def test_every_head_of_the_selected_layer_can_be_read(widget: Widget) -> None:
    names = widget.names("model")
    assert HEADS <= len(names) <= 80
    assert sum(name.startswith("layer 37 ") for name in names) == HEADS
    for head in (0, 11, 63):
        box = widget.stop("model", f"layer 37 head {head},").bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 16
    widget.screenshot("big-model")


def pointed_until(
    widget: Widget, places: list[tuple[float, float]], words: str
) -> tuple[float, float]:
    """Move the mouse from place to place until the line above the views has these words; return where that is."""
    status = widget.root.locator(".aw-status")
    said = []
    for x, y in places:
        widget.page.mouse.move(x, y)
        widget.settle()
        said.append(status.inner_text())
        if words in said[-1]:
            return x, y
    raise AssertionError(said)


def test_the_last_head_of_all_is_found_and_clicked(notebook: Notebook, widget: Widget) -> None:
    canvas = widget.panel("model").locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    # From below the grid upwards to its last line, then from the right to the last head in that.
    line, right = box["y"] + box["height"] - 3, box["x"] + box["width"]
    places = [(right - 120, line - 3 * step) for step in range(40)]
    found = pointed_until(widget, places, "layer 79, ")
    places = [(right - 2 * step, found[1]) for step in range(60)]
    pointed_until(widget, places, "layer 79, head 63")
    widget.page.mouse.down()
    widget.page.mouse.up()
    notebook.wait_value("[view.layer, view.heads]", [79, [63]])
    widget.rest()
    opened = widget.stop("model", "layer 79 head 63,").bounding_box()
    assert opened is not None
    assert opened["width"] >= 16


def test_what_python_selects_is_in_sight(notebook: Notebook, widget: Widget) -> None:
    canvas = widget.panel("model").locator("canvas")
    for view, layer, head in (("all", 79, 63), ("model", 0, 5), ("all", 44, 1)):
        notebook.execute(f"view.view, view.layer, view.heads = {view!r}, {layer}, [{head}]")
        widget.rest()
        stop = widget.stop("model", f"layer {layer} head {head},")
        expect(stop).to_be_attached()
        inside, frame = stop.bounding_box(), canvas.bounding_box()
        assert inside is not None
        assert frame is not None
        assert frame["y"] <= inside["y"]
        assert inside["y"] + inside["height"] <= frame["y"] + frame["height"]
    # In a ranking the selected head may be hundreds of lines down.
    notebook.execute("view.score, view.arrange = 'previous', 'rank'")
    widget.settle()
    notebook.execute("view.layer, view.heads = 60, [2]")
    expect(widget.stop("model", "layer 60 head 2,")).to_be_attached()


def test_layers_are_chosen_by_their_numbers(notebook: Notebook, widget: Widget) -> None:
    field = in_sight(widget.root, ".aw-show-layers")
    field.fill("36-38, 79")
    field.press("Enter")
    notebook.wait_value("view.show_layers", [36, 37, 38, 79])
    expect(field).to_have_value("36–38, 79")
    widget.settle()
    # In the grid, and in the list of what heads do below it.
    named = [re.search(r"layer (\d+) head", name) for name in widget.names("model")]
    assert {found and found[1] for found in named} == {"36", "37", "38", "79"}
    field.fill("half of them")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    notebook.wait_value("view.show_layers", [36, 37, 38, 79])
    notebook.execute("view.show_layers = range(36, 39)")
    expect(field).to_have_value("36–38")
    widget.root.locator(".aw-next").click()
    widget.root.locator(".aw-next").click()
    # The last that is on show.
    notebook.wait_value("view.layer", 38)
    in_sight(widget.root, ".aw-show-layers").fill("")
    field.press("Enter")
    notebook.wait_value("view.show_layers", None)


def test_heads_below_the_threshold_go_and_the_figure_goes_along(
    notebook: Notebook, widget: Widget, tmp_path: Path
) -> None:
    notebook.execute("view.view, view.score, view.threshold = 'model', 'previous', 0.3")
    widget.settle()
    everything = widget.picture("model")
    remain = notebook.value("int((view.attention.head_scores('previous')['value'] >= 0.3).sum())")
    assert 0 < remain < LAYERS * HEADS
    widget.root.locator(".aw-hide").click()
    notebook.wait_value("view.below_threshold", "hidden")
    widget.wait_for_another("model", everything)
    expect(widget.root.locator(".aw-remaining")).to_have_text(
        f"{remain} of {LAYERS * HEADS} heads reach 0.30"
    )
    assert not any("below the threshold" in name for name in widget.names("model"))
    notebook.execute("view.show_layers = range(30, 60)")
    for view in ("model", "all"):
        notebook.execute(f"view.view = {view!r}")
        widget.leave()
        notebook.rest(widget)
        assert saved_by_button(widget) == headless(notebook, tmp_path / "figure.svg")


def test_in_a_narrow_cell_all_layers_are_in_sight(notebook: Notebook, widget: Widget) -> None:
    cell = CELLS.index(SHOW)
    notebook.set_output_width(cell, 420)
    widget.settle()
    scroller = widget.panel("model").locator(".aw-scroll")
    assert scroller.evaluate("(it) => it.scrollHeight - it.clientHeight") == 0
    for head in (0, 63):
        expect(widget.stop("model", f"layer 37 head {head},")).to_be_attached()
    widget.screenshot("big-model-narrow")
    notebook.set_output_width(cell, 1200)
