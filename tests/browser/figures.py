"""The figure of a shown widget: saved by its button, and drawn by the kernel alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from browser.widget import in_sight

if TYPE_CHECKING:
    from browser.notebook import Notebook
    from browser.widget import Widget


def saved_by_button(widget: Widget) -> bytes:
    """What the button for SVG saves."""
    with widget.page.expect_download() as download:
        in_sight(widget.root, ".aw-save-svg").click()
    return Path(download.value.path()).read_bytes()


def headless(notebook: Notebook, path: Path, *, view: str = "view") -> bytes:
    """What the kernel draws of the widget of this name, once it :meth:`rests <Notebook.rest>`."""
    notebook.execute(f"{view}.save({str(path)!r}, renderer='headless')")
    return path.read_bytes()


def by_browser(notebook: Notebook, path: Path, options: str = "") -> bytes:
    """What the page sends when Python asks it for the figure of ``view``, with these options."""
    notebook.execute(f"view.save({str(path)!r}, renderer='browser', {options})")
    notebook.wait_value(f"__import__('os').path.exists({str(path)!r})", expected=True)
    # It was there when it was opened; written it is when the message that brought it has been handled.
    notebook.flush()
    return path.read_bytes()
