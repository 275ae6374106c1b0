"""`Still`: the picture of what a widget showed last, made while the kernel is idle, for readers without widgets."""

from __future__ import annotations

import logging
import time
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from IPython import get_ipython

from attnwidget.compute.resumable import Slices, Step, advance, finish
from attnwidget.figures import convert, renderer
from attnwidget.figures.small_png import MOST_BYTES, SmallPng, checked_png

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Mapping

    from attnwidget.figures.figure import Figure
    from attnwidget.protocol.codec import Block
    from attnwidget.widget.displayed import DisplayedView

__all__ = ["Still", "can_draw", "executed", "kernel"]

logger = logging.getLogger(__name__)

# Nothing may have changed for so long before a picture is made: who is still looking around needs none.
SETTLED_SECONDS = 2.0
# How long the kernel works on it before it looks for messages.
SLICE_SECONDS = 0.1
# Numbers that take longer are left out of the picture: the thumbnails of a large record may be minutes of work.
MOST_SECONDS = 5.0


class _SliceEnd(Exception):  # noqa: N818 - no error, it goes on
    """The time is up before an answer is there."""


@dataclass(slots=True)
class _Answers:
    """Answers the renderer's requests a slice at a time, and keeps what was found for when it asks again."""

    begin: Callable[[Mapping[str, Any]], Slices[tuple[Block, bytes]]]
    found: dict[str, tuple[Block, bytes]]
    works: dict[str, Slices[tuple[Block, bytes]]]
    until: float = 0.0
    no_more: bool = False

    def __call__(self, request: Mapping[str, Any], /) -> tuple[Block, bytes]:
        key = repr(sorted(request.items()))
        if key not in self.found and self.no_more:
            raise renderer.OutOfTime
        if key not in self.found:
            work = self.works.pop(key, None) or self.begin(request)
            while True:
                try:
                    next(work)
                except StopIteration as end:
                    self.found[key] = end.value
                    break
                if time.monotonic() > self.until:
                    self.works[key] = work
                    raise _SliceEnd
        return self.found[key]


