"""Running mean and spread of many numbers at once over inputs, mergeable: what `Moments` and `GroupMeans` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = ["RunningMeans"]


class RunningMeans:
    """Numbers over many inputs; in each of them some may be undefined.

    Attributes:
        count: Number of inputs in which each was defined.
        mean: Mean over them.
        squares: Sum of squared distances from the mean.
    """

    __slots__ = ()

    count: Numbers
    mean: Numbers
    squares: Numbers

    def merged(self, other: RunningMeans) -> tuple[Numbers, Numbers, Numbers]:
        """Return count, mean and squares of both sets of inputs together (Chan, Golub & LeVeque 1983)."""
        count = self.count + other.count
        share = np.divide(other.count, count, out=np.zeros_like(count), where=count > 0)
        distance = other.mean - self.mean
        mean = self.mean + distance * share
        return count, mean, self.squares + other.squares + distance**2 * share * self.count

    @property
    def spread(self) -> Numbers:
        """Standard deviation over the inputs (divided by their number), NaN without any; the shape of ``count``."""
        return np.sqrt(self._defined(self.squares) / np.maximum(self.count, 1))

    @property
    def means(self) -> Numbers:
        """Mean over the inputs, NaN without any; the shape of ``count``."""
        return self._defined(self.mean)

    def _defined(self, array: Numbers) -> Numbers:
        return np.where(self.count > 0, array, np.nan)
