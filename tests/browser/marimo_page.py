"""marimo in Chromium: a notebook of cells written down as marimo's, run as an app or open in its editor."""

from __future__ import annotations

import contextlib
import textwrap
from typing import TYPE_CHECKING, Literal

from browser.server import free_port, running
from browser.watch import Watch
from browser.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

# The notebook runs when it is opened, and looks as the browser would have it.
CONFIGURATION = """
[runtime]
auto_instantiate = true
[display]
theme = "system"
"""
OPTIONS = ("--headless", "--no-token", "--host", "127.0.0.1")


@contextlib.contextmanager
def marimo(cells: Sequence[str], folder: Path, mode: Literal["run", "edit"]) -> Iterator[str]:
    """Serve a marimo notebook of these cells, with everything it reads and writes under ``folder``; yield its address."""
    configuration = folder / "config" / "marimo"
    configuration.mkdir(parents=True)
    (configuration / "marimo.toml").write_text(CONFIGURATION, "utf-8")
    root = folder / "notebooks"
    root.mkdir()
    (root / "notebook.py").write_text(source(cells), "utf-8")
    port = free_port()
    quiet = () if mode == "run" else ("--skip-update-check",)
    command = ("marimo", "-y", mode, "notebook.py", *OPTIONS, f"--port={port}", *quiet)
    url = f"http://127.0.0.1:{port}"
    with running(command, folder, f"{url}/health", directory=root):
        yield url


def source(cells: Sequence[str]) -> str:
    """The file of a marimo notebook; names that a cell gives to others are those without an underscore."""
    parts = [f"@app.cell\ndef _():\n{textwrap.indent(cell.strip(), '    ')}\n" for cell in cells]
    return "\n\n".join(["import marimo\n\napp = marimo.App()", *parts])


class Marimo:
    """One page of marimo, watched."""

    def __init__(self, browser: Browser, url: str, *, shows: int) -> None:
        """Open the notebook, which runs it, and wait until this cell shows a widget."""
        self.context = browser.new_context(viewport={"width": 1400, "height": 1000})
        self.watch = Watch(self.context)
        self.page = self.context.new_page()
        self.page.goto(url)
        # The kernel starts and imports first.
        self.widget(shows).root.wait_for(timeout=120_000)

    def widget(self, cell: int) -> Widget:
        """The attention widget that a cell shows."""
        return Widget(self.page, self.output(cell).locator(".attnwidget").first)

    def output(self, cell: int) -> Locator:
        """What a cell shows."""
        return self.page.locator("[id^='cell-']").nth(cell)

    def close(self) -> None:
        """Close the page; the kernel goes with the server."""
        self.context.close()
