"""The widget inside ipywidgets' `Output`, `interact` and the like: it is there, alone, and what draws it again draws one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.copies import frozen
from browser.notebook7 import Notebook7
from browser.waiting import until
from browser.widget import SCREENSHOTS, Widget, in_sight
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.lab import Lab, Notebook
    from browser.server import LabServer
    from playwright.sync_api import Browser, Locator

LAST = 3
START = """
import ipywidgets
from IPython.display import display

import attnwidget as aw

model, tokenizer = aw.pocket()

def make(layer, **options):
    return aw.view(model, "The cat sat on the mat", tokenizer, view="head", layer=layer, **options)

def show(layer, **options):
    display(make(layer, **options))
"""
OUTPUT = """
out = ipywidgets.Output()
display(out)
with out:
    show(1)
"""
INTERACT = "ipywidgets.interact(show, layer=(0, 3));"
RETURNED = "ipywidgets.interact(make, layer=(0, 3));"
INTERACTIVE = "ipywidgets.interactive(show, layer=(0, 3))"
INTERACTIVE_OUTPUT = """
layer = ipywidgets.IntSlider(1, 0, 3)
display(layer, ipywidgets.interactive_output(show, {"layer": layer}))
"""
TAB = """
inner = ipywidgets.Output()
with inner:
    show(1)
ipywidgets.Tab([inner])
"""
DEEP = """
outer, inner = ipywidgets.Output(), ipywidgets.Output()
display(ipywidgets.VBox([outer]))
with outer:
    display(ipywidgets.Tab([inner]))
with inner:
    ipywidgets.interact(show, layer=(0, 3))
