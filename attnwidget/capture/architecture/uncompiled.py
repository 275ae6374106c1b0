"""`running_uncompiled`: run a model layer by layer while it is recorded; compiled code has no layers left to listen to.

What another thread computes with the same model meanwhile stays compiled, so that its numbers stay the same. Hence nothing
is set on a model for long: each replacement asks whether the context that it is called in is one that records the module.
"""

from __future__ import annotations

import functools
import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PreTrainedModel

from attnwidget.capture.architecture.wrappers import without_wrappers
from attnwidget.capture.taps.contexts import ContextValues
from attnwidget.capture.taps.patches import Replacement, patched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["running_uncompiled"]

_COMPILED = (
    "{} is compiled: what is recorded runs uncompiled, as there are no layers left to listen to in compiled code. Its "
    "numbers may differ from the compiled ones in the last digits."
)
_COPIED = "{} runs on the first of its {} devices while it is recorded, as its copies on the others are gone after each pass."

# By the ids of their modules, the models that run uncompiled in the current context.
_uncompiled: ContextValues[frozenset[int]] = ContextValues("attnwidget_uncompiled")


@contextmanager
def running_uncompiled(model: nn.Module) -> Iterator[None]:
    """Let the model run layer by layer, in this context, inside of the block.

    Warns:
        UserWarning: If it would otherwise be compiled, or copied to several devices.
    """
    modules = list(model.modules())
    messages = [_message(module) for module in modules if not _runs_uncompiled(module)]
    with ExitStack() as stack:
        for owner, name, wrap in _replacements(modules):
            stack.enter_context(patched(owner, name, wrap))
        stack.enter_context(_uncompiled.adding(frozenset(map(id, modules))))
        for message in dict.fromkeys(messages):
            if message is not None:
                warnings.warn(message, stacklevel=5)
        yield


def _runs_uncompiled(module: nn.Module) -> bool:
    """Tell whether the current context records a module."""
    return any(id(module) in ids for ids in _uncompiled())


def _message(module: nn.Module) -> str | None:
    """Say why a module runs otherwise than it would."""
    if _is_compiled_in_place(module):
        return _COMPILED.format(type(module).__name__)
    if _plain(_forward_of(module)) is not None:
        return _COMPILED.format(type(without_wrappers(module)).__name__)
    if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
        kind = type(without_wrappers(module)).__name__
        return _COPIED.format(kind, len(module.device_ids))
    return None


def _replacements(
    modules: Iterable[nn.Module],
) -> Iterator[tuple[type | dict[str, Any], str, Callable[[Any], Any]]]:
    """Yield what is to be replaced, once each: its owner, its name, and what makes the replacement."""
    found: dict[tuple[int, str], tuple[type | dict[str, Any], str, Callable[[Any], Any]]] = {}

    def add(owner: type | dict[str, Any], name: str, wrap: Callable[[Any], Any]) -> None:
        found[id(owner), name] = owner, name, wrap

    for module in modules:
        if _is_compiled_in_place(module):
            add(nn.Module, "__call__", _calling)
        if _plain(_forward_of(module)) is not None:
            if "forward" in vars(module):
                add(vars(module), "forward", functools.partial(_own_forward, module))
            else:
                add(_owner(module, "forward"), "forward", _forward)
        if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
            add(vars(module), "device_ids", _first_device)
        if isinstance(module, PreTrainedModel):
            # Generation with a static cache compiles the model's forward pass by itself.
            add(_owner(module, "get_compiled_call"), "get_compiled_call", _get_compiled_call)
    yield from found.values()


def _is_compiled_in_place(module: nn.Module) -> bool:
    return getattr(module, "_compiled_call_impl", None) is not None  # by `module.compile()`


def _owner(module: nn.Module, name: str) -> type:
    """Return the class that a module has an attribute from."""
    return next(kind for kind in type(module).__mro__ if name in vars(kind))


def _forward_of(module: nn.Module) -> Any:
    """Return what a module has as its forward pass, not bound to it where it is its class's."""
    own = vars(module).get("forward")
    return vars(_owner(module, "forward")).get("forward") if own is None else own


def _plain(function: Any) -> Any:
    """Return what a compiled function was made of, or ``None`` if it is not compiled."""
    if getattr(function, "_torchdynamo_disable", False):
        return None
    return getattr(function, "_torchdynamo_orig_callable", None)


def _calling(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def __call__(self: nn.Module, *args: Any, **kwargs: Any) -> Any:  # noqa: N807  as the profiler knows it
        compiled = not torch.compiler.is_dynamo_compiling() and _is_compiled_in_place(self)
        if compiled and _runs_uncompiled(self):
            return self._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call]
        return original(self, *args, **kwargs)

    return __call__


def _forward(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        function = _plain(original) if _runs_uncompiled(self) else original
        return function(self, *args, **kwargs)

    return forward


def _own_forward(module: nn.Module, original: Callable[..., Any]) -> Replacement:
    def forward(*args: Any, **kwargs: Any) -> Any:
        if not _runs_uncompiled(module):
            return original(*args, **kwargs)
        inner = vars(module)["_modules"].get(
            "_orig_mod"
        )  # what `torch.compile(model)` runs is its call
        return (_plain(original) if inner is None else inner)(*args, **kwargs)

    return Replacement(original, forward)


def _first_device(device_ids: list[int]) -> list[int]:
    return device_ids[:1]


def _get_compiled_call(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def get_compiled_call(self: PreTrainedModel, *args: Any, **kwargs: Any) -> Any:
        return self.__call__ if _runs_uncompiled(self) else original(self, *args, **kwargs)

    return get_compiled_call
