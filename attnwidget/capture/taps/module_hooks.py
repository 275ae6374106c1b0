"""What runs before and after the modules of a recorded model, without a trace on the model.

PyTorch's own hooks are entries of dictionaries on the modules. Another thread that calls the same model meets them half
registered or half removed, a copy or a checkpoint made inside of a recording takes them along, and a hook anywhere in an
``nn.TransformerEncoderLayer`` turns its fast path off, whose numbers differ in the last bits. So `Module._call_impl`, which
every call of a module goes through, is wrapped for the length of a recording; the wrapper asks the listeners of its context.
"""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnwidget.capture.taps.listeners import OTHER_THREAD, listeners, suspended
from attnwidget.capture.taps.patches import patched
from attnwidget.capture.taps.transforms import (
    outside_transforms,
    transforming,
    why_without_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attnwidget.capture.taps.listeners import Enter, Leave, Listener

__all__ = ["calling_module_hooks"]


@contextmanager
def calling_module_hooks() -> Iterator[None]:
    """Call the hooks of the current listeners around each module until the block ends."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def _call_impl(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_dynamo_compiling():
                return original(self, *args, **kwargs)
            watching = [each for each in listeners() if each.module_hooks.wants(self)]
            if not watching:
                return original(self, *args, **kwargs)
            taken: list[Listener] = []
            try:
                for listener in watching:
                    passed_by = why_without_numbers((*args, *kwargs.values()))
                    if passed_by is None and listener.turn.take():
                        taken.append(listener)
                        continue
                    listener.on_passed_by(passed_by or OTHER_THREAD)
                    with suspended(listener):
                        return self._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call]
                for listener in watching:
                    args, kwargs = listener.module_hooks.changed(self, args, kwargs)
                hooks = [pair for each in watching for pair in each.module_hooks.of(self)]
                run = original
                for listener in watching:
                    run = listener.module_hooks.running(self, run)
                return _run_hooked(run, self, args, kwargs, hooks)
            finally:
                for listener in taken:
                    listener.turn.give_back()

        return _call_impl

    with patched(nn.Module, "_call_impl", wrap):
        yield


def _run_hooked(
    original: Callable[..., Any],
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    hooks: list[tuple[Enter | None, Leave | None]],
) -> Any:
    """Run a module between what is called before and after it; after it also if it raises."""
    begun: list[Leave] = []

    def enter(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for before, after in hooks:
            if after is not None:
                begun.append(after)
            if before is not None:
                before(args, kwargs)

    def leave(output: Any) -> None:
        for after in begun:
            after(output)

    try:
        # What the user's hooks make of the arguments is what the module computes with.
        if module._forward_pre_hooks:  # noqa: SLF001  there is no public way to ask
            with _last_pre_hook(module, lambda *given: _read(enter, *given)):
                output = original(module, *args, **kwargs)
        else:
            _read(enter, args, kwargs)
            output = original(module, *args, **kwargs)
    except BaseException:
        leave(None)
        raise
    _read(leave, output)
    return output


def _read(hook: Callable[..., None], *given: Any) -> None:
    """Call a hook with the numbers behind what is given."""
    if not transforming():
        hook(*given)
        return
    with outside_transforms(given) as numbers:
        hook(*numbers)


class _Last:
    """A hook that is there for one call of a module; other threads may meet it, with or without keyword arguments."""

    def __init__(self, enter: Enter) -> None:
        self._enter: Enter | None = enter
        self._thread = threading.get_ident()

    def __call__(self, _module: nn.Module, args: Any, kwargs: Any = None) -> None:
        if threading.get_ident() == self._thread and self._enter is not None:
            enter, self._enter = self._enter, None
            enter(args, {} if kwargs is None else kwargs)


@contextmanager
def _last_pre_hook(module: nn.Module, enter: Enter) -> Iterator[None]:
    """Call ``enter`` after all hooks before the next call of a module, and in no other."""
    hooks: dict[Any, Any] = module._forward_pre_hooks  # noqa: SLF001
    takes_kwargs: dict[Any, Any] = module._forward_pre_hooks_with_kwargs  # noqa: SLF001
    hook = _Last(enter)  # its own key: the numbers of PyTorch's may be given twice by two threads
    takes_kwargs[hook] = True
    hooks[hook] = hook
    try:
        yield
    finally:
        del hooks[hook]
        del takes_kwargs[hook]
