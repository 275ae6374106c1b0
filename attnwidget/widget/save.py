"""What a widget writes: figures of what is shown, and the page that needs no kernel."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from attnwidget.figures.renderer import INSTALL, available
from attnwidget.record.byte_sizes import parse_bytes
from attnwidget.serve.page import page_within
from attnwidget.serve.selection import STATE
from attnwidget.serve.static_files import static_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Unpack

    from attnwidget.attention import Attention
    from attnwidget.compute.resumable import Slices
    from attnwidget.figures.figure import Figure
    from attnwidget.figures.options import FigureOptions
    from attnwidget.protocol.codec import Block
    from attnwidget.serve.head_numbers import HeadNumbers
    from attnwidget.serve.jobs import Jobs
    from attnwidget.serve.thumbnails import Thumbnails

__all__ = ["Saving"]

DEFAULT_WIDTH = 1200


class Saving:
    """The half of the widget that writes; the traits it reads are the widget's."""

    if TYPE_CHECKING:
        _attention: Attention
        _heads: HeadNumbers
        _jobs: Jobs
        _thumbnails: Thumbnails | None
        _saving: dict[str, Path]
        _screen: dict[str, Any] | None
        meta: dict[str, Any]
        overview: bytes
        media: bytes

        def _work(self, request: Mapping[str, Any]) -> Slices[tuple[Block, bytes]]:
            """Begin the work that answers a request."""

        def send(self, content: Any, buffers: Any = None) -> None:
            """Send a custom message to the browser, as ipywidgets does."""

    def figure(self, **options: Unpack[FigureOptions]) -> Figure:
        """Return what is shown, selection included, as a figure.

        Args:
            **options: How it is drawn; `Attention.figure` says what there is. What is left out is as on the screen.

        Raises:
            TypeError, ValueError: If an option does not exist, or is none of what is accepted.

        Example:
            >>> view.figure(width="85mm", theme="print").save("figure.pdf")  # doctest: +SKIP
        """
        return self._figure(options)

    def _figure(self, options: FigureOptions, panels: list[list[int]] | None = None) -> Figure:
        from attnwidget.figures.figure import Figure  # noqa: PLC0415  (a widget needs none to be shown)

        return Figure(self._attention, self._snapshot(), self._answer, options, panels)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        scale: float | None = None,
        dpi: float | None = None,
        renderer: Literal["auto", "headless", "browser"] = "auto",
        budget: int | str | None = None,
        **options: Unpack[FigureOptions],
    ) -> Path:
        """Write what is shown, selection included, as a figure or as a page.

        ``.svg`` and ``.pdf`` are vector figures with text as text, ``.png`` is a picture, ``.html`` is the widget itself
        over a snapshot: one file, no kernel, no network.

        Args:
            path: Where to; the ending says what.
            scale: PNG pixels per CSS pixel; 2 when neither is given.
            dpi: PNG pixels per printed inch.
            renderer: ``"headless"`` draws here and now, with the ``figures`` extra; ``"browser"`` asks the displayed
                widget for an ``.svg`` or ``.png``, which is written as soon as the kernel is free to take it;
                ``"auto"`` is headless where it is installed.
            budget: What an ``.html`` may weigh: bytes, or text such as ``"5 MB"``. The selected head comes first, then
                every head's weights in 256 shades, the ones with the strongest links first, then the same in full;
                the page says in place what is in shades and what is not in it. None is 5 MB, or as much as the
                selected head takes, up to 32 MB: in shades where it takes more in full.
            **options: How a figure is drawn; `Attention.figure` says what there is. What is left out is as on the
                screen; a ``width`` in pixels is that of the views, without the margin.

        Returns:
            The path.

        Raises:
            TypeError: If an option does not exist.
            ValueError: If the ending is another one, or an option is out of range.
            ImportError: If the ``figures`` extra is needed and not installed.
            RuntimeError: If the browser is to draw and the widget is not displayed.

        Warns:
            UserWarning: If no font of this machine has some of the characters of a ``.pdf`` or ``.png``.
        """
        from attnwidget.figures.figure import check_resolution  # noqa: PLC0415  (as for `figure`)

        target = Path(path)
        suffix = target.suffix.lower()
        if suffix not in {".svg", ".png", ".pdf", ".html"}:
            message = f"path must end in .svg, .png, .pdf or .html, got {os.fspath(path)!r}."
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
            room = None if budget is None else parse_bytes(budget)
            target.write_text(self._page(room), encoding="utf-8")
            return target
        figure = self.figure(**options)
        if renderer == "browser" or (
            renderer == "auto" and suffix != ".pdf" and self._screen and not available()
        ):
            self._ask_browser(target, suffix, figure, factor)
        else:
            figure.save(target, scale=factor)
        return target

    def _ask_browser(self, target: Path, suffix: str, figure: Figure, scale: float) -> None:
        if suffix == ".pdf":
            message = f"The browser draws .svg and .png; for .pdf: {INSTALL}."
            raise ValueError(message)
        if not self._screen:
            message = f"The widget is not displayed, so no browser can draw it: show it first, or {INSTALL}."
            raise RuntimeError(message)
        if figure.cropped:
            message = f"The browser draws all positions; for some of them: {INSTALL}."
            raise ValueError(message)
        token = uuid4().hex
        self._saving[token] = target.absolute()
        asked = {"token": token, "format": suffix[1:], "scale": scale, "figure": figure.spec}
        width = {} if figure.width is None else {"width": figure.width}
        self.send({"kind": "save", **asked, **width})

    def _answer(self, request: Mapping[str, Any]) -> tuple[Block, bytes]:
        return self._jobs.run(self._work(request))

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
        snapshot, overview = self._snapshot(), self.overview
        if self._thumbnails is not None:
            snapshot["meta"], overview = self._thumbnails.complete(self.meta, overview)
        return page_within(
            self._attention,
            self._heads,
            snapshot,
            overview,
            static_text("widget.js"),
            title=repr(self),
            budget=budget,
            framed=framed,
        )
