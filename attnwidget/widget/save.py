"""`view.save`: figures of what is shown, drawn here or by the browser, and pages that need no kernel."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from attnwidget.figures.picture import check_resolution
from attnwidget.figures.renderer import INSTALL, available
from attnwidget.files.replacing import write_bytes, write_text
from attnwidget.record.saving import FIGURES, OWN, PAGE, ending

if TYPE_CHECKING:
    from attnwidget.figures.figure import Figure
    from attnwidget.record.options import DrawnSelection
    from attnwidget.widget.displayed import DisplayedView

__all__ = ["BrowserFigures", "save"]

logger = logging.getLogger(__name__)


class BrowserFigures:
    """Figures that the browser was asked for.

    Attributes:
        waiting: Where each is written when it arrives, by the token that it was asked for with.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.waiting: dict[str, Path] = {}

    def ask(self, view: DisplayedView, target: Path, figure: Figure, scale: float) -> None:
        """Ask the displayed widget to draw a figure and to send it to `take`.

        Raises:
            ValueError: If the browser does not draw this.
            RuntimeError: If the widget is not displayed.
        """
        suffix = target.suffix.lower()
        if suffix == ".pdf":
            message = f"The browser draws .svg and .png; for .pdf: {INSTALL}."
            raise ValueError(message)
        if not view.screen:
            message = f"The widget is not displayed, so no browser can draw it: show it first, or {INSTALL}."
            raise RuntimeError(message)
        if figure.cropped:
            message = f"The browser draws all positions; for some of them: {INSTALL}."
            raise ValueError(message)
        token = uuid4().hex
        self.waiting[token] = target.absolute()
        asked = {"token": token, "format": suffix[1:], "scale": scale, "figure": figure.spec}
        # Other parts of the selection than those on screen may have been asked for.
        asked["state"] = figure.selection
        width = {} if figure.width is None else {"width": figure.width}
        view.send({"kind": "save", **asked, **width})

    def take(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        """Write the figure that a message of the browser brings."""
        path = self.waiting.pop(message.get("token", ""), None)
        if path is not None and buffers:
            write_bytes(path, bytes(buffers[0]))
            logger.info("Wrote %s.", path)
        elif path is not None:
            # A warning and no log entry: the call that asked has long returned, and this is all the reader gets.
            warnings.warn(f"{path} was not written: {message.get('error')}", stacklevel=3)


def save(
    view: DisplayedView,
    browser: BrowserFigures,
    path: str | os.PathLike[str],
    *,
    scale: float | None,
    dpi: float | None,
    renderer: str,
    budget: int | str | None,
    options: DrawnSelection,
) -> Path:
    """Write what a widget shows; `AttentionWidget.save` describes arguments and errors."""
    target = Path(path)
    suffix = ending(target)
    if suffix not in {*FIGURES, PAGE}:
        given = os.fspath(path)
        message = f"path must end in .svg, .png, .pdf or .html, got {given!r}"
        if suffix == OWN:
            message += f"; the record that is shown: view.attention.save({given!r})"
        message += "."
        raise ValueError(message)
    factor = check_resolution(scale, dpi)
    if renderer not in {"auto", "headless", "browser"}:
        message = f"renderer must be 'auto', 'headless' or 'browser', got {renderer!r}."
        raise ValueError(message)
    if budget is not None and suffix != ".html":
        message = f"budget is what an .html page may weigh, got it for {os.fspath(path)!r}."
        raise ValueError(message)
    if suffix == ".html":
        if options:
            message = f"{next(iter(options))} is for figures, got it for {os.fspath(path)!r}."
            raise ValueError(message)
        write_text(target, view.html(budget=budget))
        return target
    figure = view.figure(**options)
    if renderer == "browser" or (
        renderer == "auto" and suffix != ".pdf" and view.screen and not available()
    ):
        browser.ask(view, target, figure, factor)
    else:
        figure.save(target, scale=factor)
    return target
