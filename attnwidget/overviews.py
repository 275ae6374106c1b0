"""A layer from afar: every head pooled to a few cells, and what one pass over its weights says."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from attnwidget import pooling
from attnwidget.held import to_array
from attnwidget.selection import integer
from attnwidget.slices import finish

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from attnwidget.layer import Layer
    from attnwidget.pooling import Pool

    Array = NDArray[np.float32]

__all__ = ["Overviews"]


class Overviews:
    """The overviews of a `Layer`."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def n_query(self) -> int:
            """Number of query positions."""

    @property
    def overview_is_sample(self) -> bool:
        """Whether `overview` reads a sample of the query rows, as it does beyond 8,192 of them."""
        return self.n_query > pooling.OVERVIEW_EXACT_ROWS

    def overview(self, size: int, pool: Pool = "max") -> Array:
        """Return every head as a thumbnail, pooled over adaptive bins.

        Beyond 8,192 query rows an evenly spaced sample of about 2,048 of them is read (`overview_is_sample`). Weights
        that are NaN stay NaN.

        Args:
            size: Largest number of rows and of columns.
            pool: What a cell holds: ``"max"``, the largest of its weights, or ``"mean"``.

        Returns:
            float32 ``[head, min(size, n_query), min(size, n_key)]``.

        Raises:
            ValueError: If ``size`` is not a positive integer, or ``pool`` is neither.

        Example:
            >>> import attnwidget as aw
            >>> layer = aw.capture(model, "the cat sat", tokenizer)["decoder"][0]
            >>> layer.overview(2).shape
            (4, 2, 2)
        """
        number = integer(size)
        if number is None or number < 1:
            message = f"size must be a positive integer, got {size!r}."
            raise ValueError(message)
        if pool not in get_args(pooling.Pool):
            message = f"pool must be 'max' or 'mean', got {pool!r}."
            raise ValueError(message)
        return to_array(finish(pooling.overview_slices(cast("Layer", self), number, pool=pool)))

    def survey(self, size: int) -> tuple[Array, NDArray[np.float64], Array]:
        """Return what one pass over the weights says about every head.

        Args:
            size: As for `overview`.

        Returns:
            The overview; ``[query, key, weight]`` of each head's strongest link, float64 ``[head, 3]``, the first key
            left out when there are others; and each head's mean weight on the first key, float32 ``[head]``.
        """
        found = pooling.survey(cast("Layer", self), size)
        return to_array(found.pooled), found.top.cpu().numpy(), to_array(found.first_key)