"""
# The view of the cell itself and one in an `Output` beside it.
BOTH = "show(2)\n" + OUTPUT
FROZEN = "ipywidgets.interact(lambda layer: show(layer, frozen=True), layer=(0, 3));"
# By its name: the code, and whether a slider is part of it.
KINDS = {
    "output": (OUTPUT, False),
    "interact": (INTERACT, True),
    "interact-returned": (RETURNED, True),
    "interactive": (INTERACTIVE, True),
    "interactive-output": (INTERACTIVE_OUTPUT, True),
    "tab": (TAB, False),
    "deep": (DEEP, True),
}


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Notebook]:
    notebook = lab.notebook([START], name="nested")
    notebook.run(0)
    yield notebook
    notebook.close()


def assert_alone(output: Locator, layer: int) -> Widget:
    """There is one widget of this layer, it has drawn, and no note is seen; return it."""
    roots = output.locator(".attnwidget")
    chosen = roots.locator("select[aria-label='Layer']")
    expect(roots).to_have_count(1)
    expect(chosen).to_have_value(str(layer))
    widget = Widget(output.page, roots)
    assert int(widget.picture("head").split()[1]) > 10
    box = roots.bounding_box()
    assert box is not None, "the widget takes no room on the page"
    assert box["width"] > 300
    assert box["height"] > 200
    assert_no_note(output)
    return widget


def assert_no_note(output: Locator) -> None:
    """The note is hidden for good: its animation ends now, not in two seconds."""
    notes = output.locator(".attnwidget-note")
    notes.first.wait_for(state="attached")
    notes.evaluate_all(
        "(notes) => notes.forEach((note) => note.getAnimations().forEach((each) => each.finish()))"
    )
    for note in notes.all():
        expect(note).to_be_hidden()


def slide(output: Locator, layer: int) -> None:
    """Click the slider where this layer is."""
    slider = output.locator(".widget-slider .noUi-target")
    expect(slider).to_be_visible()
    box = slider.bounding_box()
    assert box is not None
    # Just inside of both ends.
    across = 1 + layer / LAST * (box["width"] - 2)
    handle = slider.locator(".noUi-handle")

    def moved() -> bool:
        # What stands above may come to its height between two steps of a click, which then meets something else.
        slider.click(position={"x": across, "y": box["height"] / 2})
        return handle.get_attribute("aria-valuenow") == f"{layer:.1f}"

    assert until(output.page, moved)


def assert_redraws(output: Locator) -> None:
    """Each change of the slider shows one widget, at a height that does not grow."""
    heights = [assert_alone(output, 1).root.bounding_box()]
    for layer in (2, 3, 0, 1):
        slide(output, layer)
        heights.append(assert_alone(output, layer).root.bounding_box())
    first, *others = [box["height"] for box in heights if box is not None]
    assert others == [first] * 4


def area_height(output: Locator) -> float:
    found: float = output.locator(".jp-OutputArea").first.evaluate(
        "(area) => area.getBoundingClientRect().height"
    )
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_there_alone(notebook: Notebook, kind: str) -> None:
    code, slides = KINDS[kind]
    output = notebook.output(notebook.append(code))
    if slides:
        assert_redraws(output)
    else:
        assert_alone(output, 1)


def test_an_output_that_is_cleared_and_filled_again_shows_one(notebook: Notebook) -> None:
    output = notebook.output(notebook.append(OUTPUT))
    assert_alone(output, 1)
    height = area_height(output)
    for layer in (2, 3):
        notebook.append(f"out.clear_output(wait=True)\nwith out:\n    show({layer})")
        assert_alone(output, layer)
    assert until(notebook.page, lambda: area_height(output) == height), area_height(output)


def test_a_cell_that_clears_itself_shows_one(notebook: Notebook) -> None:
    code = "from IPython.display import clear_output\nshow(0)\nclear_output(wait=True)\nshow(3)"
    assert_alone(notebook.output(notebook.append(code)), 3)


def test_one_in_the_cell_and_one_in_an_output_beside_it(notebook: Notebook) -> None:
    output = notebook.output(notebook.append(BOTH))
    roots = output.locator(".attnwidget")
    expect(roots).to_have_count(2)
    expect(roots.nth(0)).to_be_visible()
    expect(roots.nth(1)).to_be_visible()
    for place in range(2):
        Widget(notebook.page, roots.nth(place)).settle()
    assert_no_note(output)


def test_frozen_copies_are_drawn_again_too(notebook: Notebook) -> None:
    output = notebook.output(notebook.append(FROZEN))
    for layer in (1, 2, 0):
        slide(output, layer)
        expect(output.locator("iframe.attnwidget-frozen")).to_have_count(1)
        # The frame may be another one while it is waited for.
        inside = output.frame_locator("iframe.attnwidget-frozen")
        expect(inside.locator("select[aria-label='Layer']")).to_have_value(str(layer))
        expect(output.locator("iframe.attnwidget-frozen")).to_be_visible()
    frozen(output)


def test_frozen_in_an_output_the_copy_is_where_freeze_is_called(notebook: Notebook) -> None:
    """What stands in an `Output` no message can replace: nothing of this is silent."""
    code = OUTPUT.replace("show(1)", "kept = make(1); display(kept)")
    output = notebook.output(notebook.append(code))
    widget = assert_alone(output, 1)
    # A drawing that comes after the box was opened would take it away again.
    widget.rest()
    in_sight(widget.root, ".aw-freeze").click()
    expect(widget.root.locator(".aw-failure")).to_contain_text("call view.freeze() in a cell")
    beside = notebook.output(notebook.append("kept.freeze()"))
    expect(frozen(beside).locator("select[aria-label='Layer']")).to_have_value("1")
    notebook.append("kept = make(2)\nout.clear_output()\nwith out:\n    kept.freeze()")
    expect(frozen(output).locator("select[aria-label='Layer']")).to_have_value("2")
    expect(output.locator(".attnwidget")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_seen_in_light_and_dark(lab: Lab, notebook: Notebook, theme: str) -> None:
    lab.set_theme(theme)
    cell = notebook.append(INTERACT)
    output = notebook.output(cell)
    widget = assert_alone(output, 1)
    expect(widget.root).to_have_attribute("data-theme", theme)
    slide(output, 2)
    assert_alone(output, 2).rest()
    SCREENSHOTS.mkdir(exist_ok=True)
    notebook.cells.nth(cell).screenshot(
        path=SCREENSHOTS / f"nested-interact-{theme}.png", animations="disabled"
    )
    lab.set_theme("light")


def test_notebook_7_shows_it_too(chromium: Browser, lab_server: LabServer) -> None:
    page = Notebook7(chromium, lab_server)
    notebook = page.notebook([START, INTERACT, TAB], name="nested")
    notebook.run_all()
    assert_redraws(notebook.output(1))
    assert_alone(notebook.output(2), 1)
    notebook.close()
    page.forget_its_own()
    page.watch.assert_clean()
    page.close()
