"""The listeners of the current context: what each wants told, and which thread of several is told to it."""

from __future__ import annotations

import functools
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import torch

from attnwidget.capture.taps.contexts import ContextValues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from torch import nn

    from attnwidget.capture.arguments import AttentionArguments

    Enter = Callable[[tuple[Any, ...], dict[str, Any]], None]
    Leave = Callable[[Any], None]
    Given = tuple[tuple[Any, ...], dict[str, Any]]
    Change = Callable[[tuple[Any, ...], dict[str, Any]], Given]
    Run = Callable[..., Any]  # a module and what it is called with; returns what it puts out

__all__ = [
    "OTHER_THREAD",
    "Listener",
    "ModuleHooks",
    "Turn",
    "adding",
    "is_listening",
    "listeners",
    "others_set_aside",
    "suspended",
]

OTHER_THREAD = (
    "ran in one thread while another thread of the same recording ran it: give each thread a recording of its own, "
    "opened in that thread"
)


class ModuleHooks:
    """The hooks of one recording, by module.

    Args:
        hooks: A module, and what is called before it runs (with its arguments) and after (with its output; ``None`` if it
            raised). Of one module they are called in this order.
        changes: A module, and what makes other arguments of those that it is called with.
        instead: A module, and what is called in its place: with what runs it, itself, and what it is called with.
    """

    def __init__(
        self,
        hooks: Iterable[tuple[nn.Module, Enter | None, Leave | None]] = (),
        changes: Iterable[tuple[nn.Module, Change]] = (),
        instead: Iterable[tuple[nn.Module, Run]] = (),
    ) -> None:
        # The module is held, so that no other one gets its id.
        self._hooks: dict[int, tuple[nn.Module, list[tuple[Enter | None, Leave | None]]]] = {}
        self._changes = {id(module): (module, change) for module, change in changes}
        self._instead = {id(module): (module, run) for module, run in instead}
        for module, _ in (*self._changes.values(), *self._instead.values()):
            self._hooks.setdefault(id(module), (module, []))
        for module, enter, leave in hooks:
            self._hooks.setdefault(id(module), (module, []))[1].append((enter, leave))

    def of(self, module: nn.Module) -> list[tuple[Enter | None, Leave | None]]:
        """Return those of one module."""
        found = self._hooks.get(id(module))
        return [] if found is None else found[1]

    def wants(self, module: nn.Module) -> bool:
        """Tell whether there is anything to do around one module."""
        return id(module) in self._hooks

    def changed(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Given:
        """Return what one module is to be called with."""
        found = self._changes.get(id(module))
        return (args, kwargs) if found is None else found[1](args, kwargs)

    def running(self, module: nn.Module, run: Run) -> Run:
        """Return what runs one module, given what would."""
        found = self._instead.get(id(module))
        return run if found is None else functools.partial(found[1], run)


class Turn:
    """Lets one thread at a time be recorded: several may have inherited the context of one recording."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def take(self) -> bool:
        """Take the turn unless another thread has it; returns whether this one has. It may be taken several times."""
        return self._lock.acquire(blocking=False)

    def give_back(self) -> None:
        """Give it back as often as it was taken."""
        self._lock.release()

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Take the turn until the block ends, unless another thread has it; yields whether this one has."""
        own = self.take()
        try:
            yield own
        finally:
            if own:
                self.give_back()


class Listener(Protocol):
    """Is called with every attention call. What records must not change what the model computes; only an editor does.

    Attributes:
        module_hooks: What it wants called before and after modules.
        turn: Which of the threads that have it as a listener is recorded.
    """

    module_hooks: ModuleHooks
    turn: Turn

    def on_passed_by(self, reason: str) -> None:
        """Note that a call of a module with hooks is not told, and why, in words that follow the model's name."""

    def set_aside(self) -> AbstractContextManager[None]:
        """Return a context for another recording: where it begins in the middle of a pass, it is no part of that."""

    def on_attention_call(self, arguments: AttentionArguments) -> AbstractContextManager[None]:
        """Read one call, before it runs; it runs inside of what is returned."""

    def edited(self, arguments: AttentionArguments, result: Any) -> Any:
        """Return what the function of a call, which has run, is to return: ``result``, or another in its place."""

    def on_flex_attention(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AbstractContextManager[None]:
        """Read one call of PyTorch's ``flex_attention``, before it runs; it runs inside of what is returned."""


# Per context, hence per thread and per asyncio task: two recordings at once never read each other's models.
_listeners: ContextValues[Listener] = ContextValues("attnwidget_listeners")


def adding(listener: Listener) -> AbstractContextManager[None]:
    """Have ``listener`` listen in this context until the block ends."""
    return _listeners.adding(listener)


@contextmanager
def others_set_aside() -> Iterator[None]:
    """Let a recording begin that is no part of what others are in the middle of, such as one in a callback of ``generate``."""
    with ExitStack() as stack:
        for listener in listeners():
            stack.enter_context(listener.set_aside())
        yield


def suspended(listener: object) -> AbstractContextManager[None]:
    """Tell ``listener`` nothing of this context until the block ends."""
    return _listeners.without(listener)


def is_listening(listener: object) -> bool:
    """Tell whether ``listener`` listens in the current context."""
    return any(other is listener for other in listeners())


def listeners() -> tuple[Listener, ...]:
    """Return the listeners of the current context; none while gradients are computed."""
    found = _listeners()
    return () if found and _in_backward() else found


def _in_backward() -> bool:
    """Tell whether gradients are being computed: what then runs (gradient checkpointing) has run and been recorded before."""
    return torch._C._current_graph_task_id() != -1  # noqa: SLF001  as torch's own ModuleTracker asks
