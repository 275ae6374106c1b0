"""Run figure.js in an embedded V8: snapshot in, SVG out."""

from __future__ import annotations

import atexit
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from attnwidget.protocol.codec import inline
from attnwidget.serve.static_files import static_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from attnwidget.protocol.codec import Block

__all__ = ["INSTALL", "Drawn", "OutOfTime", "available", "draw", "draw_trace"]

INSTALL = 'pip install "attnwidget[figures]"'
# Each round brings what the round before found missing; a view that asks for more than this is broken.
MOST_ROUNDS = 8
# Characters of a job after which V8 is asked to give back the memory that it took.
LARGE_JOB = 4_000_000


class Answer(Protocol):
    """Answers a request for a block, or raises with the reason why it cannot."""

    def __call__(self, request: Mapping[str, Any], /) -> tuple[Block, bytes]:
        """Return the block's header and bytes."""
        ...


class Drawn(NamedTuple):
    """A picture and its words.

    Attributes:
        svg: A standalone SVG document.
        said: What the reading line says of what is selected, with the numbers that the picture needed as well.
    """

    svg: str
    said: str


class OutOfTime(Exception):  # noqa: N818 - no error: the picture is drawn without it
    """An answer would take too long; the picture is drawn as the screen is before it comes."""


def available() -> bool:
    """Whether the embedded engine is installed."""
    try:
        import py_mini_racer  # noqa: F401, PLC0415 - optional extra, and 30 MB
    except ImportError:
        return False
    return True


class _Renderer:
    """The front end's drawing code in a V8 of its own, loaded once for all figures."""

    def __init__(self) -> None:
        try:
            from py_mini_racer import MiniRacer  # noqa: PLC0415 - optional extra
        except ImportError as error:
            message = f"Figures without a browser need the embedded V8: {INSTALL}."
            raise ImportError(message) from error
        # In a thread of no event loop, so that it makes one of its own: it would take a kernel's, and a picture that is
        # drawn in a thread would wait for a cell to end that waits for the picture.
        with ThreadPoolExecutor(1) as maker:
            self._engine = maker.submit(MiniRacer).result()
        self._engine.eval(static_text("figure.js"))
        # One figure at a time: V8 runs one call.
        self._lock = threading.Lock()
        # Closed before the interpreter goes, whose threads V8's own would otherwise outlive.
        atexit.register(self._engine.close)

    def render(self, job: Mapping[str, Any], function: str = "render") -> dict[str, Any]:
        """Return what a function of js/src/figure.ts makes of a job."""
        text = json.dumps(job)
        with self._lock:
            drawn: dict[str, Any] = json.loads(
                self._engine.call(f"attnwidgetFigure.{function}", text)
            )
            if len(text) > LARGE_JOB:
                self._engine.low_memory_notification()
        return drawn


@lru_cache(maxsize=1)
def _renderer_of(process: int) -> _Renderer:  # noqa: ARG001 - a forked process cannot use its parent's threads
    return _Renderer()


_making = threading.Lock()


def _renderer() -> _Renderer:
    """Return the renderer of this process; it takes 0.1 s to make.

    One at a time: two V8s that begin at once end the process, with all that its user had, since each sets up the pool of
    memory that they share. Two views that a notebook shows draw their pictures in threads, at the same time.
    """
    with _making:
        return _renderer_of(os.getpid())


def _found(missing: Iterable[Mapping[str, Any]], answer: Answer) -> list[dict[str, Any]]:
    """Return the blocks of a snapshot that these requests are answered with, without those that take too long."""
    found = []
    for request in missing:
        try:
            block = inline(*answer(request))
        except OutOfTime:
            continue
        found.append({"request": request, "block": block})
    return found


def draw(
    snapshot: Mapping[str, Any], answer: Answer, figure: Mapping[str, Any] | None = None
) -> Drawn:
    """Return the picture of a snapshot, and the sentence on what is selected in it.

    Args:
        snapshot: State, meta, overview and screen; its blocks may be empty.
        answer: Called for every block that the picture needs.
        figure: What is not as on the screen (see ``Figure`` in the schema).

    Raises:
        ImportError: If the ``figures`` extra is not installed.
        ValueError: If a block that the picture needs cannot be had.
    """
    renderer = _renderer()
    blocks = list(snapshot["blocks"])
    for _ in range(MOST_ROUNDS):
        job = {"snapshot": {**snapshot, "blocks": blocks}, "figure": figure or {}}
        drawn = renderer.render(job)
        found = _found(drawn["missing"], answer)
        if not found:
            return Drawn(str(drawn["svg"]), str(drawn["said"]))
        blocks += found
    message = f"The figure still lacked {drawn['missing']} after {MOST_ROUNDS} rounds."
    raise RuntimeError(message)


def draw_trace(trace: Mapping[str, Any], width: float, figure: Mapping[str, Any]) -> Drawn:
    """Return the picture of a trace, and the sentence that says what is in it.

    Args:
        trace: See ``Trace`` in the schema.
        width: CSS pixels of the layout, margins included; the printed size of ``figure`` comes before it.
        figure: What is not as on the screen (see ``Figure`` in the schema).

    Raises:
        ImportError: If the ``figures`` extra is not installed.
    """
    job = {"trace": trace, "width": width, "figure": figure}
    drawn = _renderer().render(job, "renderTrace")
    return Drawn(str(drawn["svg"]), str(drawn["said"]))
