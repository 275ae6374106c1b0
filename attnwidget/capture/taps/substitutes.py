"""`substituting`: have something else run in the place of some modules of a model, without a trace on the model."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from attnwidget.capture.taps.listeners import ModuleHooks, Turn, adding, suspended
from attnwidget.capture.taps.module_hooks import calling_module_hooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from torch import nn

    from attnwidget.capture.arguments import AttentionArguments
    from attnwidget.capture.taps.listeners import Run

__all__ = ["substituting"]


class _Substitutes:
    """Listens to modules alone: something else runs in their place."""

    def __init__(self, instead: Iterable[tuple[nn.Module, Run]]) -> None:
        self.module_hooks = ModuleHooks(instead=instead)
        self.turn = Turn()

    def on_passed_by(self, reason: str) -> None:
        msg = f"the model {reason}."
        raise RuntimeError(msg)

    def set_aside(self) -> AbstractContextManager[None]:
        return suspended(self)

    def on_attention_call(self, arguments: AttentionArguments) -> AbstractContextManager[None]:
        del arguments
        return nullcontext()

    def edited(self, arguments: AttentionArguments, result: Any) -> Any:
        del arguments
        return result

    def on_flex_attention(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AbstractContextManager[None]:
        del args, kwargs
        return nullcontext()


@contextmanager
def substituting(instead: Iterable[tuple[nn.Module, Run]]) -> Iterator[None]:
    """Have something else run in the place of modules that are called in this context, until the block ends.

    Args:
        instead: A module, and what runs in its place: it is called with what runs the module (and takes the module and what
            that is called with), the module, and what it is called with.
    """
    with calling_module_hooks(), adding(_Substitutes(instead)):
        yield
