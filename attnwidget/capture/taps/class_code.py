"""The code of a class, and the globals in which it looks names up."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

__all__ = ["code_of_class"]


def code_of_class(kind: type) -> Iterator[tuple[CodeType, dict[str, Any]]]:
    """Yield the code of every function of a class and of those that it inherits, inner ones too, with its globals.

    PyTorch's own modules, and what they inherit, are left out.
    """
    for base in kind.__mro__:
        if base.__module__.startswith("torch.nn.modules"):
            return
        for member in vars(base).values():
            function = inspect.unwrap(member) if callable(member) else None
            code = getattr(function, "__code__", None)
            if code is not None:
                names = getattr(function, "__globals__", {})
                yield from ((one, names) for one in _with_inner(code))


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if hasattr(inner, "co_names"):
            yield from _with_inner(inner)
