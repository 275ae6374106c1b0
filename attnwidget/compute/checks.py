"""Checks of what a caller gave: a choice of words, flags, integers, numbers, several values, tensors that can be read.

Each takes whatever is passed and answers with the value or with an error that names the argument, what was given and what is
accepted. None compares, hashes, measures or iterates a value before it knows that this can be done.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget.protocol.text import in_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "check_choice",
    "check_count",
    "check_flag",
    "check_name",
    "check_not_masked",
    "check_path",
    "check_tensor",
    "integer",
    "is_word",
    "listed",
    "number",
    "options",
    "shown",
]

# What reading a value raises where it cannot be done.
_UNREADABLE = (TypeError, ValueError, OverflowError, AttributeError, RuntimeError)


def integer(value: object) -> int | None:
    """Return ``value`` if it is one integer of Python, numpy or torch, else ``None``."""
    # A bool is an int to Python, but `heads=True` is a mistake and a boolean mask is not a list of heads.
    if isinstance(value, bool) or getattr(value, "dtype", None) in (torch.bool, bool):
        return None
    if isinstance(value, torch.Tensor) and (value.ndim or unreadable(value)):
        return None
    # A numpy array of one integer in a list is one to numpy, and a list to everybody else.
    if isinstance(value, np.ndarray) and value.ndim:
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def number(value: object) -> float | None:
    """Return ``value`` as a float if it is one real number of Python, numpy or torch, else ``None``."""
    if isinstance(value, (bool, np.bool_, str, bytes, bytearray)):
        return None
    if isinstance(value, torch.Tensor) and (
        value.ndim or value.dtype == torch.bool or unreadable(value)
    ):
        return None
    if isinstance(value, np.ndarray) and (value.ndim or value.dtype.kind not in "iuf"):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except _UNREADABLE:
        return None


def listed(value: object) -> list[Any] | None:
    """Return several values (a list, a range, a set, an array, an iterator) as a list; ``None`` for what is one value.

    Text, bytes, mappings, arrays without axes and tensors that cannot be read are one value each.
    """
    if isinstance(value, torch.Tensor) and (not value.ndim or unreadable(value)):
        return None
    if isinstance(value, np.ndarray) and not value.ndim:
        return None
    single = (str, bytes, bytearray, memoryview, Mapping, torch.nn.Module, type)
    if isinstance(value, single) or not isinstance(value, Iterable):
        return None
    return list(value)


def is_word(value: object, accepted: Iterable[str]) -> bool:
    """Tell whether ``value`` is text and one of some words, whatever it is."""
    return isinstance(value, str) and value in accepted


def options(accepted: Iterable[str]) -> str:
    """Return words as a message lists them: ``'a', 'b' or 'c'``."""
    *first, last = map(repr, accepted)
    return f"{', '.join(first)} or {last}" if first else last


def check_not_masked(name: str, value: object) -> None:
    """Refuse numpy's masked arrays: what is masked has a number underneath that nobody means.

    Raises:
        ValueError: If it is one.
    """
    if isinstance(value, np.ma.MaskedArray):
        message = f"{name} must hold plain numbers, got a masked array: pass array.filled(0)."
        raise ValueError(message)  # noqa: TRY004  (its numbers are what is wrong)


def check_choice(
    name: str,
    value: object,
    accepted: Sequence[str],
    *,
    error: type[ValueError] = ValueError,
    said: str | None = None,
) -> str:
    """Return ``value`` if it is one of some words.

    Args:
        name: What the caller calls the argument.
        value: What was given.
        accepted: The words.
        error: What is raised.
        said: How the message lists the words; ``one of 'a', 'b'`` when left out.

    Raises:
        ValueError: If it is none of them.
    """
    if isinstance(value, str) and value in accepted:
        return value
    said = said or f"one of {', '.join(map(repr, accepted))}"
    message = f"{name} must be {said}, got {shown(value)}."
    raise error(message)


def check_flag(name: str, value: object, *, error: type[ValueError] = ValueError) -> bool:
    """Return ``value`` if it is True or False, of Python or of numpy.

    Raises:
        ValueError: If it is anything else.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    message = f"{name} must be True or False, got {shown(value)}."
    raise error(message)


