"""Threads in tests: run something in one, and what it returned or raised."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Only a test that hangs waits as long.
PATIENCE = 60


class Running:
    """Something that runs in a thread of its own from now on."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self._result: Any = None
        self._error: BaseException | None = None
        self._action = action
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._action()
        except BaseException as error:  # noqa: BLE001  a thread's error is the test's
            self._error = error

    def result(self) -> Any:
        """Wait for its end, and return or raise what it did."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the thread hangs"
        if self._error is not None:
            raise self._error
        return self._result


def elsewhere(action: Callable[[], Any]) -> Any:
    """Run something in another thread, and return what it returned."""
    return Running(action).result()


def wait(event: threading.Event) -> None:
    """Wait for another thread to come to a place."""
    assert event.wait(PATIENCE), "the other thread did not come"
