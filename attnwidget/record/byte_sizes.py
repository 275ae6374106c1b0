"""Parse and format sizes in bytes."""

from __future__ import annotations

import re

from attnwidget.compute.checks import integer, shown

__all__ = ["parse_bytes", "shown_bytes"]

_UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30,
}  # fmt: skip


def parse_bytes(size: object, name: str = "budget") -> int:
    """Return a number of bytes given as ``5_000_000``, ``"5 MB"`` or ``"800 kB"``.

    Args:
        size: What was given.
        name: What the caller calls it, for the message.

    Raises:
        ValueError: If it is none of these, or not positive.
    """
    if isinstance(size, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", size, re.IGNORECASE)
        if found and found[2].lower() in _UNITS and float(found[1]) > 0:
            return round(float(found[1]) * _UNITS[found[2].lower()])
    elif (integer(size) or 0) > 0:
        return int(size)  # type: ignore[call-overload,no-any-return]
    message = (
        f"{name} must be a number of bytes, or text such as '5 MB' or '800 kB', got {shown(size)}."
    )
    raise ValueError(message)


def shown_bytes(size: float) -> str:
    """Return a size as `parse_bytes` reads it, rounded up, so that what it stands for fits."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB")):
        if size >= factor:
            return f"{-(-int(size) * 100 // factor) / 100:g} {unit}"
    return f"{-(-int(size) // 1000)} kB"
