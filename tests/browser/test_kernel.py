"""What the reader is told of the kernel: that it is busy, that it is gone; and what comes after."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from browser.waiting import until
from browser.watch import watched
from browser.widget import in_sight
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from browser.lab import Lab, Notebook, Widget
    from playwright.sync_api import Browser

CELLS = [
    "import os, time\nimport attnwidget as aw\nmodel, tokenizer = aw.pocket()",
    "view = aw.view(model, 'the cat sat on the mat', tokenizer, choose=False)\nview",
]
# Of JupyterLab itself, while its kernel is not there.
OWN = ("kernel", "Kernel", "WebSocket", "disposed", "Canceled", "/api/")
# Nothing is waited for inside of the page, where a wait for a kernel that never comes back would have no end.
RESTART = """(id) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  panel.sessionContext.restartKernel().catch(() => null);
}"""
SHUT_DOWN = """(id) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  panel.sessionContext.session.kernel.shutdown().catch(() => null);
}"""
IDLE = """(id) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  const kernel = panel.sessionContext.session?.kernel;
  return kernel?.status === "idle" && kernel.connectionStatus === "connected";
}"""
BUSY = """([id, code]) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  panel.sessionContext.session.kernel.requestExecute({ code });
}"""
GONE = "was restarted: run this cell again"


def opened(lab: Lab) -> tuple[Notebook, Widget]:
    notebook = lab.notebook(CELLS)
    notebook.run_all()
    widget = notebook.widget(1)
    widget.rest()
    expect(widget.root).to_have_attribute("data-kernel", "ready")
    return notebook, widget


def says_that_it_is_gone(widget: Widget) -> None:
    expect(widget.root).to_have_attribute("data-kernel", "gone")
    failure = widget.root.locator(".aw-failure")
    expect(failure).to_contain_text(GONE)
    # Nor can the model be run under an edit.
    expect(widget.root.locator(".aw-what-row[data-unable] .aw-cannot")).to_contain_text("stopped")
    # Nothing that could be tried again.
    expect(failure.locator("button")).to_have_count(0)


def works_again(lab: Lab, notebook: Notebook) -> None:
    lab.page.wait_for_function(IDLE, arg=notebook.identity)
    notebook.run_all()
    widget = notebook.widget(1)
    widget.settle()
    expect(widget.root).to_have_attribute("data-kernel", "ready")
    expect(widget.root.locator(".aw-failure")).to_have_count(0)
    notebook.execute("view.layer = 2")
    expect(widget.root.locator("select[aria-label='Layer']")).to_have_value("2")
    widget.settle()


def forget_what_the_host_says(lab: Lab) -> None:
    problems = lab.watch.problems
    problems[:] = [each for each in problems if not any(word in each for word in OWN)]


def test_a_kernel_that_is_killed_is_said_to_be_gone_and_a_rerun_works(lab: Lab) -> None:
    notebook, widget = opened(lab)
    lab.page.evaluate(
        """([id, code]) => {
          const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
          panel.sessionContext.session.kernel.requestExecute({ code }).done.catch(() => null);
        }""",
        [notebook.identity, "os.kill(os.getpid(), 9)"],
    )
    says_that_it_is_gone(widget)
    # JupyterLab says so as well, in a dialog.
    dialog = lab.page.locator(".jp-Dialog button.jp-mod-accept")
    dialog.click()
    expect(dialog).to_have_count(0)
    works_again(lab, notebook)  # the server has started another
    forget_what_the_host_says(lab)
    notebook.close()


def test_a_kernel_that_is_restarted_is_said_to_be_gone_and_a_rerun_works(lab: Lab) -> None:
    notebook, widget = opened(lab)
    lab.page.evaluate(RESTART, notebook.identity)
    says_that_it_is_gone(widget)
    works_again(lab, notebook)
    forget_what_the_host_says(lab)
    notebook.close()


def test_a_kernel_that_is_shut_down_is_said_to_be_gone(lab: Lab) -> None:
    notebook, widget = opened(lab)
    lab.page.evaluate(SHUT_DOWN, notebook.identity)
    says_that_it_is_gone(widget)
    # What is on screen is reported to nobody: JupyterLab would complain on the page, which has to be clean.
    painted = widget.painted()
    lab.set_viewport(1200)
    assert until(lab.page, lambda: widget.painted() > painted)
    widget.rest()
    lab.set_viewport(1400)
    widget.rest()
    forget_what_the_host_says(lab)


def test_a_busy_kernel_is_said_to_be_busy_until_it_answers(lab: Lab, tmp_path: Path) -> None:
    notebook, widget = opened(lab)
    go_on = tmp_path / "go-on"
    os.mkfifo(go_on)
    # Opening it waits for who writes, and keeps all threads waiting: messages to widgets go to one of their own.
    code = f"import ctypes\nctypes.PyDLL(None).open({os.fsencode(go_on)!r}, 0)"
    lab.page.evaluate(BUSY, [notebook.identity, code])
    widget.root.locator("select[aria-label='Layer']").select_option("3")
    expect(widget.root).to_have_attribute("data-kernel", "busy")
    expect(widget.root.locator(".aw-busy")).to_have_text("kernel busy")
    with go_on.open("w"):
        pass
    widget.settle()
    expect(widget.root).to_have_attribute("data-kernel", "ready")
    expect(widget.root.locator(".aw-busy")).to_have_count(0)
    notebook.wait_value("view.layer", 3)
    notebook.close()


def test_what_the_kernel_refuses_is_taken_back_on_the_page(lab: Lab) -> None:
    notebook, widget = opened(lab)
    widget.root.locator("select[aria-label='Layer']").select_option("1")
    notebook.wait_value("view.layer", 1)
    # As a widget that is linked in the page alone may do it.
    notebook.execute(
        "import ipywidgets\n"
        "number = ipywidgets.IntText(1)\n"
        "link = ipywidgets.jslink((number, 'value'), (view, 'layer'))"
    )
    notebook.append("display(number)")
    box = notebook.output(2).locator("input")
    box.fill("99")
    box.press("Enter")
    expect(box).to_have_value("1")
    expect(widget.root.locator("select[aria-label='Layer']")).to_have_value("1")
    assert notebook.value("view.layer") == 1
    forget_what_the_host_says(lab)
    notebook.close()


def test_no_page_asks_for_anything_but_from_its_own_host(
    lab: Lab, chromium: Browser, tmp_path: Path
) -> None:
    asked: list[str] = []
    lab.context.on("request", lambda request: asked.append(request.url))
    notebook, widget = opened(lab)
    path = tmp_path / "page.html"
    notebook.execute(f"view.save({str(path)!r})")
    in_sight(widget.root, ".aw-freeze").click()
    expect(notebook.output(1).locator("iframe.attnwidget-frozen")).to_have_count(1)
    frame = notebook.output(1).frame_locator("iframe.attnwidget-frozen")
    expect(frame.locator(".attnwidget[data-pending='0']")).to_have_count(1)
    own = re.compile(rf"^(blob:|data:|about:|{re.escape(lab.server.url)})")
    assert [url for url in asked if not own.match(url)] == []
    notebook.close()
    with watched(chromium) as page:
        saved: list[str] = []
        page.on("request", lambda request: saved.append(request.url))
        page.goto(path.as_uri())
        page.locator(".attnwidget[data-pending='0']").wait_for()
        page.locator("select[aria-label='Layer']").select_option("2")
        page.locator(".attnwidget[data-pending='0']").wait_for()
    assert saved == [path.as_uri()]