class Still:
    """Keeps the picture of one widget that stands in its notebook.

    Where somebody works with the kernel, the picture is made after the widget has not changed for a while, by callbacks
    of the kernel's own loop, which run between cells, and drawn in a thread. Where a program runs the cells (nbconvert, papermill), which is
    gone after the last of them, it is made within the cell.

    Attributes:
        picture: What was made last; None before.
    """

    def __init__(self, view: DisplayedView, *, publish: Callable[[SmallPng], None]) -> None:
        """Start before the widget is shown.

        Args:
            view: The widget; not kept alive.
            publish: Puts a picture into the notebook, in place of the one before.
        """
        self.picture: SmallPng | None = None
        self._view = weakref.ref(view)
        # The view of a frozen copy, which nothing else may hold, until there is a picture.
        self._held: DisplayedView | None = None
        self._publish = publish
        self._timer: Any = None
        self._drawing: Slices[SmallPng] | None = None
        self._shown = False
        self._waits = False

    def show(self, *, hold: bool = False) -> SmallPng | None:
        """Begin to keep a picture; return it where it has to be there at once.

        Args:
            hold: Whether to keep the view alive until there is a picture.
        """
        self._shown = True
        self._held = self._view() if hold else None
        if executed():
            self._draw_now()
        else:
            self.changed()
        return self.picture

    @staticmethod
    def draws_here() -> bool:
        """Tell whether a picture can be made without a browser."""
        return kernel() is not None and can_draw()

    def changed(self, _change: object = None) -> None:
        """Make another picture once this was the last change for a while."""
        running = kernel()
        if not self._shown or running is None:
            return
        if not executed():
            # From any thread: messages of widgets are handled in one of their own.
            running.io_loop.add_callback(self._restart)
        elif not self._waits:
            self._waits = True
            running.shell.events.register("post_run_cell", self._at_the_end)

    def take(self, data: bytes, width: object, height: object, said: str) -> None:
        """Take the picture that the browser drew, and what it shows, in a sentence.

        Raises:
            ValueError: If it is no PNG of 60 kB at most.
        """
        across, down = checked_png(data)
        shown_width, shown_height = (
            round(told) if isinstance(told, (int, float)) and 1 <= told <= 4 * own else own
            for told, own in ((width, across), (height, down))
        )
        self._keep(SmallPng(data, shown_width, shown_height, said))

    def stop(self) -> None:
        """Make no further picture: the widget is off every page."""
        self._shown = False
        self._drawing = self._held = None

    def _restart(self) -> None:
        loop = kernel().io_loop
        if self._timer is not None:
            loop.remove_timeout(self._timer)
        self._drawing = None
        self._timer = loop.call_later(SETTLED_SECONDS, self._settled)

    def _settled(self) -> None:
        self._timer = None
        view = self._view()
        if view is None or not self._shown:
            return
        if can_draw():
            try:
                self._drawing = self._work(view)
            except Exception:
                self._held = None
                logger.debug("No still picture was made.", exc_info=True)
            else:
                self._step(self._drawing)
        elif view.screen:
            view.send({"kind": "still", "most": MOST_BYTES})

    def _step(self, drawing: Slices[SmallPng]) -> None:
        """Draw for a slice; in a thread, so that the kernel takes its next cell meanwhile."""
        loop = kernel().io_loop
        done = loop.run_in_executor(None, advance, drawing, SLICE_SECONDS)
        loop.add_future(done, partial(self._stepped, drawing))

    def _stepped(self, drawing: Slices[SmallPng], done: Future[Step[SmallPng]]) -> None:
        error = done.exception()
        if error is not None:
            logger.debug("No still picture was made.", exc_info=error)
        if drawing is not self._drawing:
            # Something has changed since.
            return
        if error is None and not done.result().results:
            self._step(drawing)
            return
        self._drawing = None
        if error is None:
            self._keep(done.result().results[0])
        self._held = None

    def _at_the_end(self, _result: object = None) -> None:
        kernel().shell.events.unregister("post_run_cell", self._at_the_end)
        self._waits = False
        before = self.picture
        self._draw_now()
        if self.picture is not None and self.picture != before:
            self._publish(self.picture)

    def _draw_now(self) -> None:
        view, self._held = self._view(), None
        if view is None or not can_draw():
            return
        try:
            self.picture = finish(self._work(view))
        except Exception:
            logger.debug("No still picture was made.", exc_info=True)

    def _keep(self, picture: SmallPng) -> None:
        if picture != self.picture:
            self.picture = picture
            self._publish(picture)

    @staticmethod
    def _work(view: DisplayedView) -> Slices[SmallPng]:
        """Begin to draw what the view shows now."""
        answers = _Answers(view.work, {}, {})
        return _drawing(view.still_figure(answers), answers)


def _drawing(figure: Figure, answers: _Answers) -> Slices[SmallPng]:
    """Draw a figure without what takes too long."""
    worked = 0.0
    while True:
        start = time.monotonic()
        answers.until = start + SLICE_SECONDS
        answers.no_more = worked > MOST_SECONDS
        try:
            figure.svg  # noqa: B018 - drawn once, and kept
        except _SliceEnd:
            worked += time.monotonic() - start
            yield 0.0
        else:
            answers.no_more = True
            return (yield from figure.small_png())


def can_draw() -> bool:
    """Whether this process can make pictures, without a browser."""
    return renderer.available() and convert.available()


def kernel() -> Any:
    """Return the notebook's kernel, None where there is none that takes callbacks."""
    running = getattr(get_ipython(), "kernel", None)
    return running if hasattr(running, "io_loop") and hasattr(running, "get_parent") else None


def executed() -> bool:
    """Tell whether a program runs this cell, which nobody could answer a question of."""
    running = kernel()
    if running is None:
        return False
    parent = running.get_parent()
    asks = parent.get("content", {}).get("allow_stdin", True)
    return parent.get("header", {}).get("msg_type") == "execute_request" and not asks
