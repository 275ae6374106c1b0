"""Numbers of heads that are not numbers (NaN): they come last where heads are ranked, and a warning names the heads."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["Head", "largest", "strongest_first", "warn_not_numbers"]

# Name of a stream, the model's number of a layer, a head.
Head = tuple[str, int, int]

_MOST_NAMED = 12


def strongest_first(value: float) -> tuple[bool, float]:
    """Return what sorts a number before smaller ones, and NaN behind all of them; as the ``key`` of a stable sort."""
    return (True, 0.0) if math.isnan(value) else (False, -value)


def largest(values: NDArray[np.floating]) -> int:
    """Return the index of the largest of some numbers, the first if all are NaN."""
    return int(np.where(np.isnan(values), -np.inf, values).argmax())


def warn_not_numbers(heads: Iterable[Head], outcome: str, *, stacklevel: int) -> None:
    """Name the heads whose numbers are not numbers, if there are any.

    Args:
        heads: These heads; each is named once.
        outcome: What becomes of them: "such heads come last".
        stacklevel: That of `warnings.warn`, counted from the caller.

    Warns:
        UserWarning: If there are any.
    """
    found = list(dict.fromkeys(heads))
    if not found:
        return
    streams = list(dict.fromkeys(stream for stream, _, _ in found))
    named = "; ".join(
        f"{stream!r}: " + ", ".join(f"{layer}·{head}" for name, layer, head in found[:_MOST_NAMED] if name == stream)
        for stream in streams
        if any(name == stream for name, _, _ in found[:_MOST_NAMED])
    )  # fmt: skip
    more = len(found) - _MOST_NAMED
    rest = f" and {more} more" if more > 0 else ""
    count = f"{len(found)} head has" if len(found) == 1 else f"{len(found)} heads have"
    message = (
        f"{count} weights that are not numbers (NaN), layer·head of stream {named}{rest}; {outcome}. The model's own values "
        "overflowed: try it in float32."
    )
    warnings.warn(message, stacklevel=stacklevel + 1)
