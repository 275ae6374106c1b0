"""Tap 1: wrap the look-up of attention functions in transformers' ``AttentionInterface``.

Since transformers 5.2 a module asks ``get_interface`` for its function, whichever that is. Before, and in modelling code
written for then, it takes ``ALL_ATTENTION_FUNCTIONS[name]``, and its own function, called eager, without a look-up.
"""

from __future__ import annotations

import functools
import inspect
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers.modeling_utils import AttentionInterface

from attnwidget.capture.arguments import ARGUMENT_ALIASES, ARGUMENT_NAMES, AttentionArguments
from attnwidget.capture.taps.class_code import code_of_class
from attnwidget.capture.taps.patches import patched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from torch import nn

    from attnwidget.compute.layer_tensors import Exact

__all__ = ["Listener", "is_listening", "listeners", "listening", "suspended"]


class Listener(Protocol):
    """Is called with every attention call. Must not change what the model computes."""

    def on_attention_call(self, arguments: AttentionArguments) -> AbstractContextManager[None]:
        """Read one call, before it runs; it runs inside of what is returned."""

    def on_flex_attention(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AbstractContextManager[None]:
        """Read one call of PyTorch's ``flex_attention``, before it runs; it runs inside of what is returned."""


# Marks a function that listens.
_TAPPED = "_attnwidget_tapped"
# Per context, hence per thread and per asyncio task: two recordings at once never read each other's models.
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("attnwidget_listeners", default=())


@contextmanager
def listening(listener: Listener, modules: Iterable[nn.Module] = ()) -> Iterator[None]:
    """Tell ``listener`` of the attention calls made in this context until the block ends, however it ends.

    Args:
        listener: Is told.
        modules: Modules whose code may have an attention function of its own, for which it asks nobody.
    """
    # Every modelling file looks the function up through the class at every forward pass, and some hold their own
    # instance of it: so the class is the one place that reaches them all.
    with ExitStack() as stack:
        if hasattr(AttentionInterface, "get_interface"):
            stack.enter_context(patched(AttentionInterface, "get_interface", _wrapped))
        stack.enter_context(patched(_item_owner(), "__getitem__", _wrapped_item))
        for names, name in _own_functions({type(module) for module in modules}):
            stack.enter_context(patched(names, name, _wrapped_own))
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
        if hasattr(function, _TAPPED):
            function = inspect.unwrap(function, stop=lambda each: not hasattr(each, _TAPPED))
        implementation = "eager" if function is default else attn_implementation
        return _tapped(function, implementation, _softmax_dtype(default))

    return get_interface


def _item_owner() -> type:
    """Return the class that defines ``ALL_ATTENTION_FUNCTIONS[name]``; interfaces to other functions may inherit it too."""
    return next(base for base in AttentionInterface.__mro__ if "__getitem__" in vars(base))


def _wrapped_item(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def __getitem__(self: Any, key: Any) -> Any:  # noqa: N807  what it replaces
        function = original(self, key)
        if not isinstance(self, AttentionInterface) or not _listeners.get():
            return function
        return function if hasattr(function, _TAPPED) else _tapped(function, key, "float32")

    return __getitem__


def _own_functions(kinds: Iterable[type]) -> list[tuple[dict[str, Any], str]]:
    """Find, by namespace and name, the attention functions that transformers' own classes call without a look-up.

    They are told by what they take, in code that names an ``AttentionInterface`` and never calls ``get_interface``. Anyone
    else's are read by their operations: what they do beside their arguments is not known.
    """
    found: dict[tuple[int, str], tuple[dict[str, Any], str]] = {}
    asking = set()
    for kind in kinds:
        if not kind.__module__.startswith("transformers.models."):
            continue
        for code, names in code_of_class(kind):
            if "get_interface" in code.co_names:
                asking.add(id(names))
            used = [(name, names.get(name)) for name in code.co_names]
            if any(isinstance(value, AttentionInterface) for _, value in used):
                for name, value in used:
                    if isinstance(value, FunctionType) and _takes_attention(value):
                        found[id(names), name] = names, name
    return [place for (namespace, _), place in found.items() if namespace not in asking]


def _takes_attention(function: FunctionType) -> bool:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return False
    taken = [ARGUMENT_ALIASES.get(name, name) for name in code.co_varnames[: code.co_argcount]]
    return tuple(taken[: len(ARGUMENT_NAMES)]) == ARGUMENT_NAMES


def _wrapped_own(original: Callable[..., Any]) -> Callable[..., Any]:
    """Listen to a module's own function where its arguments say more than its operations: of a sink, what it is.

    Functions of that time keep parts of their formula to themselves, such as GPT-2's division by the number of the
    layer, so any other call is read by its operations.
    """
    tapped = _tapped(original, "eager", _softmax_dtype(original))

    @functools.wraps(original)
    def own(*args: Any, **kwargs: Any) -> Any:
        module = args[0] if args else kwargs.get("module")
        sinks = kwargs.get("s_aux", getattr(module, "sinks", None))
        return (original if sinks is None else tapped)(*args, **kwargs)

    return own


def _tapped(
    function: Callable[..., Any], implementation: str, softmax_dtype: Exact
) -> Callable[..., Any]:
    folds = implementation != "eager" or not _applies_sinks_afterwards(function)

    @functools.wraps(function)
    def attention(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(ARGUMENT_NAMES, args, strict=False))
        given.update({ARGUMENT_ALIASES.get(name, name): value for name, value in kwargs.items()})
        if len(args) <= len(ARGUMENT_NAMES) and given.keys() >= {"module", "query", "key", "value"}:
            five = {name: given.pop(name, None) for name in ARGUMENT_NAMES}
            arguments = AttentionArguments(
                implementation=implementation,
                options=given,
                sinks_in_softmax=folds,
                softmax_dtype=softmax_dtype,
                **five,
            )
            with ExitStack() as stack:
                for listener in listeners():
                    stack.enter_context(listener.on_attention_call(arguments))
                result = function(*args, **kwargs)
                arguments.returned.append(result)
                return result
        return function(*args, **kwargs)

    setattr(attention, _TAPPED, True)
    return attention


def _applies_sinks_afterwards(function: Callable[..., Any]) -> bool:
    """Tell whether a model's own function leaves sinks out of its softmax: its code then computes their share."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and "logsumexp" in code.co_names


def _softmax_dtype(function: Callable[..., Any]) -> Exact:
    """Tell in which dtype a model's own function computes its softmax: float32 where its code names it, else that of its scores."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return "float32" if code is None or {"float", "float32"} & {*code.co_names} else "model"
