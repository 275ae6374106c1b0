"""A record that takes long: it opens at once, the rest comes in slices, and can be stopped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from browser.lab import Lab, Notebook, Widget

LAYERS, HEADS, TOKENS = 5, 4, 2500
# Thumbnails and scores of this record work in steps that take the time of very long ones, as long as `slow` says so.
SHOW = f"""
import threading, time
import torch
import attnwidget as aw
import attnwidget.serve.blocks, attnwidget.serve.head_numbers, attnwidget.serve.thumbnails
from attnwidget import Attention, Layer, Stream
from attnwidget.record.positions import Position

torch.manual_seed(0)
def layer(number):
    draw = lambda size: torch.randn({HEADS}, {TOKENS}, size)
    return Layer(stream="self", layer=number, module_path=f"layers.{{number}}", num_heads={HEADS},
                 query=2 * draw(16), key=draw(16), value=draw(16), scaling=0.7)

asked, slow = [], threading.Event()
def slowly(what, make):
    def steps(*given, **named):
        asked.append(what if what != "tile" else given[0].layer)
        for step in range(10_000):
            if not slow.is_set():
                break
            time.sleep(0.02)
            yield step / 10_000
        return (yield from make(*given, **named))
    return steps

attnwidget.serve.thumbnails.summary_slices = slowly("thumbnails", attnwidget.serve.thumbnails.summary_slices)
attnwidget.serve.head_numbers.score_slices = slowly("scores", attnwidget.serve.head_numbers.score_slices)
attnwidget.serve.blocks.tile_slices = slowly("tile", attnwidget.serve.blocks.tile_slices)

positions = tuple(Position(f"t{{number}}") for number in range({TOKENS}))
stream = Stream("self", tuple(layer(number) for number in range({LAYERS})), positions, positions)
record = Attention("random", {{"self": stream}})
slow.set()
view = aw.view(record, choose=False)
view
"""
CELLS = [SHOW]
RESET = """
slow.clear()
view.view, view.layer, view.heads, view.query, view.key = "all", 0, [0], None, None
view.form, view.score, view.arrange, view.measure = "lines", None, "layers", "weights"
asked.clear()
"""


@pytest.fixture(scope="module")
def opened(lab: Lab, notebook: Notebook) -> Widget:
    """The view as it first stands, its thumbnails still to come."""
    widget = notebook.widget(0)
    widget.painted()
    assert lab.page is widget.page
    return widget


def progress(widget: Widget, words: str) -> str:
    line = widget.root.locator(".aw-progress", has_text=re.compile(words))
    line.wait_for()
    return line.inner_text()


def test_it_opens_before_its_thumbnails_sampled_ones_stand_there_until_they_come(
    notebook: Notebook, opened: Widget
) -> None:
    assert re.search(r"computing \d+ %", progress(opened, "computing"))
    root, canvas = opened.root.element_handle(), opened.panel("model").locator("canvas")
    opened.page.wait_for_function("root => root.dataset.blank === '0'", arg=root)
    assert notebook.value("[len(view.overview), len(view.source._thumbnails._made.done)]") == [0, 0]
    sampled, box = canvas.evaluate("canvas => canvas.toDataURL()"), canvas.bounding_box()
    notebook.execute("slow.clear()")
    opened.settle()
    notebook.wait_value("len(view.source._thumbnails._made.done)", LAYERS)
    opened.settle()
    opened.root.locator(".aw-progress").wait_for(state="detached")
    filled = canvas.evaluate("canvas => canvas.toDataURL()")
    # As much of a picture, another one, in the same place.
    assert len(sampled) > len(filled) / 2
    assert sampled != filled
    assert canvas.bounding_box() == box
    assert notebook.value("asked.count('thumbnails')") == LAYERS


def test_nothing_moves_when_progress_is_said(notebook: Notebook, widget: Widget) -> None:
    # Another form may be of another height; another layer of the same form is not.
    notebook.execute("view.form = 'matrix'")
    notebook.rest(widget)
    before = widget.root.bounding_box()
    notebook.execute("slow.set()\nview.layer = 3")
    progress(widget, "computing")
    assert widget.root.bounding_box() == before


def test_escape_stops_and_the_reader_goes_on(lab: Lab, notebook: Notebook, widget: Widget) -> None:
    notebook.execute("slow.set()\nview.query = 3\nview.score = 'previous'")
    text = widget.root.locator(".aw-scores .aw-remaining", has_text=re.compile(r"\d+ %"))
    text.wait_for()
    widget.root.focus()
    lab.page.keyboard.press("Escape")
    progress(widget, "stopped at")
    # What was on its way has been answered, and every answer that asked on would have led to another question.
    notebook.rest(widget)
    sent = lab.sent
    for _ in range(5):
        notebook.flush()
        widget.settle()
    assert lab.sent == sent
    # The first press stopped, and left the pin where it was.
    assert notebook.value("view.query") == 3
    notebook.execute("slow.clear()")
    widget.root.get_by_role("button", name="go on").click()
    text.wait_for(state="detached")
    widget.settle()
    widget.root.locator(".aw-progress").wait_for(state="detached")
    assert notebook.value("asked.count('scores')") == 1


def test_another_layer_drops_what_the_last_one_wanted(notebook: Notebook, widget: Widget) -> None:
    notebook.execute("slow.set()\nview.view, view.form, view.layer = 'head', 'matrix', 1")
    progress(widget, "computing")
    notebook.execute("view.layer = 4")
    notebook.wait_value("4 in asked", expected=True)
    widget.root.get_by_role("button", name="Stop computing").click()
    progress(widget, "stopped at")
    # Looked at again, it is asked for again.
    notebook.execute("asked.clear()\nview.layer = 1")
    progress(widget, "computing")
    notebook.execute("slow.clear()\nview.layer = 4")
    notebook.rest(widget)
    assert notebook.value("view.layer") == 4
