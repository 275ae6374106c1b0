"""Whether a head that is zeroed and one set to its mean tell the same: zero is an output that the model may never have seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnwidget.compute.checks import shown
from attnwidget.edits.ablation import Ablation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attnwidget.edits.edits import Edits

__all__ = ["FACTOR", "differ", "rounding", "with_means"]

# Effects that are further apart than this say different things of a head.
FACTOR = 3.0
_ROUNDING = 1e-5  # of the metric, to which passes of several heads agree with those of one


def differ(zero: Any, mean: Any, floor: float) -> NDArray[np.bool_]:
    """Tell where an effect by zero and one by mean differ by more than a factor of 3, or in sign.

    Args:
        zero: Changes of a metric, of any shape.
        mean: The same where the mean was put in place of zero, NaN where that is not known.
        floor: What is no change; where both are no larger, they do not differ.

    Returns:
        Boolean, of the same shape.
    """
    first, second = np.asarray(zero, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    larger = np.maximum(np.abs(first), np.abs(second))
    # Of one sign, the smaller is less than a third of the larger; of two signs, they are further apart than the larger is.
    apart = np.abs(first - second) > (1 - 1 / FACTOR) * larger
    return np.asarray(apart & (larger > floor))


def rounding(value: float, noise: float) -> float:
    """Return what is no change of a metric: what it changes by without any edit, or by rounding."""
    return max(noise, _ROUNDING * max(1.0, abs(value)))


def with_means(edits: Edits, source: Any) -> Edits:
    """Return an edit in which heads that are zeroed are set to their means.

    Args:
        edits: The edit.
        source: What the means are of; as of `ablate`.

    Raises:
        ValueError: If no head is zeroed, or ``source`` has no means.
    """
    made = tuple(
        Ablation.of(part.heads, "mean", source, part.stream)
        if isinstance(part, Ablation) and part.how == "zero"
        else part
        for part in edits.parts
    )
    if made == edits.parts:
        message = (
            f"source says what heads that are zeroed are set to besides, got source={shown(source)}, and {edits!r} zeroes none: "
            "leave it out, or pass ablate(heads=[(3, 3)])."
        )
        raise ValueError(message)
    return replace(edits, parts=made)
