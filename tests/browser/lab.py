"""JupyterLab in Chromium as tests use it: open a notebook, run cells, look, click, read back.

Notebooks are driven through JupyterLab's own commands, widgets through the mouse and keyboard.
"""

from __future__ import annotations

import ast
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nbformat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from browser.server import LabServer
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Locator,
        Page,
        Request,
        WebError,
    )

SCREENSHOTS = Path(__file__).parent / "screenshots"

BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A proxy nobody listens on; Chromium never sends what is for this machine to a proxy.
    "--proxy-server=http://127.0.0.1:9",
)

# What JupyterLab itself complains about, none of it ours.
NOISE = (
    # Asked of every server; ours has no language servers and no terminals.
    "/lsp/status",
    "/api/terminals",
    # JupyterLab asks for a notebook's pictures beside the page first, then where they are.
    "/images/",
)

OPEN = """async (path) => {
  const panel = await jupyterapp.commands.execute("docmanager:open", { path, factory: "Notebook" });
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  jupyterapp.shell.collapseLeft();
  jupyterapp.shell.collapseRight();
  return panel.id;
}"""

RUN = """async ([id, index]) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  jupyterapp.shell.activateById(id);
  panel.content.activeCellIndex = index;
  panel.content.deselectAll();
  await jupyterapp.commands.execute("notebook:run-cell");
  return panel.content.widgets[index].model.outputs?.toJSON() ?? [];
}"""

OUTPUTS = """([id, index]) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  return panel.content.widgets[index].model.outputs?.toJSON() ?? [];
}"""

ADD = """([id, source]) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  const shared = panel.content.model.sharedModel;
  shared.insertCell(shared.cells.length, { cell_type: "code", source });
  return shared.cells.length - 1;
}"""

EVALUATE = """async ([id, code, expressions]) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  const future = panel.sessionContext.session.kernel.requestExecute({
    code,
    silent: false,
    store_history: false,
    user_expressions: expressions,
  });
  return (await future.done).content;
}"""

# Two frames later everything that was due has been drawn.
PICTURE = """async (canvas) => {
  for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let hash = 0;
  for (const word of new Uint32Array(data.buffer)) hash = (Math.imul(hash, 31) + word) | 0;
  const colours = new Set(new Uint32Array(data.buffer)).size;
  return `${canvas.width}x${canvas.height} ${colours} colours ${hash}`;
}"""

CLOSE = """async (id) => {
  const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
  await panel.sessionContext.shutdown();
  await panel.context.save();
  panel.dispose();
}"""


class CellError(AssertionError):
    """A cell or an expression raised in the kernel; the message is its traceback."""


class Watch:
    """Keeps count of everything a clean page would not do, for all pages of a browser context."""

    def __init__(self, context: BrowserContext) -> None:
        """Start watching."""
        #: Console errors, uncaught exceptions and requests that leave this machine.
        self.problems: list[str] = []
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)

    def assert_clean(self) -> None:
        """Fail when a page reported an error or asked for anything off this machine."""
        problems, self.problems[:] = list(self.problems), []
        assert not problems, "the page was not clean:\n" + "\n".join(problems)

    def _on_console(self, message: ConsoleMessage) -> None:
        place = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and not any(noise in place for noise in NOISE):
            self.problems.append(f"console: {place}")

    def _on_error(self, caught: WebError) -> None:
        self.problems.append(f"uncaught: {caught.error.stack or caught.error.message}")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1":
            self.problems.append(f"request to {request.url}")


