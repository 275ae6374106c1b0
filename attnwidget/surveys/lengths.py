"""How many inputs there are, where that is known before they are read."""

from __future__ import annotations

from typing import Any

__all__ = ["length_of"]


def length_of(texts: Any) -> int | None:
    """Return how many inputs there are, ``None`` where only reading them would tell."""
    try:
        return len(texts)
    except (TypeError, AttributeError):  # the latter of a Ray Dataset, which would have to be read
        return None
