"""`InSlices`: a view that runs its model for numbers a slice at a time, while the kernel has nothing else to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnwidget.compute.resumable import advance
from attnwidget.serve.jobs import SLICE_SECONDS, error_text
from attnwidget.widget.between_messages import BetweenMessages
from attnwidget.widget.interventions import Intervened

if TYPE_CHECKING:
    from attnwidget.compute.resumable import Slices

__all__ = ["InSlices"]


class InSlices(Intervened):
    """A view with work under way, one piece of each name."""

    _works: dict[str, Slices[None]] | None = None
    _going_on: dict[str, BetweenMessages] | None = None

    def _tell_of(self, what: str, state: str, message: str = "") -> None:
        """Tell the page how far work of this name is.

        Args:
            what: The name.
            state: ``"running"``, ``"done"``, ``"stopped"`` or ``"refused"``.
            message: Why it was refused.
        """
        raise NotImplementedError

    def _is_under_way(self, what: str) -> bool:
        return what in (self._works or {})

    def _begin(self, what: str, work: Slices[None]) -> None:
        """Take up work in the place of that of the same name; nothing of it is done yet."""
        self._drop(what)
        # None of its steps while a request of the page is worked on.
        self._works = {**(self._works or {}), what: self._jobs.apart(work)}

    def _run_slices(self, what: str, *, wait: bool) -> None:
        """Do the first slice now, and the others between messages, or all of them now.

        Raises:
            Exception: What its slices raise.
        """
        # The first slice says whether it can be done at all.
        more = self._slice(what)
        while more and wait:
            more = self._slice(what)
        if more:
            self._go_on(what)

    def _go_on(self, what: str) -> None:
        """Do the rest between messages."""
        # The step holds no view: it is given the one whose turn it is.
        going_on = BetweenMessages(self, lambda view: InSlices._step(view, what))
        self._going_on = {**(self._going_on or {}), what: going_on}
        going_on.begin()

    def _slice(self, what: str) -> bool:
        """Do a slice, and tell whether there are more; errors are raised once nothing is under way any more."""
        work, recipe = (self._works or {}).get(what), self._recipe
        if work is None or recipe is None:
            return False
        try:
            with recipe.lock:
                step = advance(work, SLICE_SECONDS)
        except BaseException as error:
            ended = isinstance(error, Exception)
            message = error_text(error) if isinstance(error, Exception) else ""
            self._end(what, "refused" if ended else "stopped", message)
            raise
        if step.results:
            self._end(what, "done")
            return False
        self._tell_of(what, "running")
        return True

    def _step(self, what: str) -> bool:
        try:
            return self._slice(what)
        except Exception:  # noqa: BLE001 - the trait says what it was
            self.offer()
            return False

    def _end(self, what: str, state: str, message: str = "") -> None:
        self._drop(what)
        self._tell_of(what, state, message)

    def _drop(self, what: str) -> None:
        """Do no more of it, and say nothing."""
        work = (self._works or {}).pop(what, None)
        if work is not None:
            work.close()
        going_on = (self._going_on or {}).pop(what, None)
        if going_on is not None:
            going_on.stop()
