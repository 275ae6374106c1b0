"""Tap 1: wrap the look-up of attention functions in transformers' ``AttentionInterface``.

Since transformers 5.2 a module asks ``get_interface`` for its function, whichever that is. Before, and in modelling code
written for then, it takes ``ALL_ATTENTION_FUNCTIONS[name]``, and its own function, called eager, without a look-up.
"""

from __future__ import annotations

import functools
import inspect
from contextlib import ExitStack, contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any

import torch
from transformers.modeling_utils import AttentionInterface

from attnwidget.capture.arguments import ARGUMENT_ALIASES, ARGUMENT_NAMES, AttentionArguments
from attnwidget.capture.taps.class_code import code_of_class
from attnwidget.capture.taps.dispatch import unread
from attnwidget.capture.taps.listeners import adding, listeners
from attnwidget.capture.taps.module_hooks import calling_module_hooks
from attnwidget.capture.taps.patches import patched
from attnwidget.capture.taps.transforms import outside_transforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import nn

    from attnwidget.capture.taps.listeners import Listener
    from attnwidget.compute.layer_tensors import Exact

__all__ = ["listening"]

# Marks a function that listens.
_TAPPED = "_attnwidget_tapped"


@contextmanager
def listening(listener: Listener, modules: Iterable[nn.Module] = ()) -> Iterator[None]:
    """Tell ``listener`` of the attention calls and modules that run in this context until the block ends, however it ends.

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
        stack.enter_context(calling_module_hooks())
        stack.enter_context(adding(listener))
        yield


def _wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def get_interface(
        self: AttentionInterface, attn_implementation: str, default: Callable[..., Any]
    ) -> Callable[..., Any]:
        function: Callable[..., Any] = original(self, attn_implementation, default)
        if torch.compiler.is_dynamo_compiling() or not listeners():
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
        if torch.compiler.is_dynamo_compiling() or not isinstance(self, AttentionInterface):
            return function
        if not listeners():
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
                        softmax_dtype=softmax_dtype,
                        **five,
                    )
                    for listener in told:
                        with unread():
                            stack.enter_context(listener.on_attention_call(arguments))
                result = function(*args, **kwargs)
                with outside_transforms(result) as plain_result:
                    arguments.returned.append(plain_result)
                for listener in told:
                    result = listener.edited(arguments, result)
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
