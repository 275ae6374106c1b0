"""Unwrap compiled, parallel and sentence-transformer models, and run them uncompiled while they are recorded."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from types import MethodType
from typing import TYPE_CHECKING, Any

from torch import nn
from transformers import PreTrainedModel

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["called_module", "max_tokens", "own_tokenizer", "running_uncompiled", "unwrapped"]

_MISSING = object()
_NAMES = ("_compiled_call_impl", "forward", "device_ids", "get_compiled_call")
_COMPILED = (
    "{} is compiled: what is recorded runs uncompiled, as there are no layers left to listen to in compiled code. Its "
    "numbers may differ from the compiled ones in the last digits."
)
_COPIED = "{} runs on the first of its {} devices while it is recorded, as its copies on the others are gone after each pass."


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside of what compiles, copies or pools it."""
    runner = _sentence_encoder(model)
    return _without_wrappers(model if runner is None else runner.auto_model)


def called_module(model: nn.Module) -> nn.Module:
    """Return the module on whose calls the inputs of the model are read.

    That is the model inside, but for sentence encoders the module around it: they call its ``forward`` itself, which runs no hooks.
    """
    runner: nn.Module | None = _sentence_encoder(model)
    return _without_wrappers(model) if runner is None else runner


def own_tokenizer(model: nn.Module) -> Any:
    """Return the tokenizer that a sentence encoder brings along, or ``None``."""
    return getattr(_sentence_encoder(model), "tokenizer", None)


def max_tokens(model: nn.Module) -> int | None:
    """Return how many tokens a sentence encoder reads before it cuts its text off, or ``None`` if it does not."""
    most = getattr(_sentence_encoder(model), "max_seq_length", None)
    return most if isinstance(most, int) else None


@contextmanager
def running_uncompiled(model: nn.Module) -> Iterator[None]:
    """Let the model run layer by layer, in this thread, inside of the block.

    Warns:
        UserWarning: If it would otherwise be compiled, or copied to several devices.
    """
    modules = list(model.modules())
    messages = _bypass.acquire(modules)
    try:
        for message in dict.fromkeys(messages):
            warnings.warn(message, stacklevel=5)
        yield
    finally:
        _bypass.release(modules)


def _without_wrappers(model: nn.Module) -> nn.Module:
    """Take off compilers and copiers."""
    inner: Any = model
    while inner is not None:
        model = inner
        copied = isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel))
        # torch.compile gives no other way to ask what it was given.
        inner = model.module if copied else model._modules.get("_orig_mod")  # noqa: SLF001
    return model


def _sentence_encoder(model: nn.Module) -> Any:
    """Return the part of a sentence encoder that runs a pretrained model: the first of a sequence."""
    model = _without_wrappers(model)
    first = model[0] if isinstance(model, nn.Sequential) and len(model) else model
    return first if isinstance(getattr(first, "auto_model", None), nn.Module) else None


class _Bypass:
    """Sets aside, for the length of a recording, what keeps a model's layers from being called one by one.

    Only attributes of the model's own modules change, and come back as they were: compiled code stays in its cache, other
    models go on compiled. Models may be recorded in several threads at once, hence the lock and the count.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: dict[tuple[int, str], int] = {}
        self._saved: dict[tuple[int, str], Any] = {}

    def acquire(self, modules: list[nn.Module]) -> list[str]:
        """Set aside; return what to say about it."""
        said: list[str] = []
        with self._lock:
            for module in modules:
                for name in _NAMES:
                    self._set_aside(module, name, said)
        return said

    def release(self, modules: list[nn.Module]) -> None:
        """Bring back, unless another recording still runs."""
        with self._lock:
            for module in modules:
                for name in _NAMES:
                    self._bring_back(module, name)

    def _set_aside(self, module: nn.Module, name: str, said: list[str]) -> None:
        key = (id(module), name)
        if key not in self._users:
            plain, message = _uncompiled_value(module, name)
            if plain is _MISSING:
                return
            self._saved[key] = vars(module).get(name, _MISSING)
            vars(module)[name] = plain
            if message is not None:
                said.append(message)
        self._users[key] = self._users.get(key, 0) + 1

    def _bring_back(self, module: nn.Module, name: str) -> None:
        key = (id(module), name)
        if key not in self._users:
            return
        self._users[key] -= 1
        if self._users[key]:
            return
        del self._users[key]
        saved = self._saved.pop(key)
        if saved is _MISSING:
            vars(module).pop(name, None)
        else:
            vars(module)[name] = saved


_bypass = _Bypass()


def _uncompiled_value(module: nn.Module, name: str) -> tuple[Any, str | None]:
    """Say what an attribute has to be for the module to run plainly, and why; nothing if it does already."""
    kind = type(module).__name__
    if name == "_compiled_call_impl" and vars(module).get(name) is not None:  # module.compile()
        return None, _COMPILED.format(kind)
    if name == "forward":
        forward = vars(module).get("forward")
        whole = forward is None
        if whole:
            forward = vars(type(module)).get("forward")
        plain = getattr(forward, "_torchdynamo_orig_callable", None)
        if plain is None or getattr(forward, "_torchdynamo_disable", False):
            return _MISSING, None
        kind = type(_without_wrappers(module)).__name__
        return MethodType(plain, module) if whole else plain, _COMPILED.format(kind)
    if name == "device_ids" and isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
        kind = type(_without_wrappers(module)).__name__
        return module.device_ids[:1], _COPIED.format(kind, len(module.device_ids))
    if name == "get_compiled_call" and isinstance(module, PreTrainedModel):
        # Generation with a static cache compiles the model's forward pass by itself.
        return _plain_call(module), None
    return _MISSING, None


def _plain_call(model: PreTrainedModel) -> Any:
    def get_compiled_call(_compile_config: Any = None) -> Any:
        return model.__call__

    return get_compiled_call