class Lab:
    """One JupyterLab page, watched."""

    def __init__(
        self,
        browser: Browser,
        server: LabServer,
        *,
        prepare: Callable[[BrowserContext], object] | None = None,
    ) -> None:
        """Open the page and wait until JupyterLab has started; `prepare` may set it up before."""
        self.server = server
        self.context = browser.new_context(viewport={"width": 1400, "height": 1000})
        if prepare is not None:
            prepare(self.context)
        self.page: Page = self.context.new_page()
        self.watch = Watch(self.context)
        #: Messages that the page has sent to kernels.
        self.sent = 0
        self.page.on("websocket", lambda socket: socket.on("framesent", self._on_sent))
        self.page.goto(f"{server.url}/lab?reset")
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.page.evaluate("() => jupyterapp.restored.then(() => null)")
        self._wait_for_splash()

    def notebook(self, cells: Sequence[str], *, name: str = "test") -> Notebook:
        """Open a fresh notebook of these code cells, with a kernel of its own; run nothing yet."""
        number = len(list(self.server.root.glob(f"{name}-*.ipynb")))
        path = f"{name}-{number}.ipynb"
        document = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(document, self.server.root / path)
        return self.open(path)

    def open(self, path: str) -> Notebook:
        """Open a notebook that is in the server's folder."""
        return Notebook(self, path, self.page.evaluate(OPEN, path))

    def set_theme(self, theme: str) -> None:
        """Switch JupyterLab to ``"light"`` or ``"dark"`` and wait until the page has."""
        name = f"JupyterLab {theme.capitalize()}"
        self.page.evaluate(
            "(theme) => jupyterapp.commands.execute('apputils:change-theme', { theme })", name
        )
        self.page.locator(f'body[data-jp-theme-name="{name}"]').wait_for(state="attached")
        self._wait_for_splash()

    def set_viewport(self, width: int, height: int = 1000) -> None:
        """Resize the browser window's content."""
        self.page.set_viewport_size({"width": width, "height": height})

    def close(self) -> None:
        """Close the page; kernels of notebooks left open are shut down with the server."""
        self.context.close()

    def _wait_for_splash(self) -> None:
        # JupyterLab covers the page while a theme loads; two at a time and it reports an error.
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def _on_sent(self, _payload: object) -> None:
        self.sent += 1


class Notebook:
    """An open notebook with a running kernel. Cells are counted from 0."""

    def __init__(self, lab: Lab, path: str, identity: str) -> None:
        """Use :meth:`Lab.notebook` or :meth:`Lab.open` instead."""
        self.lab = lab
        self.page = lab.page
        self.path = path
        self.identity = identity

    def run(self, cell: int) -> list[dict[str, Any]]:
        """Run one cell to its end; return its outputs.

        Raises:
            CellError: The cell raised.
        """
        outputs: list[dict[str, Any]] = self.page.evaluate(RUN, [self.identity, cell])
        for output in outputs:
            if output["output_type"] == "error":
                raise CellError("\n".join(output["traceback"]))
        return outputs

    def run_all(self) -> None:
        """Run every cell in order."""
        for cell in range(self.cells.count()):
            self.run(cell)

    def add(self, source: str) -> int:
        """Add a cell at the end without running it; return its number."""
        cell: int = self.page.evaluate(ADD, [self.identity, source])
        return cell

    def append(self, source: str) -> int:
        """Add a cell at the end and run it; return its number."""
        cell = self.add(source)
        self.run(cell)
        return cell

    def text(self, cell: int) -> str:
        """What the cell printed, and its result as plain text."""
        outputs = self.page.evaluate(OUTPUTS, [self.identity, cell])
        parts = [
            output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs
        ]
        return "".join(part if isinstance(part, str) else "".join(part) for part in parts)

    def execute(self, code: str) -> None:
        """Run code in the kernel without a cell, so that nothing on the page moves.

        Raises:
            CellError: The code raised.
        """
        self._evaluate(code, {})

    def value(self, expression: str) -> Any:
        """Value of a Python expression in the kernel, by way of JSON.

        The front end's own messages go first: the kernel answers in the order it was asked.

        Raises:
            CellError: The expression raised.
        """
        wrapped = f"__import__('json').dumps({expression})"
        answer = self._evaluate("", {"value": wrapped})["user_expressions"]["value"]
        if answer["status"] != "ok":
            raise CellError("\n".join(answer["traceback"]))
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def wait_value(self, expression: str, expected: object, *, seconds: float = 15) -> None:
        """Wait until the expression has this value in the kernel; tuples compare as lists."""
        give_up = time.monotonic() + seconds
        wanted = json.loads(json.dumps(expected))
        while (found := self.value(expression)) != wanted and time.monotonic() < give_up:
            self.page.wait_for_timeout(50)
        assert found == wanted, f"{expression} is {found!r}, expected {wanted!r}"

    @property
    def cells(self) -> Locator:
        """All cells of this notebook, in order."""
        return self.page.locator(f"[id='{self.identity}'] .jp-Notebook .jp-Cell")

    def output(self, cell: int) -> Locator:
        """The output area of one cell."""
        return self.cells.nth(cell).locator(".jp-Cell-outputWrapper")

    def widget(self, cell: int) -> Widget:
        """The attention widget that a cell shows."""
        return Widget(self, self.output(cell).locator(".attnwidget").first)

    def set_output_width(self, cell: int, width: int) -> None:
        """Resize the window until the cell's output area is ``width`` CSS pixels wide."""
        area = self.output(cell).locator(".jp-OutputArea-output").first
        matches = 0
        for _ in range(12):
            size, box = self.page.viewport_size, area.bounding_box()
            assert size is not None
            assert box is not None
            lacking = width - round(box["width"])
            # Twice, because JupyterLab lays itself out some time after the window has changed.
            matches = matches + 1 if lacking == 0 else 0
            if matches == 2:
                return
            if lacking:
                self.lab.set_viewport(size["width"] + lacking, size["height"])
            self.page.wait_for_timeout(100)
        message = f"the output of cell {cell} cannot be made {width} px wide"
        raise AssertionError(message)

    def close(self) -> None:
        """Shut the kernel down, save, and close the tab."""
        self.page.evaluate(CLOSE, self.identity)

    def _evaluate(self, code: str, expressions: dict[str, str]) -> dict[str, Any]:
        content: dict[str, Any] = self.page.evaluate(EVALUATE, [self.identity, code, expressions])
        if content["status"] != "ok":
            raise CellError("\n".join(content["traceback"]))
        return content


