"""Several heads as one: the mean, the maximum or the sum of their numbers, and what part of it is each one's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["WAYS_TOGETHER", "HeadParts", "HeadsTogether", "heads_together", "together_name"]

WAYS_TOGETHER = ("mean", "max", "sum")


class HeadsTogether:
    """Heads that become one, added block by block: not all of them have to be in memory."""

    def __init__(self, how: str) -> None:
        """Start with none.

        Args:
            how: One of `WAYS_TOGETHER`.
        """
        self._how = how
        self._count = 0
        self._found: NDArray[np.float64] | NDArray[np.float32] | None = None

    def add(self, blocks: NDArray[np.float32]) -> None:
        """Take more heads, float32 ``[head, ...]``, in rising order."""
        # One by one: numpy adds in an order of its own otherwise.
        for one in blocks:
            self._count += 1
            if self._found is None:
                self._found = one.copy() if self._how == "max" else one.astype(np.float64)
            elif self._how == "max":
                np.maximum(self._found, one, out=self._found)
            else:
                self._found += one

    def result(self) -> NDArray[np.float32]:
        """Return all heads as one, float32 ``[...]``.

        Number by number; mean and sum are added up in double precision and rounded once, as
        js/src/data/together.ts has them.

        Raises:
            ValueError: If there were no heads.
        """
        if self._found is None:
            message = "no heads to take together."
            raise ValueError(message)
        found = self._found / self._count if self._how == "mean" else self._found
        single: NDArray[np.float32] = found.astype(np.float32)
        return single


class HeadParts:
    """What part each head has in several that are one, added up over blocks of queries and keys."""

    def __init__(self, how: str, count: int) -> None:
        """Start with nothing.

        Args:
            how: One of `WAYS_TOGETHER`.
            count: How many heads there are.
        """
        self._how = how
        self._totals = np.zeros(count)

    def add(self, blocks: NDArray[np.float32]) -> None:
        """Take a block of every head, float32 ``[head, query, key]``."""
        if self._how != "max":
            self._totals += blocks.sum(axis=(1, 2), dtype=np.float64)
            return
        most = blocks.max(axis=0)
        # Where no head looks, masked keys among them, none is the largest.
        largest = (blocks == most) & (most > 0)
        alike = largest.sum(axis=0)
        self._totals += (largest / np.maximum(alike, 1)).sum(axis=(1, 2))

    def result(self) -> NDArray[np.float32]:
        """Return each head's part, float32 ``[head]``: they add up to 1, and are all 0 where there is no weight.

        Of a mean or a sum the part of the weight; of a maximum the part of the pairs with any weight where the head is the
        largest, those that are equal counting alike.
        """
        whole = self._totals.sum()
        parts: NDArray[np.float32] = (self._totals / (whole or 1.0)).astype(np.float32)
        return parts


def heads_together(blocks: NDArray[np.float32], how: str) -> NDArray[np.float32]:
    """Return several heads as one, float32 ``[...]``; see `HeadsTogether`.

    Args:
        blocks: float32 ``[head, ...]``, the heads in rising order.
        how: One of `WAYS_TOGETHER`.
    """
    found = HeadsTogether(how)
    found.add(blocks)
    return found.result()


def together_name(how: str, heads: Sequence[int], layers: Sequence[int] = ()) -> str:
    """Return what heads as one are called, as js/src/views/shared/together.ts has it.

    Args:
        how: One of `WAYS_TOGETHER`.
        heads: Their numbers, rising.
        layers: Their layers, rising, where these are several.

    Returns:
        Such as ``"mean of heads 0–3, 5"`` or ``"mean of heads 0–1 of layers 2–4"``.
    """
    of_layers = f" of layers {_runs(layers)}" if len(layers) > 1 else ""
    named = f"head{'s' if len(heads) > 1 else ''} {_runs(heads)}"
    return f"{'maximum' if how == 'max' else how} of {named}{of_layers}"


def _runs(numbers: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)
