"""Views that come and go quickly: the page is told nothing that it cannot make sense of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.waiting import until

if TYPE_CHECKING:
    from browser.lab import Lab, Notebook

SETUP = """
import attnwidget as aw
from IPython.display import display

model, tokenizer = aw.pocket()
attention = aw.capture(model, "The cat sat on the mat because it was tired", tokenizer)
views = []
"""
COMMS = """(id) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  return [...panel.sessionContext.session.kernel._comms.keys()].sort();
}"""
CLOSED = {
    "each once it is shown": "for _ in range(40):\n    view = aw.view(attention)\n    display(view)\n    view.close()",
    # Few: anywidget gives up a widget that a busy page has not loaded within two seconds, closed or not.
    "all once they are shown": (
        "views = [aw.view(attention) for _ in range(8)]\ndisplay(*views)\nfor view in views:\n    view.close()"
    ),
    "shown by nothing": "for _ in range(40):\n    view = aw.view(attention)\n    view.close()",
    "not shown any more": "import ipywidgets\nbox = ipywidgets.VBox([aw.view(attention) for _ in range(40)])\ndisplay(box)\nfor view in box.children:\n    view.close()",
}


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Notebook:
    opened = lab.notebook([SETUP, *CLOSED.values(), "view = aw.view(attention)\ndisplay(view)"])
    opened.run(0)
    return opened


@pytest.mark.parametrize("cell", range(1, 1 + len(CLOSED)), ids=list(CLOSED))
def test_views_that_are_made_and_closed_at_once(notebook: Notebook, cell: int) -> None:
    notebook.run(cell)
    # Until the page has been told of the last of them.
    known = "sorted(get_ipython().kernel.comm_manager.comms)"
    told = until(
        notebook.page,
        lambda: notebook.page.evaluate(COMMS, notebook.identity) == notebook.value(known),
    )
    assert told
    # What the page says of them, it has said when a view that came after them stands there.
    notebook.run(1 + len(CLOSED))
    notebook.widget(1 + len(CLOSED)).settle()