class Widget:
    """One attention widget on the page, told apart by its root element."""

    def __init__(self, notebook: Notebook, root: Locator) -> None:
        """Use :meth:`Notebook.widget` instead."""
        self.notebook = notebook
        self.root = root

    def painted(self) -> int:
        """How many times the front end has finished drawing; waits for the first."""
        self.root.locator("xpath=self::*[@data-painted]").wait_for(state="attached")
        return int(self.root.get_attribute("data-painted") or 0)

    def settle(self, *, seconds: float = 30) -> None:
        """Wait until it has drawn and waits for no block."""
        self.painted()
        quiet = "xpath=self::*[@data-pending='0']"
        self.root.locator(quiet).wait_for(state="attached", timeout=1000 * seconds)

    def panel(self, view: str) -> Locator:
        """The panel of one view: ``"model"``, ``"head"``, ``"neuron"`` or ``"compare"``."""
        return self.root.locator(f".aw-panel-{view}")

    def stop(self, view: str, name: str) -> Locator:
        """What a screen reader finds in a view under a name that starts like this."""
        return self.panel(view).locator(f".aw-stop[aria-label^='{name}']").first

    def point(self, view: str, name: str) -> tuple[float, float]:
        """The middle of what has this name, in the page, scrolled into sight."""
        stop = self.stop(view, name)
        stop.wait_for(state="attached")
        stop.scroll_into_view_if_needed()
        box = stop.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def click(self, view: str, name: str, *, shift: bool = False) -> None:
        """Click with the mouse on the picture, where the thing of this name is drawn."""
        x, y = self.point(view, name)
        keyboard = self.notebook.page.keyboard
        if shift:
            keyboard.down("Shift")
        self.notebook.page.mouse.click(x, y)
        if shift:
            keyboard.up("Shift")

    def hover(self, view: str, name: str) -> None:
        """Move the mouse there."""
        self.notebook.page.mouse.move(*self.point(view, name))

    def leave(self) -> None:
        """Move the mouse away from every widget."""
        self.notebook.page.mouse.move(2, 2)

    def picture(self, view: str) -> str:
        """Fingerprint of the pixels of one view's canvas, once nothing is awaited."""
        self.settle()
        found: str = self.panel(view).locator("canvas").evaluate(PICTURE)
        return found

    def wait_for_another(self, view: str, picture: str) -> str:
        """Wait until a view looks different from this picture; return how it looks then."""
        give_up = time.monotonic() + 15
        while (now := self.picture(view)) == picture and time.monotonic() < give_up:
            self.notebook.page.wait_for_timeout(50)
        assert now != picture, f"the {view} view still looks as before"
        return now

    def screenshot(self, name: str) -> Path:
        """Save a picture of all of the widget as ``screenshots/<name>.png``; return its path."""
        page = self.notebook.page
        before, box = page.viewport_size, self.root.bounding_box()
        assert before is not None
        assert box is not None
        # The notebook scrolls inside the page, so only what fits into the window can be pictured.
        self.notebook.lab.set_viewport(before["width"], max(1000, round(box["height"]) + 300))
        self.settle()
        SCREENSHOTS.mkdir(exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.root.screenshot(path=path, animations="disabled")
        self.notebook.lab.set_viewport(before["width"], before["height"])
        return path
