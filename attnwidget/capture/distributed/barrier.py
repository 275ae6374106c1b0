"""Whether all processes that share a model have come to the end of a recording.

It is told through the store by which they found each other, not by a collective: who failed says so and goes on, waits
for nobody and mixes with none of the model's own collectives.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RecordingBarrier"]

# What a process may do on its own within the block, while the others wait for it.
_PATIENCE = timedelta(minutes=5)
_DONE = "done"


class RecordingBarrier:
    """What the processes say at the end of one recording; each makes its own at the beginning.

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
        """Tell the others that there will be no record here, without waiting for them."""
        if not self._done:
            with suppress(RuntimeError):  # the others, and the store with them, may be gone
                self._say(f"{type(error).__name__}: {error}")

    def wait(self) -> None:
        """Say that there is a record here, and wait until all others have said so.

        Raises:
            RuntimeError: If one of them failed, or does not come.
        """
        self._done = True
        self._say(_DONE)
        for rank in self._ranks:
            self._wait_for(rank)
        # All have read what was said at the end of the recording before.
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

    def _say(self, what: str) -> None:
        self._store.set(self._name(self._own, self._number), what)

    def _name(self, rank: int, number: int) -> str:
        return f"{self._key}/{rank}/{number}"
