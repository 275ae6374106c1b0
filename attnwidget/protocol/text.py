"""Text that every host can carry, with lone surrogates written out; values as errors show them."""

from __future__ import annotations

import operator
import re
from typing import TypeVar

__all__ = ["in_one_line", "sendable", "well_formed"]

T = TypeVar("T")

# Characters of a value that an error repeats; longer ones hide the rest of it.
_LONGEST = 200

# What printing a value raises where it cannot be done: integers of thousands of digits, objects with faults of their own.
_UNPRINTABLE = (TypeError, ValueError, OverflowError, AttributeError, RuntimeError)

_SURROGATES = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    r"""Return a text with each lone surrogate as ``⟨U+D800⟩``, and each pair of them as the character that it stands for.

    Tokenizers that cut text into bytes or UTF-16 units make such text, and Python's strings hold it.

    Example:
        >>> well_formed("a\ud800")
        'a⟨U+D800⟩'
    """
    if text.isascii() or not _SURROGATES.search(text):
        return text
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return _SURROGATES.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", joined)


def sendable(value: T) -> T:
    """Return a message with every text in it well-formed; what has nothing to change is returned as it is."""
    changed: object = value
    if isinstance(value, str):
        changed = well_formed(value)
    elif isinstance(value, dict):
        made = {sendable(name): sendable(part) for name, part in value.items()}
        same = all(
            a is b and c is d for (a, c), (b, d) in zip(value.items(), made.items(), strict=False)
        )
        changed = value if same and len(made) == len(value) else made
    elif isinstance(value, list):
        parts = [sendable(part) for part in value]
        changed = value if all(map(operator.is_, value, parts)) else parts
    elif isinstance(value, tuple):
        parts = [sendable(part) for part in value]
        changed = value if all(map(operator.is_, value, parts)) else tuple(parts)
    return changed  # type: ignore[return-value]  # of the same type


def in_one_line(value: object) -> str:
    """Return a value as Python writes it, in one short line; by its type alone where it cannot be printed."""
    try:
        text = " ".join(repr(value).split())
    except _UNPRINTABLE:
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
