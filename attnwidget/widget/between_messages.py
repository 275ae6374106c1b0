"""`BetweenMessages`: work of a widget that goes on between the messages of its kernel."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from attnwidget.widget.still import executed, kernel

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BetweenMessages"]

# How long a page may still send another value before one is worked on: several clicks after one another are one run.
SETTLED_SECONDS = 0.03


class BetweenMessages:
    """One piece of work at a time, of which only what was asked for last is done.

    In a notebook it is done by callbacks of the kernel's own loop, so that the kernel takes cells and messages between two
    steps. Where nothing calls back (no kernel, or a program that runs the cells and ends after the last), it is done at
    once.
    """

    def __init__(self, owner: object, step: Callable[[Any], bool]) -> None:
        """Start with nothing to do.

        Args:
            owner: What the work is of; not kept alive, and nothing is done once it is gone.
            step: Does a step of it, given the owner, and tells whether there is more.
        """
        self._owner, self._step = weakref.ref(owner), step
        self._number = 0

    def begin(self) -> None:
        """Do the work from now on, in the place of what was asked for before."""
        self._number += 1
        self._go_on(self._number, SETTLED_SECONDS)

    def stop(self) -> None:
        """Do nothing more."""
        self._number += 1

    def _go_on(self, number: int, wait: float = 0.0) -> None:
        running = kernel()
        if running is None or executed():
            while self._works(number):
                pass
            return
        loop = running.io_loop
        # From any thread: messages of widgets may be handled in one of their own.
        loop.add_callback(loop.call_later, wait, partial(self._called, number))

    def _called(self, number: int) -> None:
        if self._works(number):
            self._go_on(number)

    def _works(self, number: int) -> bool:
        """Do a step, unless something else was asked for since; tell whether there is more to do."""
        owner = self._owner()
        if owner is None or number != self._number:
            return False
        return self._step(owner) and number == self._number
