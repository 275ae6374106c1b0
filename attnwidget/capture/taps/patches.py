"""`patched`: replace an attribute of a class, or a name in a namespace, for as long as a recording needs it."""

from __future__ import annotations

import copy
import functools
import sys
import threading
from contextlib import contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Replacement", "patched"]

# Recordings in all threads share one replacement: by namespace and name, how many use it and what it replaced.
_lock = threading.Lock()
_replaced: dict[tuple[int, str], tuple[int, Any]] = {}


class Replacement:
    """A function in place of one that a module has as an attribute of its own; copied and pickled, it is that one again.

    Args:
        original: The function it stands for.
        function: What is called instead.
    """

    def __init__(self, original: Callable[..., Any], function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, original)
        self._original = original
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._function(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy the original."""
        return copy.deepcopy(self._original, memo)

    def __reduce__(self) -> Any:
        """Pickle the original: a copy of a function is that function."""
        return copy.copy, (self._original,)


@contextmanager
def patched(owner: type | dict[str, Any], name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Let ``name`` refer to a wrapper until the block ends, and longer where another block needs it too.

    Args:
        owner: A class, or the namespace of a module or an object.
        name: Name of an attribute that the class itself has, or of an entry of the namespace.
        wrap: Makes the wrapper of what the name refers to.
    """
    key = (id(owner), name)
    with _lock:
        users, original = _replaced.get(key, (0, None))
        if users == 0:
            original = owner[name] if isinstance(owner, dict) else owner.__dict__[name]
            _assign(owner, name, _run_as_it_is(wrap(original)))
        _replaced[key] = users + 1, original
    try:
        yield
    finally:
        with _lock:
            users, original = _replaced.pop(key)
            if users > 1:
                _replaced[key] = users - 1, original
            else:
                _assign(owner, name, original)


def _run_as_it_is(wrapper: Any) -> Any:
    """Have the compiler pass a wrapper by: what it made of the code inside, for another thread, stays good."""
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    if compiler is not None and isinstance(wrapper, FunctionType):
        compiler.skip_code(wrapper.__code__)
    return wrapper


def _assign(owner: type | dict[str, Any], name: str, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)
