"""`CalledLoop`: a kernel's loop whose callbacks are called when a test says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.widget import between_messages

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

__all__ = ["CalledLoop"]


class CalledLoop:
    """Stands for a kernel and for its loop; what is to be called waits for `once` and `run`."""

    def __init__(self) -> None:
        self.io_loop = self
        self.waiting: list[Callable[[], None]] = []

    @classmethod
    def of_kernel(cls, monkeypatch: pytest.MonkeyPatch) -> CalledLoop:
        """Put one in the place of the kernel's, as in a notebook that somebody works in."""
        loop = cls()
        monkeypatch.setattr(between_messages, "kernel", lambda: loop)
        monkeypatch.setattr(between_messages, "executed", lambda: False)
        return loop

    def add_callback(self, call: Callable[..., None], *arguments: Any) -> None:
        call(*arguments)

    def call_later(self, _seconds: float, call: Callable[[], None]) -> None:
        self.waiting.append(call)

    def once(self) -> None:
        self.waiting.pop(0)()

    def run(self) -> None:
        while self.waiting:
            self.once()
