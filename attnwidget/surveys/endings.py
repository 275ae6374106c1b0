"""How a survey that ends early hands over what it has: signals become exceptions, and these carry the survey."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from attnwidget.surveys.survey import Survey

__all__ = ["Signals", "carry", "ending_signals"]

# Signals that ask a process to end, and end it without a word unless somebody listens.
_ENDING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)


class Signals:
    """Which signal to end has come, if any."""

    def __init__(self) -> None:
        """Wait for one."""
        self._come: int | None = None
        self._busy = False

    def check(self) -> None:
        """Raise what the signal raises, should that have been lost, such as in a destructor.

        Raises:
            SystemExit: If a signal has come.
        """
        if self._come is not None:
            raise SystemExit(128 + self._come)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Let signals wait until the block has ended."""
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        self._come = number
        if not self._busy:
            self.check()


@contextlib.contextmanager
def ending_signals() -> Iterator[Signals]:
    """Have signals that would end the process without a word raise ``SystemExit`` instead, inside of the block.

    Those that somebody listens to, or that are ignored, are left alone, as are all of them outside of the main thread,
    where Python lets nobody listen.
    """
    signals = Signals()
    mine = []
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                # A thread that is the main one of a part of a process may not listen either.
                with contextlib.suppress(ValueError):
                    signal.signal(number, signals)
                    mine.append(number)
    try:
        yield signals
    finally:
        for number in mine:
            # What has taken its place in between, such as Ray, keeps it.
            if signal.getsignal(number) is signals:
                signal.signal(number, signal.SIG_DFL)


def carry(error: BaseException, survey: Survey, saved: Path | None, *, say: bool) -> None:
    """Let an exception carry the survey of the inputs before it, as its attribute ``survey``.

    Args:
        error: The exception.
        survey: The survey.
        saved: The file that has it, if there is one.
        say: Whether a note of the exception says so (from Python 3.11 on).
    """
    # Past what its class may do about attributes; where notes are not known yet, theirs is one nobody looks at.
    kept = error.__dict__
    kept["survey"] = survey
    if say:
        where = "" if saved is None else f" It is saved in {saved}: the same call goes on from there."  # fmt: skip
        note = (
            f"The survey of the {survey.read} inputs before this is the exception's attribute `survey` (in a notebook: "
            f"import sys; sys.last_value.survey).{where}"
        )
        kept["__notes__"] = [*kept.get("__notes__", []), note]
