"""A dispatch mode that can be switched on and off at any time, beside others and in several threads."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _get_current_dispatch_mode,
    _pop_mode,
    _push_mode,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Reading"]


class Reading(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation while it reads.

    It is pushed and popped without the flags that ``with`` also sets: those are shared by all threads, and two recordings
    that end in another order than they began would leave them set.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._active = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the wrapper that this asks for imports the compiler, which takes seconds

    @property
    def reads(self) -> bool:
        """Whether a module of the model is running and read."""
        return self._active

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Read nothing inside the block."""
        was = self._active
        self._pop()
        try:
            yield
        finally:
            if was:
                self._push()

    def _push(self) -> None:
        if not self._active:
            _push_mode(self)
            self._active = True

    def _pop(self) -> None:
        if not self._active:
            return
        self._active = False
        above = []
        while _get_current_dispatch_mode() is not None:
            mode = _pop_mode()
            if mode is self:
                break
            above.append(mode)
        for mode in reversed(above):
            _push_mode(mode)
