"""Several heads as one: the mean, the maximum or the sum of their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["WAYS_TOGETHER", "heads_together", "together_name"]

WAYS_TOGETHER = ("mean", "max", "sum")


def heads_together(blocks: NDArray[np.float32], how: str) -> NDArray[np.float32]:
    """Return several heads as one.

    Args:
        blocks: float32 ``[head, ...]``, the heads in rising order.
        how: One of `WAYS_TOGETHER`.

    Returns:
        float32 ``[...]``: number by number; mean and sum are added up in double precision and rounded once, as
        js/src/data/together.ts has them.
    """
    if how == "max":
        most: NDArray[np.float32] = blocks.max(axis=0)
        return most
    total = np.zeros(blocks.shape[1:])
    # One by one: numpy adds in an order of its own otherwise.
    for one in blocks:
        total += one
    return (total / len(blocks) if how == "mean" else total).astype(np.float32)


def together_name(how: str, heads: Sequence[int]) -> str:
    """Return what heads as one are called, such as ``"mean of heads 0–3, 5"``, as js/src/views/shared/together.ts has it."""
    runs: list[list[int]] = []
    for head in heads:
        if runs and runs[-1][1] == head - 1:
            runs[-1][1] = head
        else:
            runs.append([head, head])
    ranges = (str(first) if first == last else f"{first}–{last}" for first, last in runs)
    return f"{'maximum' if how == 'max' else how} of heads {', '.join(ranges)}"
