"""Views that come and go quickly: the page is told nothing that it cannot make sense of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser.lab import Lab
from browser.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.lab import Notebook
    from browser.server import LabServer
    from playwright.sync_api import Browser

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
# anywidget reports an error of a widget that it has not loaded after two seconds, closed or not: how many widgets a
# busy page loads in that time says nothing. Here it has as long as the test takes, and reports those at the end.
LATER = """
window.awLater = [];
const timeout = AbortSignal.timeout.bind(AbortSignal);
AbortSignal.timeout = (milliseconds) => {
  if (milliseconds !== 2000) return timeout(milliseconds);
  const controller = new AbortController();
  awLater.push(controller);
  return controller.signal;
};
"""
TIME_IS_UP = """async () => {
  const over = awLater.splice(0);
  for (const controller of over) controller.abort();
  // What is not caught is reported in a task of its own.
  await new Promise((done) => setTimeout(done));
  return over.length;
}"""
CLOSED = {
    "each once it is shown": "for _ in range(40):\n    view = aw.view(attention)\n    display(view)\n    view.close()",
    "all once they are shown": (
        "views = [aw.view(attention) for _ in range(8)]\ndisplay(*views)\nfor view in views:\n    view.close()"
    ),
    "shown by nothing": "for _ in range(40):\n    view = aw.view(attention)\n    view.close()",
    "not shown any more": "import ipywidgets\nbox = ipywidgets.VBox([aw.view(attention) for _ in range(40)])\ndisplay(box)\nfor view in box.children:\n    view.close()",
}


@pytest.fixture(scope="module")
def lab(chromium: Browser, lab_server: LabServer) -> Iterator[Lab]:
    page = Lab(chromium, lab_server, prepare=lambda context: context.add_init_script(LATER))
    yield page
    page.close()


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
    notebook.widget(1 + len(CLOSED)).rest()
    assert notebook.page.evaluate(TIME_IS_UP) > 0
