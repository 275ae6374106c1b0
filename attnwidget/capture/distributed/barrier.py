"""`RecordingBarrier`: check that all processes that share a model reached the end of the recording.

They tell each other through the store of the process group, not by a collective: a process that failed does not wait, and
nothing mixes with the collectives of the model.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RecordingBarrier"]

# How long the others wait for a process that is still busy in its block.
_PATIENCE = timedelta(minutes=5)
_DONE = "done"


class RecordingBarrier:
    """Collects from each process, at the end of a recording, that it has a record or failed; made at the beginning.

    Args:
        ranks: The processes.
    """

    def __init__(self, ranks: Sequence[int]) -> None:
        self._ranks = ranks
        self._own = distributed.get_rank()
        self._store = distributed.distributed_c10d._get_default_store()  # noqa: SLF001  there is no public name
        self._key = f"attnwidget/{'-'.join(map(str, ranks))}"
        self._done = False
        self._number = self._store.add(f"{self._key}/{self._own}/count", 1)

    def failed(self, error: BaseException) -> None:
        """Tell the others that this process has no record, without waiting for them."""
        if not self._done:
            with suppress(RuntimeError):  # the others, and the store with them, may be gone
                self._tell(f"{type(error).__name__}: {error}")

    def wait(self) -> None:
        """Tell the others that this process has a record, and wait until all have told so.

        Raises:
            RuntimeError: If one of them failed, or does not come.
        """
        self._done = True
        self._tell(_DONE)
        for rank in self._ranks:
            self._wait_for(rank)
        # All have read the message of the recording before.
        self._store.delete_key(self._name(self._own, self._number - 1))

    def _wait_for(self, rank: int) -> None:
        name = self._name(rank, self._number)
        try:
            self._store.wait([name], _PATIENCE)
        except RuntimeError as error:
            message = (
                f"rank {rank} did not come to the end of the recording within {_PATIENCE} (h:mm:ss): all ranks that share "
                "a model record it together, so run the same recording(...) or capture(...) on each of them."
            )
            raise RuntimeError(message) from error
        said = self._store.get(name).decode()
        if said != _DONE:
            message = f"rank {rank} has no record of its heads: {said}"
            raise RuntimeError(message)

    def _tell(self, what: str) -> None:
        self._store.set(self._name(self._own, self._number), what)

    def _name(self, rank: int, number: int) -> str:
        return f"{self._key}/{rank}/{number}"
