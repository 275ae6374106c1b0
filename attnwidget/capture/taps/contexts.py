"""`ContextValues`: what holds in one thread or asyncio task and its offspring, until the block that said so ends."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ContextValues"]

Value = TypeVar("Value")


@dataclass(eq=False, slots=True)
class _Entry(Generic[Value]):
    value: Value
    open: bool = True


class ContextValues(Generic[Value]):
    """Values of the current context, hence of a thread or an asyncio task.

    A task, or a call by ``asyncio.to_thread``, begins with the values of the context that made it. Where it outlives the
    block of a value, that value is gone there, too; a block may also end in another context than it began in.

    Args:
        name: Name of the context variable.
    """

    def __init__(self, name: str) -> None:
        self._entries: ContextVar[tuple[_Entry[Value], ...]] = ContextVar(name, default=())

    def __call__(self) -> tuple[Value, ...]:
        """Return the values, the oldest first."""
        entries = self._entries.get()
        return tuple(entry.value for entry in entries if entry.open) if entries else ()

    @contextmanager
    def adding(self, value: Value) -> Iterator[None]:
        """Have ``value`` among them until the block ends, however it ends."""
        entry = _Entry(value)
        self._entries.set((*self._entries.get(), entry))
        try:
            yield
        finally:
            entry.open = False
            self._entries.set(tuple(other for other in self._entries.get() if other.open))

    @contextmanager
    def without(self, value: object) -> Iterator[None]:
        """Leave ``value`` out, in this context, until the block ends."""
        left_out = tuple(entry for entry in self._entries.get() if entry.value is value)
        self._entries.set(tuple(entry for entry in self._entries.get() if entry not in left_out))
        try:
            yield
        finally:
            self._entries.set((*left_out, *self._entries.get()))
