"""What a closed widget leaves behind: as good as nothing, in the kernel and in the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from browser.lab import Lab, Notebook

SETUP = """
import gc

import attnwidget as aw
import comm
import ipywidgets

model, tokenizer = aw.pocket()
attention = aw.capture(model, "The cat sat on the mat because it was tired", tokenizer)

def kernel():
    gc.collect()
    with open("/proc/self/statm") as numbers:
        pages = int(numbers.read().split()[1])
    return {
        "pages": pages,
        "comms": len(comm.get_comm_manager().comms),
        "widgets": sum(isinstance(each, aw.AttentionWidget) for each in gc.get_objects()),
    }
"""
MODULES = "() => globalThis[Symbol.for('attnwidget front ends')].size"
IDLE = "() => new Promise((done) => requestIdleCallback(() => setTimeout(done)))"
# Of what a page holds: less than this from one collection to the next is no longer a change.
SAME = 0.001
# What a page may keep of each widget: JupyterLab's own slots and anywidget's module, about 20 kB and half a node.
MARGIN = 0.1


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Notebook:
    """A notebook in which widgets come and go without any cell being run: JupyterLab keeps a little of each run."""
    opened = lab.notebook([SETUP, "box = ipywidgets.VBox([])\nbox"])
    opened.run_all()
    return opened


def show_and_close(notebook: Notebook) -> None:
    notebook.execute("view = aw.view(attention)\nbox.children = [view]")
    notebook.widget(1).settle()
    notebook.execute("box.children = []\nview.close()\ndel view")
    notebook.output(1).locator(".attnwidget").wait_for(state="detached")


def measured(notebook: Notebook) -> dict[str, float]:
    page = notebook.page
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    names = {"JSHeapUsedSize": "heap", "JSEventListeners": "listeners", "Nodes": "nodes"}
    found: dict[str, float] = {}
    # What is collected may keep other things until the page has been idle and they are collected in turn.
    for _ in range(20):
        before = found
        session.send("HeapProfiler.collectGarbage")
        page.evaluate(IDLE)
        metrics = session.send("Performance.getMetrics")["metrics"]
        found = {names[one["name"]]: one["value"] for one in metrics if one["name"] in names}
        if before and all(found[name] >= (1 - SAME) * before[name] for name in found):
            break
    session.detach()
    notebook.flush()
    return {**notebook.value("kernel()"), **found}


@pytest.mark.slow
def test_a_hundred_widgets_leave_nothing_behind(notebook: Notebook) -> None:
    # What the first ones load stays for all others: the front end, torch's buffers.
    for _ in range(3):
        show_and_close(notebook)
    before = measured(notebook)
    for _ in range(100):
        show_and_close(notebook)
    after = measured(notebook)
    changes = f"before {before}\nafter  {after}"
    assert after["comms"] == before["comms"], changes
    assert after["widgets"] == 0, changes
    for name in ("pages", "heap", "nodes"):
        assert after[name] <= (1 + MARGIN) * before[name], changes
    # JupyterLab's own come and go by the hundred; three of each widget would be more than this.
    assert after["listeners"] <= before["listeners"] + 250, changes


def test_widgets_of_a_page_share_one_front_end(notebook: Notebook) -> None:
    notebook.execute("views = [aw.view(attention), aw.view(attention)]\nbox.children = views")
    for number in range(2):
        notebook.output(1).locator(".attnwidget").nth(number).locator(
            "xpath=self::*[@data-painted]"
        ).wait_for(state="attached")
    assert notebook.page.evaluate(MODULES) == 1
    notebook.execute("box.children = []\nfor view in views: view.close()")


def test_closing_a_view_keeps_a_layout_that_is_not_its_own(notebook: Notebook) -> None:
    notebook.execute(
        "shared = ipywidgets.Layout(width='600px')\nview = aw.view(attention)\n"
        "view.layout = shared\nview.close()"
    )
    assert notebook.value("shared.comm is not None")
