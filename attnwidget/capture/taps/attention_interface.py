"""Tap 1: wrap transformers' ``AttentionInterface.get_interface``."""

from __future__ import annotations

import functools
import inspect
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from transformers.modeling_utils import AttentionInterface

from attnwidget.capture.arguments import ARGUMENT_ALIASES, ARGUMENT_NAMES, AttentionArguments
from attnwidget.capture.taps.listeners import adding, listeners
from attnwidget.capture.taps.module_hooks import calling_module_hooks
from attnwidget.capture.taps.patches import patched
from attnwidget.capture.taps.transforms import outside_transforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attnwidget.capture.taps.listeners import Listener

__all__ = ["listening"]


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell ``listener`` of the attention calls and modules that run in this context until the block ends, however it ends."""
    # Every modelling file looks the function up through this one method at every forward pass, and some hold their own
    # instance of the class: so the class is the one place that reaches them all.
    with (
        patched(AttentionInterface, "get_interface", _wrapped),
        calling_module_hooks(),
        adding(listener),
    ):
        yield


def _wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def get_interface(
        self: AttentionInterface, attn_implementation: str, default: Callable[..., Any]
    ) -> Callable[..., Any]:
        function: Callable[..., Any] = original(self, attn_implementation, default)
        if torch.compiler.is_dynamo_compiling() or not listeners():
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
            told = () if torch.compiler.is_dynamo_compiling() else listeners()
            if not told:
                return function(*args, **kwargs)
            with ExitStack() as stack:
                with outside_transforms(given) as plain_given:
                    five = {name: plain_given.pop(name, None) for name in ARGUMENT_NAMES}
                    arguments = AttentionArguments(
                        implementation=implementation,
                        options=plain_given,
                        sinks_in_softmax=folds,
                        **five,
                    )
                    for listener in told:
                        stack.enter_context(listener.on_attention_call(arguments))
                return function(*args, **kwargs)
        return function(*args, **kwargs)

    return attention


def _applies_sinks_afterwards(function: Callable[..., Any]) -> bool:
    """Tell whether a model's own function leaves sinks out of its softmax: its code then computes their share."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and "logsumexp" in code.co_names
