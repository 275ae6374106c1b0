"""Tap 1: wrap transformers' ``AttentionInterface.get_interface``."""

from __future__ import annotations

import functools
import inspect
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers.modeling_utils import AttentionInterface

from attnwidget.capture.arguments import ARGUMENT_ALIASES, ARGUMENT_NAMES, AttentionArguments
from attnwidget.capture.taps.patches import patched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


__all__ = ["Listener", "is_listening", "listeners", "listening", "suspended"]


class Listener(Protocol):
    """Is called with every attention call. Must not change what the model computes."""

    def on_attention_call(self, arguments: AttentionArguments) -> AbstractContextManager[None]:
        """Read one call, before it runs; it runs inside of what is returned."""

    def on_flex_attention(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AbstractContextManager[None]:
        """Read one call of PyTorch's ``flex_attention``, before it runs; it runs inside of what is returned."""


# Per context, hence per thread and per asyncio task: two recordings at once never read each other's models.
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("attnwidget_listeners", default=())


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell ``listener`` of the attention calls made in this context until the block ends, however it ends."""
    # Every modelling file looks the function up through this one method at every forward pass, and some hold their own
    # instance of the class: so the class is the one place that reaches them all.
    with patched(AttentionInterface, "get_interface", _wrapped):
        token = _listeners.set((*_listeners.get(), listener))
        try:
            yield
        finally:
            _listeners.reset(token)


@contextmanager
def suspended(listener: object) -> Iterator[None]:
    """Tell ``listener`` nothing of this context until the block ends."""
    token = _listeners.set(tuple(other for other in _listeners.get() if other is not listener))
    try:
        yield
    finally:
        _listeners.reset(token)


def is_listening(listener: object) -> bool:
    """Tell whether ``listener`` listens in the current context."""
    return any(other is listener for other in listeners())


def listeners() -> tuple[Listener, ...]:
    """Return the listeners of the current context; none while gradients are computed."""
    return () if _in_backward() else _listeners.get()


def _in_backward() -> bool:
    """Tell whether gradients are being computed: what then runs (gradient checkpointing) has run and been recorded before."""
    return torch._C._current_graph_task_id() != -1  # noqa: SLF001  as torch's own ModuleTracker asks


def _wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def get_interface(
        self: AttentionInterface, attn_implementation: str, default: Callable[..., Any]
    ) -> Callable[..., Any]:
        function: Callable[..., Any] = original(self, attn_implementation, default)
        if not _listeners.get():
            return function
        return _tapped(function, "eager" if function is default else attn_implementation)

    return get_interface


def _tapped(function: Callable[..., Any], implementation: str) -> Callable[..., Any]:
    folds = implementation != "eager" or not _applies_sinks_afterwards(function)

    @functools.wraps(function)
    def attention(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(ARGUMENT_NAMES, args, strict=False))
        given.update({ARGUMENT_ALIASES.get(name, name): value for name, value in kwargs.items()})
        if len(args) <= len(ARGUMENT_NAMES) and given.keys() >= {"module", "query", "key", "value"}:
            five = {name: given.pop(name, None) for name in ARGUMENT_NAMES}
            arguments = AttentionArguments(
                implementation=implementation, options=given, sinks_in_softmax=folds, **five
            )
            with ExitStack() as stack:
                for listener in listeners():
                    stack.enter_context(listener.on_attention_call(arguments))
                return function(*args, **kwargs)
        return function(*args, **kwargs)

    return attention


def _applies_sinks_afterwards(function: Callable[..., Any]) -> bool:
    """Tell whether a model's own function leaves sinks out of its softmax: its code then computes their share."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and "logsumexp" in code.co_names
