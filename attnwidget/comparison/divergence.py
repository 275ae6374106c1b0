"""Jensen–Shannon divergence between the rows of a head in two records, and their signed difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnwidget.compute.weight_rows import query_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from attnwidget.comparison.alignment import Pair
    from attnwidget.record.layer import Layer

    Numbers = NDArray[np.float64]

__all__ = ["both", "divergence", "signed_difference"]


def both(pairs: tuple[Pair, ...]) -> tuple[list[int], list[int], list[int]]:
    """Return the places on the common axis that both have, and the positions there in either."""
    found = [
        (place, pair.a, pair.b)
        for place, pair in enumerate(pairs)
        if pair.a is not None and pair.b is not None
    ]
    return (
        [place for place, _, _ in found],
        [first for _, first, _ in found],
        [second for _, _, second in found],
    )


def signed_difference(
    a: Layer, b: Layer, heads: Iterable[int], queries: tuple[Pair, ...], keys: tuple[Pair, ...]
) -> NDArray[np.float32]:
    """Return how much more weight ``b`` gives, float32 ``[head, query, key]``, NaN where one has no such query or key."""
    indices = list(heads)
    difference = np.full((len(indices), len(queries), len(keys)), np.nan, dtype=np.float32)
    rows, columns = both(queries), both(keys)
    if len(rows[0]) and len(columns[0]):
        block = b.weights(indices, rows[2], columns[2]) - a.weights(indices, rows[1], columns[1])
        difference[:, np.array(rows[0])[:, None], np.array(columns[0])] = block
    return difference


def divergence(a: Layer, b: Layer, queries: tuple[Pair, ...], keys: tuple[Pair, ...]) -> Numbers:
    """Return the mean Jensen–Shannon divergence of each head, a block of queries at a time."""
    columns = [
        (
            [place for place, pair in enumerate(keys) if getattr(pair, side) is not None],
            [getattr(pair, side) for pair in keys if getattr(pair, side) is not None],
        )
        for side in ("a", "b")
    ]
    _, first, second = both(queries)
    total = np.zeros(a.num_heads)
    for block in query_blocks(a.num_heads, len(first), len(keys)):
        rows = slice(block.indices[0], block.indices[-1] + 1)
        spread = [
            _spread(layer.weights(None, chosen[rows]), places, taken, len(keys))
            for layer, chosen, (places, taken) in ((a, first, columns[0]), (b, second, columns[1]))
        ]
        total += _jensen_shannon(*spread).sum(-1)
    mean: Numbers = np.clip(total / len(first), 0.0, 1.0)
    return mean


def _spread(
    weights: NDArray[np.float32], places: list[int], taken: list[int], size: int
) -> Numbers:
    """Put weights on the common key axis, and what a row lacks to 1 behind it."""
    spread = np.zeros((*weights.shape[:2], size + 1))
    spread[:, :, places] = weights[:, :, taken]
    spread[:, :, size] = np.maximum(0.0, 1 - spread.sum(-1))
    # Rounding, and dropout, leave rows a little above 1.
    spread /= spread.sum(-1, keepdims=True)
    return spread


def _jensen_shannon(first: Numbers, second: Numbers) -> Numbers:
    """Return the divergence of each row, to base 2."""
    middle = (first + second) / 2
    found = np.zeros(first.shape[:-1])
    for one in (first, second):
        ratio = np.divide(one, middle, out=np.ones_like(one), where=one > 0)
        found += (one * np.log2(ratio)).sum(-1) / 2
    return found
