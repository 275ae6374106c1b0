"""What a widget writes: figures of what is shown, and the page that needs no kernel."""

from __future__ import annotations

import math
import os
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from attnwidget import figures
from attnwidget.blocks import answer
from attnwidget.heads import HEAD_KINDS
from attnwidget.page import page_within
from attnwidget.sizes import parse_bytes
from attnwidget.traits import STATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnwidget.attention import Attention
    from attnwidget.drawn import Rollouts
    from attnwidget.heads import HeadNumbers
    from attnwidget.protocol.codec import Block

__all__ = ["Saving"]

DEFAULT_WIDTH = 1200


class Saving:
    """The half of the widget that writes; the traits it reads are the widget's."""

    if TYPE_CHECKING:
        _esm: str
        _attention: Attention
        _heads: HeadNumbers
        _rollouts: Rollouts
        _saving: dict[str, Path]
        _screen: dict[str, Any] | None
        meta: dict[str, Any]
        overview: bytes
        media: bytes

        def send(self, content: Any, buffers: Any = None) -> None:
            """Send a custom message to the browser, as ipywidgets does."""

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        width: float | None = None,
        scale: float = 2.0,
        transparent: bool = False,
        renderer: Literal["auto", "headless", "browser"] = "auto",
        budget: int | str | None = None,
    ) -> Path:
        """Write what is shown, selection included, as a figure or as a page.

        ``.svg`` and ``.pdf`` are vector figures with text as text, ``.png`` is a picture, ``.html`` is the widget itself
        over a snapshot: one file, no kernel, no network.

        Args:
            path: Where to; the ending says what.
            width: Width of the views in CSS pixels; what the reader's window has, or 1,200.
            scale: PNG pixels per CSS pixel.
            transparent: Leave the background out.
            renderer: ``"headless"`` draws here and now, with the ``figures`` extra; ``"browser"`` asks the displayed
                widget for an ``.svg`` or ``.png``, which is written as soon as the kernel is free to take it;
                ``"auto"`` is headless where it is installed.
            budget: What an ``.html`` may weigh: bytes, or text such as ``"5 MB"``. The selected head comes first, then
                every head's weights in 256 shades, the ones with the strongest links first, then the same in full;
                the page says in place what is in shades and what is not in it. None is 5 MB, or as much as the
                selected head takes, up to 32 MB.

        Returns:
            The path.

        Raises:
            ValueError: If the ending is another one, or an option is out of range.
            ImportError: If the ``figures`` extra is needed and not installed.
            RuntimeError: If the browser is to draw and the widget is not displayed.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix not in {".svg", ".png", ".pdf", ".html"}:
            message = f"path must end in .svg, .png, .pdf or .html, got {os.fspath(path)!r}."
            raise ValueError(message)
        _check_positive("width", width)
        _check_positive("scale", scale)
        if renderer not in {"auto", "headless", "browser"}:
            message = f"renderer must be 'auto', 'headless' or 'browser', got {renderer!r}."
            raise ValueError(message)
        if budget is not None and suffix != ".html":
            message = f"budget is what an .html page may weigh, got it for {os.fspath(path)!r}."
            raise ValueError(message)
        if suffix == ".html":
            room = None if budget is None else parse_bytes(budget)
            target.write_text(self._page(room), encoding="utf-8")
        elif renderer == "browser" or (
            renderer == "auto" and suffix != ".pdf" and self._screen and not figures.available()
        ):
            self._ask_browser(target, suffix)
        else:
            self._draw(target, suffix, width=width, scale=scale, transparent=transparent)
        return target

    def _draw(
        self, target: Path, suffix: str, *, width: float | None, scale: float, transparent: bool
    ) -> None:
        snapshot = self._snapshot()
        if width is not None:
            # Another width is another layout, in which the reader's scroll means nothing.
            snapshot["screen"] = {**snapshot["screen"], "width": width, "scroll": {}}
        svg = figures.to_svg(snapshot, self._answer, transparent=transparent)
        if suffix == ".svg":
            target.write_text(svg, encoding="utf-8")
        elif suffix == ".pdf":
            target.write_bytes(figures.svg_to_pdf(svg))
        else:
            target.write_bytes(figures.svg_to_png(svg, scale=scale))

    def _ask_browser(self, target: Path, suffix: str) -> None:
        if suffix == ".pdf":
            message = f"The browser draws .svg and .png; for .pdf: {figures.INSTALL}."
            raise ValueError(message)
        if not self._screen:
            message = f"The widget is not displayed, so no browser can draw it: show it first, or {figures.INSTALL}."
            raise RuntimeError(message)
        token = uuid4().hex
        self._saving[token] = target.absolute()
        self.send({"kind": "save", "token": token, "format": suffix[1:]})

    def _answer(self, request: Mapping[str, Any]) -> tuple[Block, bytes]:
        if request["what"] in HEAD_KINDS:
            return self._heads.answer(request)
        return answer(self._attention, request, self._rollouts)

    def _snapshot(self) -> dict[str, Any]:
        """Return what the front end needs to draw without a kernel, no blocks yet (see ``Snapshot`` in the schema)."""
        screen = self._screen or {"width": DEFAULT_WIDTH, "dark": False, "scroll": {}}
        media = {"media": b64encode(self.media).decode("ascii")} if self.media else {}
        return {
            "state": {name: getattr(self, name) for name in STATE},
            "meta": self.meta,
            "screen": screen,
            "overview": b64encode(self.overview).decode("ascii"),
            **media,
            "blocks": [],
        }

    def _page(self, budget: int | None = None, *, framed: bool = False) -> str:
        """Return the widget as one page that needs no kernel, of at most ``budget`` bytes."""
        return page_within(
            self._attention,
            self._heads,
            self._snapshot(),
            self.overview,
            self._esm,
            title=repr(self),
            budget=budget,
            framed=framed,
        )


def _check_positive(name: str, size: object) -> None:
    if size is not None and not (isinstance(size, (int, float)) and 0 < size < math.inf):
        message = f"{name} must be a positive number, got {size!r}."
        raise ValueError(message)
