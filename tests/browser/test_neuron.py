"""The neuron view in the notebook: one link or the whole head, and all of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.lab import Lab, Notebook
    from browser.widget import Widget

START = """
import attnwidget as aw

model, tokenizer = aw.pocket()
text = " ".join(["the cat sat on the mat because it was tired ."] * 4)
view = aw.view(model, text, tokenizer, view="neuron", layer=3, heads=[3], query=41)
view
"""


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[Notebook]:
    notebook = lab.notebook([START], name="neuron")
    notebook.run(0)
    yield notebook
    notebook.close()


@pytest.fixture
def widget(notebook: Notebook) -> Widget:
    widget = notebook.widget(0)
    widget.settle()
    return widget


def test_the_switch_is_a_trait(notebook: Notebook, widget: Widget) -> None:
    link = widget.picture("neuron")
    widget.click("neuron", "explain the whole head")
    notebook.wait_value("view.explain", "head")
    head = widget.wait_for_another("neuron", link)
    widget.screenshot("neuron-whole-head")
    notebook.execute("view.explain = 'link'")
    widget.wait_for_another("neuron", head)


def test_keys_that_do_not_fit_are_shown_at_a_click(notebook: Notebook, widget: Widget) -> None:
    scroller = widget.panel("neuron").locator(".aw-scroll")
    room = "(element) => element.scrollHeight - element.clientHeight"
    assert scroller.evaluate(room) <= 1
    few = widget.picture("neuron")
    widget.screenshot("neuron-one-link")
    widget.click("neuron", "show all keys: ")
    widget.wait_for_another("neuron", few)
    notebook.rest(widget)
    assert scroller.evaluate(room) > 200
    widget.click("neuron", "show only the strongest keys")
    notebook.rest(widget)
    assert scroller.evaluate(room) <= 1
