"""`Jobs`: time-sliced answering of requests; `SharedComputations`: long computations that several requests wait for."""

from __future__ import annotations

import json
import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from attnwidget.compute.resumable import finish

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Mapping, Sequence

    from attnwidget.compute.resumable import Slices
    from attnwidget.protocol.codec import Block

    Answered = tuple[Block, bytes]
    Work = Slices[Answered]

__all__ = ["Jobs", "SharedComputations", "error_text"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

# How long one command works. Between two commands the kernel takes the next cell, and the browser another request.
SLICE_SECONDS = 0.2
# The same where nothing but thumbnails is asked for: a click should not wait for them.
ASIDE_SECONDS = 0.06
# The same where some answers are finished: they should not wait for those that take long.
WAIT_SECONDS = 0.04
# Bytes in one message after which the rest has to wait for the next: with blocks of 4 MiB at most, no message is larger
# than 8 MiB. Hosts that hand messages on as text (VS Code, marimo, Colab) take several times that in memory.
MESSAGE_BYTES = 4 << 20
# Unfinished works that are kept. A reader looks at a few pictures at a time; what nobody asks for again is let go when
# others take its place.
KEPT = 8


class Jobs:
    """The unfinished answers of one widget.

    A work is a generator: it yields the share of it that is done, often, and returns the answer. Cancelling is not
    asking again. Safe to use from several threads; works never run at the same time.
    """

    def __init__(self, *, kept: int = KEPT, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with none.

        Args:
            kept: Unfinished works that are kept at most.
            clock: Seconds, for the length of a slice.
        """
        self._most = kept
        self._clock = clock
        self._works: dict[str, Work] = {}
        self._parts: dict[str, float] = {}
        # Answers that took long: another display of the widget may have been waiting for the same.
        self._answers: dict[str, Answered] = {}
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """Return how many unfinished works are kept."""
        return len(self._works)

    def run(self, work: Slices[T]) -> T:
        """Return what a work comes to, however long it takes: for calls of the kernel's own."""
        with self._lock:
            return finish(work)

    def apart(self, work: Slices[T]) -> Slices[T]:
        """Take a work's steps one by one, none of them while another work runs."""
        while True:
            with self._lock:
                try:
                    part = next(work)
                except StopIteration as end:
                    result: T = end.value
                    return result
            yield part

    def reply(
        self,
        requests: Sequence[Mapping[str, Any]],
        begin: Callable[[Mapping[str, Any]], Work],
        *,
        aside: bool = False,
    ) -> tuple[list[dict[str, Any]], list[bytes]]:
        """Answer requests for about a slice's time, or a message's worth; see ``Reply`` in the schema.

        What was not begun yet gets its turn first, since it may be short; then what was kept goes on, the first as far
        as it gets.

        Args:
            requests: See ``Request`` in the schema.
            begin: Begins the work that answers a request.
            aside: Whether the reader waits for none of it: the slice is shorter then.

        Returns:
            A reply to each request, and the bytes of those with a block.
        """
        seconds = ASIDE_SECONDS if aside else SLICE_SECONDS
        keys = [json.dumps(request, sort_keys=True) for request in requests]
        asked = dict(zip(keys, requests, strict=True))
        replies: dict[str, dict[str, Any]] = {}
        found: dict[str, bytes] = {}
        with self._lock:
            for key in self._turns(list(asked), replies, found, seconds):
                try:
                    answered = self._step(key, partial(begin, asked[key]))
                except Exception as error:
                    logger.debug("Request %s failed.", key, exc_info=True)
                    replies[key] = {"ok": False, "error": error_text(error)}
                else:
                    if answered is not None:
                        replies[key], found[key] = {"ok": True, "block": answered[0]}, answered[1]
            for key in asked:
                replies.setdefault(key, {"ok": False, "part": self._parts.get(key, 0.0)})
            self._let_go(asked)
        return [replies[key] for key in keys], [found[key] for key in keys if key in found]

    def _turns(
        self,
        asked: Sequence[str],
        replies: Mapping[str, object],
        found: Mapping[str, bytes],
        seconds: float,
    ) -> Generator[str, None, None]:
        """Yield whose turn it is, at least one, until the time is up or the message full."""
        start = self._clock()
        waiting = [key for key in asked if key in self._works]
        steps = 0

        def goes_on(length: float) -> bool:
            full = sum(map(len, found.values())) >= MESSAGE_BYTES
            return steps == 0 or (self._clock() - start < length and not full)

        for key in [key for key in asked if key not in self._works]:
            if not goes_on(seconds) or len(waiting) >= self._most:
                break
            yield key
            steps += 1
            if key not in replies:
                waiting.append(key)
        for key in waiting:
            while key not in replies and goes_on(
                min(WAIT_SECONDS, seconds) if replies else seconds
            ):
                yield key
                steps += 1

    def _step(self, key: str, begin: Callable[[], Work]) -> Answered | None:
        """Let a work go on to the next share, or begin; return the answer if that was the last."""
        known = self._answers.pop(key, None)
        if known is not None:
            return known
        # Out of the list while it runs: a work that is interrupted half-way cannot go on.
        work = self._works.pop(key, None) or begin()
        try:
            self._parts[key] = next(work)
        except StopIteration as stop:
            answered: Answered = stop.value
            if self._parts.pop(key, None) is not None:
                self._answers[key] = answered
            return answered
        except BaseException:
            self._parts.pop(key, None)
            raise
        self._works[key] = work
        return None

    def _let_go(self, asked: Mapping[str, object]) -> None:
        """Drop the works that were asked for longest ago."""
        for key in asked:
            if key in self._works:
                self._works[key] = self._works.pop(key)
        while len(self._works) > self._most:
            oldest = next(iter(self._works))
            self._works.pop(oldest).close()
            del self._parts[oldest]
        while len(self._answers) > self._most:
            del self._answers[next(iter(self._answers))]


class SharedComputations:
    """Works that several requests wait for, each done once: whoever waits takes them further.

    Attributes:
        done: What the works came to, by name, the latest last.
    """

    def __init__(self, most: int | None = None) -> None:
        """Start with none.

        Args:
            most: Results that are kept at most; None for all.
        """
        self.done: dict[Any, Any] = {}
        self._most = most
        self._running: dict[Hashable, Slices[Any]] = {}

    def wait(self, key: Hashable, begin: Callable[[], Slices[T]]) -> Slices[T]:
        """Yield the share that is done, and return what the work of this name comes to."""
        while key not in self.done:
            work = self._running.pop(key, None) or begin()
            try:
                part = next(work)
            except StopIteration as stop:
                self.done[key] = stop.value
                if self._most is not None and len(self.done) > self._most:
                    del self.done[next(iter(self.done))]
                break
            self._running[key] = work
            while len(self._running) > KEPT:
                del self._running[next(iter(self._running))]
            yield part
        result: T = self.done[key]
        return result


def error_text(error: Exception) -> str:
    """Return an error's words (a KeyError's own text is quoted)."""
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
