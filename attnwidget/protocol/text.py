"""Text that every host can carry: lone surrogates, which UTF-8 has no bytes for, written out."""

from __future__ import annotations

import operator
import re
from typing import TypeVar

__all__ = ["sendable", "well_formed"]

T = TypeVar("T")

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
