"""JupyterLab in Chromium as tests use it: open a notebook, run cells, look, click, read back.

Notebooks are driven through JupyterLab's own commands, widgets through the mouse and keyboard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
from browser.notebook import ROUND_TRIP, CellError, Notebook
from browser.watch import BROWSER_ARGUMENTS, Watch
from browser.widget import PICTURE, Widget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from browser.server import LabServer
    from playwright.sync_api import Browser, BrowserContext, Page

# All that a test needs to drive JupyterLab.
__all__ = ["BROWSER_ARGUMENTS", "PICTURE", "CellError", "Lab", "Notebook", "Watch", "Widget"]

OPEN = """async (path) => {
  const panel = await jupyterapp.commands.execute("docmanager:open", { path, factory: "Notebook" });
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  jupyterapp.shell.collapseLeft();
  jupyterapp.shell.collapseRight();
  return panel.id;
}"""


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
        #: Messages that the page has sent to kernels, without those of the tests.
        self.sent = 0
        self.page.on("websocket", lambda socket: socket.on("framesent", self._on_sent))
        self._start()

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

    def _start(self) -> None:
        self.page.goto(f"{self.server.url}/lab?reset")
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.page.evaluate("() => jupyterapp.restored.then(() => null)")
        self._wait_for_splash()

    def _wait_for_splash(self) -> None:
        # JupyterLab covers the page while a theme loads; two at a time and it reports an error.
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def _on_sent(self, payload: bytes | str) -> None:
        data = payload if isinstance(payload, bytes) else payload.encode()
        # Cells and questions of a test; the front end never executes anything.
        own = b'"execute_request"' in data or ROUND_TRIP.encode() in data
        self.sent += not own