def check_count(name: str, value: object, such: str = "", *, least: int = 1) -> int:
    """Return ``value`` if it is an integer that counts something.

    Args:
        name: What the caller calls the argument.
        value: What was given.
        such: What else is accepted, or an example, for the message.
        least: The smallest there may be.

    Raises:
        ValueError: If it is none, or too small.
    """
    found = integer(value)
    if found is not None and found >= least:
        return found
    accepted = "a positive integer" if least == 1 else f"an integer, {least} or more"
    more = such if such.startswith(" ") else such and f", {such}"
    message = f"{name} must be {accepted}{more}, got {shown(value)}."
    raise ValueError(message)


def check_name(
    name: str, value: object, names: Iterable[str], *, error: type[Exception] = KeyError
) -> str:
    """Return ``value`` if it is one of the names there are, such as that of a stream.

    Raises:
        KeyError: If there is none of this name; another type of error where ``error`` says so.
    """
    there = list(names)
    if isinstance(value, str) and value in there:
        return value
    message = f"no {name} {shown(value)}; available: {there}"
    raise error(message)


def check_path(value: Any, such: str, name: str = "path") -> str:
    """Return the path of a file as text.

    Args:
        value: What was given.
        such: A path that fits, for the message.
        name: What the caller calls the argument.

    Raises:
        TypeError: If it is neither text nor a path.
        ValueError: If no file can have this name.
    """
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        message = f"{name} must be text or a path, such as {such!r}, got {shown(value)}."
        raise TypeError(message)
    text = os.fspath(value)
    try:
        good = b"\x00" not in os.fsencode(text)
    except UnicodeEncodeError:  # a lone surrogate
        good = False
    if not good:
        message = (
            f"{name} must be a name that a file can have, such as {such!r}, got {shown(value)}."
        )
        raise ValueError(message)
    return text


def unreadable(tensor: torch.Tensor) -> str | None:
    """Return what keeps a tensor's numbers from being read, and the call that helps; ``None`` where nothing does."""
    if tensor.is_nested:
        return "a nested tensor: pass torch.nested.to_padded_tensor(tensor, 0.0), or one item of it"
    if tensor.device.type == "meta":
        return "a tensor on the device 'meta', which holds no numbers: pass one from a model that is loaded"
    if tensor.layout != torch.strided:
        return (
            f"a sparse tensor ({str(tensor.layout).removeprefix('torch.')}): pass tensor.to_dense()"
        )
    if tensor.is_quantized:
        return f"a quantised tensor ({str(tensor.dtype).removeprefix('torch.')}): pass tensor.dequantize()"
    return None


def check_tensor(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor whose numbers can be read as they lie in memory.

    Raises:
        ValueError: If it is nested, sparse or quantised, or on the device ``meta``; the message has the call that helps.
    """
    why = unreadable(tensor)
    if why is not None:
        message = f"{name} must hold plain numbers, got {why}."
        raise ValueError(message)
    return tensor.detach().resolve_conj().resolve_neg()


def shown(value: object) -> str:
    """Return a value as a message shows it: in one short line, also where it cannot be printed."""
    if isinstance(value, torch.Tensor) and (
        value.ndim > 1 or value.numel() > 8 if not value.is_nested else True
    ):
        return _tensor_in_words(value)
    if isinstance(value, np.ndarray) and (value.ndim > 1 or value.size > 8):
        return f"an array of {value.dtype} {list(value.shape)}"
    return in_one_line(value)


def _tensor_in_words(tensor: torch.Tensor) -> str:
    why = unreadable(tensor)
    if why is not None:
        return why.partition(":")[0]
    return f"a tensor of {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
