"""Which links of each query are drawn as lines: js/src/data/strongest-links.ts has the same rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float32]

__all__ = ["strongest_links"]


def strongest_links(
    weights: Numbers, *, top_k: int | None, mass: float | None, aside: Sequence[int] = ()
) -> NDArray[np.bool_]:
    """Return which of ``[query, key]`` are among each query's strongest; of equal weights the earlier keys.

    Args:
        weights: Weights; NaN counts as none.
        top_k: So many of each query, or None for all of them. Without meaning where there is a ``mass``.
        mass: Of each query the fewest that make up this share of what it gives to all keys that are not set aside.
        aside: Keys that are set aside: no link to them is drawn.
    """
    rest = np.nan_to_num(weights).astype(np.float64)
    rest[:, list(aside)] = 0
    if mass is None and top_k is None:
        return np.asarray(rest > 0)
    order = np.argsort(-rest, axis=1, kind="stable")
    ordered = np.take_along_axis(rest, order, axis=1)
    if mass is None:
        taken = np.broadcast_to(np.arange(rest.shape[1]) < (top_k or 0), rest.shape)
    else:
        before = np.cumsum(ordered, axis=1) - ordered
        taken = before < mass * rest.sum(axis=1, keepdims=True)
    chosen = np.zeros(rest.shape, dtype=bool)
    np.put_along_axis(chosen, order, taken, axis=1)
    return np.asarray(chosen & (rest > 0))
